import { randomBytes } from 'node:crypto'
import type { Entry, Store, StoreTraits, Written } from '../store.ts'
import { CouchbaseConnection } from './couchbase/connection.ts'
import { CouchbaseItems } from './couchbase/items.ts'
import { couchbaseSettings, type CouchbaseStoreOptions } from './couchbase/options.ts'
import { CasVerbs } from './shared/cas-verbs.ts'

export type { CouchbaseStoreOptions }

/** The largest document, 20 MiB, without what precedes the payload in it. */
const MAX_BYTES: number = 20 * 1024 * 1024 - 64

/**
 * Sessions in a bucket of Couchbase: shared by all processes, and replicated and stored on disk as the bucket is.
 *
 * Writes are compare-and-swap with Couchbase's own token. If the driver does not know the outcome of a write, the call
 * rejects, and the version of the stored payload tells whether the write was applied.
 */
export class CouchbaseStore implements Store {
  readonly traits: StoreTraits = {
    name: 'couchbase',
    location: 'server',
    revocable: true,
    shared: true,
    durable: true,
    resolution: 1,
    maxBytes: MAX_BYTES,
  }

  /** The option `prefix`. */
  readonly namespace: string

  readonly #verbs: CasVerbs<CouchbaseItems>

  /** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong */
  constructor(options: CouchbaseStoreOptions) {
    const settings = couchbaseSettings(options)
    this.namespace = settings.prefix
    this.#verbs = new CasVerbs(
      this.traits,
      settings,
      async () => new CouchbaseItems(await CouchbaseConnection.open(settings), settings.prefix),
    )
  }

  /** A store from the config string of a provider, which is a `url`. */
  static fromConfig(config: string, { now }: { readonly now: () => number }): CouchbaseStore {
    return new CouchbaseStore({ url: config, now })
  }

  /**
   * Connects, and reads and removes a document that does not exist; rejects if cluster, user, bucket or collection is not as
   * configured, or the user may not write.
   */
  async open(): Promise<void> {
    const key = `open-${randomBytes(8).toString('hex')}`
    await this.#verbs.run('open', async (items, deadline) => {
      await items.get(key, deadline)
      await items.delete(key, undefined, deadline)
    })
  }

  /** Ignores `extendTo`: Couchbase cannot extend a life without the risk of shortening it. */
  async read(key: string): Promise<Entry | undefined> {
    return this.#verbs.read(key)
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    return this.#verbs.create(key, payload, expiresAt)
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    return this.#verbs.replace(key, payload, expiresAt, base)
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#verbs.touch(key, expiresAt)
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#verbs.destroy(key, base)
  }

  async close(): Promise<void> {
    await this.#verbs.close()
  }
}

import type { Cluster, Collection } from 'couchbase'
import { SessionError } from '../errors.ts'
import type { Entry, Store, StoreTraits, Written } from '../store.ts'
import { CouchbaseConnection } from './couchbase/connection.ts'
import { CouchbaseItems } from './couchbase/items.ts'
import { couchbaseSettings, type CouchbaseSettings } from './couchbase/options.ts'
import { withDeadline } from './shared/deadline.ts'
import { CasVerbs } from './shared/cas-verbs.ts'
import { assertFits } from './shared/payload-limit.ts'

/** Settings of the {@link CouchbaseStore}: `url` or `client`, and what is not as usual. */
export interface CouchbaseStoreOptions {
  /**
   * `couchbase://user:password@host,host/bucket`, or `couchbases:` for TLS. `/scope/collection` may follow, and options
   * of the driver: `?network=external`. Or one of beego's forms.
   */
  readonly url?: string
  /** A `Cluster` or a `Collection` of the driver. The store never closes it. */
  readonly client?: Cluster | Collection
  /** With a `Cluster` as `client`: in which bucket the sessions are kept. */
  readonly bucket?: string
  /** With a `Cluster` as `client`. Default: `_default`. */
  readonly scope?: string
  /** With a `Cluster` as `client`. Default: `_default`. */
  readonly collection?: string
  /** What stands before each key: printable ASCII without spaces, up to 100 characters. Default: `session:`. */
  readonly prefix?: string
  /** How long a call may take, in ms. Default: 5,000. */
  readonly timeout?: number
  /** The clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

/** What a document may have, 20 MiB, less what stands in it before the payload. */
const MAX_BYTES: number = 20 * 1024 * 1024 - 64

/**
 * Sessions in a bucket of Couchbase: shared by all processes, replicated and kept on disk as the bucket is.
 *
 * Writes are compare-and-swap by Couchbase's own token. Where the outcome of one is unknown to the driver, the call rejects,
 * and the version of the stored payload tells whether it was applied.
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

  readonly #settings: CouchbaseSettings
  #connection: Promise<CouchbaseConnection> | undefined
  #closed = false

  /** @throws SessionError `ERR_SESSION_OPTIONS` if a setting is wrong */
  constructor(options: CouchbaseStoreOptions) {
    this.#settings = couchbaseSettings(options)
  }

  /** A store from the config string of a provider, which is a `url`. */
  static fromConfig(config: string, { now }: { readonly now: () => number }): CouchbaseStore {
    return new CouchbaseStore({ url: config, now })
  }

  /** Connects now, and looks into the collection; rejects if cluster, user, bucket or collection are not there. */
  async open(): Promise<void> {
    await this.#ask('open', async (verbs) => verbs.read('open'))
  }

  /** Extends no life: Couchbase could do that in the same step, but it might just as well shorten it. */
  async read(key: string): Promise<Entry | undefined> {
    return this.#ask('read', async (verbs) => verbs.read(key))
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    assertFits(this.traits, 'create', payload)
    return this.#ask('create', async (verbs) => verbs.create(key, payload, expiresAt))
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    assertFits(this.traits, 'replace', payload)
    return this.#ask('replace', async (verbs) => verbs.replace(key, payload, expiresAt, base))
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#ask('touch', async (verbs) => verbs.touch(key, expiresAt))
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#ask('destroy', async (verbs) => verbs.destroy(key, base))
  }

  async close(): Promise<void> {
    this.#closed = true
    const connection = await this.#connection?.catch(() => undefined)
    await connection?.close()
  }

  async #ask<T>(verb: string, question: (verbs: CasVerbs) => Promise<T>): Promise<T> {
    if (this.#closed) throw new SessionError('ERR_SESSION_STORE', `couchbase: ${verb} after close`)
    const { prefix, timeout, now } = this.#settings
    const until = performance.now() + timeout
    try {
      const answer = this.#connect().then(async ({ collection }) =>
        question(new CasVerbs(new CouchbaseItems(collection, prefix, until), now)),
      )
      return await withDeadline(`couchbase: ${verb}`, timeout, answer)
    } catch (cause) {
      if (cause instanceof SessionError) throw cause
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new SessionError('ERR_SESSION_STORE', `couchbase: ${verb} failed: ${reason}`, { cause })
    }
  }

  /** Everybody waits for the same attempt; one that failed is made again. */
  async #connect(): Promise<CouchbaseConnection> {
    const attempt = (this.#connection ??= CouchbaseConnection.open(this.#settings))
    try {
      return await attempt
    } catch (error) {
      if (this.#connection === attempt) this.#connection = undefined
      throw error
    }
  }
}

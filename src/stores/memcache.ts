import type { Entry, Store, StoreTraits, Written } from '../store.ts'
import { MemcacheConnection } from './memcache/connection.ts'
import { MemcacheItems } from './memcache/items.ts'
import { memcacheSettings, type MemcacheStoreOptions } from './memcache/options.ts'
import { CasVerbs } from './shared/cas-verbs.ts'

export type { MemcacheStoreOptions }
export type { MemcacheClient, MemcacheResponse, MemcacheServer } from './memcache/protocol.ts'

/** How many bytes of an item are not payload, with the longest possible key. */
const OVERHEAD = 512

/**
 * Sessions in memcached: shared by all processes, and lost when memcached restarts or evicts them.
 *
 * Writes are compare-and-swap with memcached's own token. If the server of a session is down or too slow, calls reject with
 * `ERR_SESSION_STORE`; the session never counts as absent then.
 */
export class MemcacheStore implements Store {
  readonly traits: StoreTraits
  /** The option `prefix`. */
  readonly namespace: string

  readonly #maxItemBytes: number
  readonly #verbs: CasVerbs<MemcacheItems>

  /** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong */
  constructor(options: MemcacheStoreOptions) {
    const settings = memcacheSettings(options)
    const { servers, prefix, timeout, maxItemBytes } = settings
    this.traits = {
      name: 'memcache',
      location: 'server',
      revocable: true,
      shared: true,
      durable: true,
      evicts: true,
      resolution: 1_000,
      maxBytes: maxItemBytes - OVERHEAD,
    }
    this.namespace = prefix
    this.#maxItemBytes = maxItemBytes
    this.#verbs = new CasVerbs(
      this.traits,
      settings,
      async () => new MemcacheItems(await MemcacheConnection.open(servers, timeout), prefix),
    )
  }

  /** A store from the config string of a provider, which is a `url`. */
  static fromConfig(config: string, { now }: { readonly now: () => number }): MemcacheStore {
    return new MemcacheStore({ url: config, now })
  }

  /** Connects to all servers; rejects if one is down, refuses the user, has no tokens, or accepts only smaller items. */
  async open(): Promise<void> {
    await this.#verbs.run('open', async (items, deadline) => items.check(this.#maxItemBytes, deadline))
  }

  /** Ignores `extendTo`: memcached cannot extend a life without the risk of shortening it. */
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

import { SessionError } from '../errors.ts'
import type { Entry, Store, StoreTraits, Written } from '../store.ts'
import { CasVerbs } from './shared/cas-verbs.ts'
import { MemcacheItems } from './memcache/items.ts'
import { MemcacheConnection } from './memcache/connection.ts'
import { memcacheSettings, type MemcacheSettings } from './memcache/options.ts'
import type { MemcacheClient } from './memcache/protocol.ts'
import { assertFits } from './shared/payload-limit.ts'

export type { MemcacheResponse, MemcacheServer } from './memcache/protocol.ts'
export type { MemcacheClient }

/** Settings of the {@link MemcacheStore}: `url` or `client`, and what is not as usual. */
export interface MemcacheStoreOptions {
  /**
   * The servers: `host:port` or `memcache://user:password@host:port`, several separated by `;`. All processes name them
   * in the same order, since a key belongs to a place in this list.
   */
  readonly url?: string
  /** A `Client` of memjs, without its `failover`. The store never closes it. Its own `timeout` holds as well. */
  readonly client?: MemcacheClient
  /** What stands before each key: printable ASCII without spaces, up to 100 characters. Default: `session:`. */
  readonly prefix?: string
  /** How long a call may take, in ms. Default: 5,000. */
  readonly timeout?: number
  /** The largest item that the servers take, in bytes: their option `-I`. Default: 1 MiB, as theirs. */
  readonly maxItemBytes?: number
  /** The clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

/** What an item needs beside its payload, with the longest key there is. */
const OVERHEAD = 512

/**
 * Sessions in memcached: shared by all processes, and gone when memcached restarts or needs the room.
 *
 * Writes are compare-and-swap by memcached's own token. Calls reject with `ERR_SESSION_STORE` when the server of a session
 * is down or too slow: that is never taken for the absence of the session.
 */
export class MemcacheStore implements Store {
  readonly traits: StoreTraits

  readonly #settings: MemcacheSettings
  #connection: Promise<MemcacheConnection> | undefined
  #closed = false

  /** @throws SessionError `ERR_SESSION_OPTIONS` if a setting is wrong */
  constructor(options: MemcacheStoreOptions) {
    this.#settings = memcacheSettings(options)
    this.traits = {
      name: 'memcache',
      location: 'server',
      revocable: true,
      shared: true,
      durable: true,
      resolution: 1_000,
      maxBytes: this.#settings.maxItemBytes - OVERHEAD,
    }
  }

  /** A store from the config string of a provider, which is a `url`. */
  static fromConfig(config: string, { now }: { readonly now: () => number }): MemcacheStore {
    return new MemcacheStore({ url: config, now })
  }

  /** Asks all servers now; rejects if one is not there, refuses us, compares no tokens, or takes smaller items. */
  async open(): Promise<void> {
    await this.#run('open', async (connection, until) => connection.check(this.#settings.maxItemBytes, until))
  }

  /** Extends no life: memcached could do that in the same step, but it might just as well shorten it. */
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
    if ('servers' in this.#settings.servers) return
    const connection = await this.#connection?.catch(() => undefined)
    connection?.end()
  }

  async #ask<T>(verb: string, question: (verbs: CasVerbs) => Promise<T>): Promise<T> {
    const { prefix, now } = this.#settings
    return this.#run(verb, async (connection, until) =>
      question(new CasVerbs(new MemcacheItems(connection, prefix, until), now)),
    )
  }

  /** Does something that must be over at a moment of `performance.now`. */
  async #run<T>(
    verb: string,
    work: (connection: MemcacheConnection, until: number) => Promise<T>,
  ): Promise<T> {
    if (this.#closed) throw new SessionError('ERR_SESSION_STORE', `memcache: ${verb} after close`)
    const until = performance.now() + this.#settings.timeout
    try {
      return await work(await this.#connect(), until)
    } catch (cause) {
      if (cause instanceof SessionError) throw cause
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new SessionError('ERR_SESSION_STORE', `memcache: ${verb} failed: ${reason}`, { cause })
    }
  }

  /** Everybody waits for the same attempt; one that failed is made again. */
  async #connect(): Promise<MemcacheConnection> {
    const attempt = (this.#connection ??= MemcacheConnection.over(
      this.#settings.servers,
      this.#settings.timeout,
    ))
    try {
      return await attempt
    } catch (error) {
      if (this.#connection === attempt) this.#connection = undefined
      throw error
    }
  }
}

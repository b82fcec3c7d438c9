import { Buffer } from 'node:buffer'
import { SessionError } from '../errors.ts'
import { VERSION_LENGTH, type Entry, type Store, type StoreTraits, type Written } from '../store.ts'
import { entryOf, MemcacheItems, type MemcacheItem } from './internal/memcache-items.ts'
import { MemcacheLink } from './internal/memcache-link.ts'
import {
  memcacheSettings,
  type MemcacheSettings,
  type MemcacheStoreOptions,
} from './internal/memcache-settings.ts'
import { endOf } from './internal/memcache-wire.ts'

export type { MemcacheStoreOptions } from './internal/memcache-settings.ts'
export type { MemcacheClient } from './internal/memcache-wire.ts'

/** What an item needs beside its payload, with the longest key there is. */
const OVERHEAD = 512

/** Each failed try means that somebody else's write was applied. So many in a row are no accident. */
const TRIES = 100

/**
 * Sessions in memcached: shared by all processes, and gone when memcached restarts or needs the room.
 *
 * Writes are compare-and-swap by memcached's own token. The end of a session's life stands in the flags of its item, since
 * memcached tells nobody how long an item lives; a touch therefore writes the item again, from the state it has seen.
 */
export class MemcacheStore implements Store {
  readonly traits: StoreTraits

  readonly #settings: MemcacheSettings
  #link: Promise<MemcacheLink> | undefined
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
    await this.#run('open', async (link, until) => link.check(this.#settings.maxItemBytes, until))
  }

  /** Extends no life: memcached could do that in the same step, but it might just as well shorten it. */
  async read(key: string): Promise<Entry | undefined> {
    const item = await this.#persist('read', async (items) => this.#living(items, key))
    return item && entryOf(item)
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    this.#assertFits('create', payload)
    const end = endOf(expiresAt)
    return this.#persist('create', async (items) => {
      const added = await items.add(key, payload, end)
      if (added !== 'exists') return { entry: entryOf(added) }
      const there = await items.get(key)
      if (there === undefined) return 'changed'
      if (this.#lives(there)) return 'exists'
      const replaced = await items.replace(key, { payload, end, token: there.token })
      return typeof replaced === 'object' ? { entry: entryOf(replaced) } : 'changed'
    })
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    this.#assertFits('replace', payload)
    const end = endOf(expiresAt)
    return this.#swap('replace', key, base, async (items, token) => {
      const replaced = await items.replace(key, { payload, end, token })
      return typeof replaced === 'object' ? { entry: entryOf(replaced) } : replaced
    })
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    const end = endOf(expiresAt)
    return this.#persist('touch', async (items) => {
      const item = await this.#living(items, key)
      if (item === undefined) return 'gone'
      if (item.end >= end) return 'ok'
      const replaced = await items.replace(key, { ...item, end })
      return typeof replaced === 'object' ? 'ok' : replaced
    })
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#swap('destroy', key, base, async (items, token) => items.delete(key, token))
  }

  async close(): Promise<void> {
    this.#closed = true
    if ('servers' in this.#settings.servers) return
    const link = await this.#link?.catch(() => undefined)
    link?.end()
  }

  /**
   * Applies `write` to the living item, if it has the version of `base`. The first try trusts in the token of `base`; if
   * the item has another one, it may yet be the same version, touched meanwhile.
   */
  async #swap<T>(
    verb: string,
    key: string,
    base: Entry | undefined,
    write: (items: MemcacheItems, token: bigint) => Promise<T | 'changed'>,
  ): Promise<T | 'conflict' | 'gone'> {
    const known = base !== undefined && base.expiresAt > this.#settings.now() ? base.token : undefined
    let token = typeof known === 'bigint' ? known : undefined
    return this.#persist<T | 'conflict' | 'gone'>(verb, async (items) => {
      if (token === undefined) {
        const item = await this.#living(items, key)
        if (item === undefined) return 'gone'
        if (base !== undefined && !sameVersion(item, base)) return 'conflict'
        token = item.token
      }
      const outcome = await write(items, token)
      token = undefined
      return outcome
    })
  }

  /** Tries until the item has not changed under its hands. */
  async #persist<T>(verb: string, attempt: (items: MemcacheItems) => Promise<T | 'changed'>): Promise<T> {
    return this.#run(verb, async (link, until) => {
      const items = new MemcacheItems(link, this.#settings.prefix, until)
      for (let tries = 0; tries < TRIES; tries += 1) {
        const outcome = await attempt(items)
        if (outcome !== 'changed') return outcome
      }
      throw new Error('others kept writing to the same session')
    })
  }

  async #run<T>(verb: string, work: (link: MemcacheLink, until: number) => Promise<T>): Promise<T> {
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

  async #connect(): Promise<MemcacheLink> {
    this.#link ??= MemcacheLink.over(this.#settings.servers, this.#settings.timeout)
    try {
      return await this.#link
    } catch (error) {
      this.#link = undefined
      throw error
    }
  }

  async #living(items: MemcacheItems, key: string): Promise<MemcacheItem | undefined> {
    const item = await items.get(key)
    return item !== undefined && this.#lives(item) ? item : undefined
  }

  #lives(item: MemcacheItem): boolean {
    return item.end * 1_000 > this.#settings.now()
  }

  #assertFits(verb: string, payload: string): void {
    const { maxBytes } = this.traits
    if (payload.length * 3 <= maxBytes) return
    const bytes = Buffer.byteLength(payload)
    if (bytes <= maxBytes) return
    throw new SessionError(
      'ERR_SESSION_LIMIT',
      `memcache: ${verb} refused, the payload has ${bytes} bytes and may have ${maxBytes}`,
    )
  }
}

function sameVersion(item: MemcacheItem, base: Entry): boolean {
  return item.payload.slice(0, VERSION_LENGTH) === base.payload.slice(0, VERSION_LENGTH)
}

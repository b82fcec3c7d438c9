import {
  type Counting,
  type Entry,
  type Store,
  type StoreTraits,
  type Sweeping,
  type Written,
} from '../store.ts'
import { MemoryEntry } from './memory/entry.ts'
import { Shards } from './memory/shards.ts'
import { closedError } from './shared/errors.ts'
import { assertFunction, assertOptions, assertWhole, type OptionNames } from './shared/options.ts'
import { fits, sizeError } from './shared/payload-limit.ts'

/** Options of the {@link MemoryStore}. */
export interface MemoryStoreOptions {
  /**
   * The largest number of sessions. Beyond it those are removed first whose clients never came back, and then the least recently
   * used ones. `Infinity`: no limit. Default: 100,000.
   */
  readonly maxEntries?: number
  /**
   * The largest sum of payloads in bytes, as they are in memory: one byte per character, or two if the payload has any
   * character beyond Latin-1. One payload may take up to half of it. `Infinity`: no limit. Default: 256 MiB.
   */
  readonly maxBytes?: number
  /** The clock, in ms since the epoch. Default: `Date.now`; a change of the system time then has no effect on lives. */
  readonly now?: () => number
}

const OPTIONS: OptionNames<MemoryStoreOptions> = { maxEntries: true, maxBytes: true, now: true }

const MAX_ENTRIES = 100_000
/** One in so many sessions may be one that was not read since it was created, even when the store is full of others. */
const FRESH_SHARE = 16
const MAX_BYTES: number = 256 * 1024 * 1024

// Constant answers share one promise.
const ABSENT: Promise<undefined> = Promise.resolve(undefined)
const OK: Promise<'ok'> = Promise.resolve('ok')
const GONE: Promise<'gone'> = Promise.resolve('gone')
const EXISTS: Promise<'exists'> = Promise.resolve('exists')
const CONFLICT: Promise<'conflict'> = Promise.resolve('conflict')

/**
 * Sessions in the memory of this process: for development, for tests, and for a single process whose sessions may be lost. It
 * keeps payloads, not objects, so a value that works here works in every other store.
 *
 * Its size is limited. When it is full, a session makes room that was created and never read again, the oldest first: so a flood of
 * visitors without cookies ends their sessions and no others. A sixteenth of the store is theirs nevertheless, so that a new visitor
 * can come back; when there are no more, the least recently used session is removed, expired or not. When that first happens to a
 * living one, the process emits the warning `KTS_MEMORY_FULL`. In addition to payload and key, an entry takes about 175 bytes.
 */
export class MemoryStore implements Store, Sweeping, Counting {
  readonly traits: StoreTraits

  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #now: () => number
  /** The clock of lives: monotonic, unless the option `now` is given. */
  readonly #steady: () => number
  readonly #shards = new Shards()
  /** The link that closes the ring of entries that were read again: `older` is the most recently used one, `newer` the least. */
  readonly #returned: MemoryEntry = new MemoryEntry('', '', Infinity)
  /** The same for entries that were not read since they were created. */
  readonly #fresh: MemoryEntry = new MemoryEntry('', '', Infinity)
  #size = 0
  #freshSize = 0
  #bytes = 0
  #warned = false
  #closed = false

  constructor(options: MemoryStoreOptions = {}) {
    assertOptions('memory', options, OPTIONS)
    this.#maxEntries = bound('maxEntries', options.maxEntries ?? MAX_ENTRIES, 1)
    this.#maxBytes = bound('maxBytes', options.maxBytes ?? MAX_BYTES, 2_048)
    this.#now = options.now ?? Date.now
    assertFunction('memory', 'now', this.#now)
    this.#steady = this.#now === Date.now ? steady : this.#now
    this.traits = {
      name: 'memory',
      location: 'server',
      revocable: true,
      shared: false,
      durable: false,
      evicts: this.#maxEntries !== Infinity || this.#maxBytes !== Infinity,
      resolution: 1,
      // UTF-8 has at least one byte per character, and memory at most two, so half of the limit is always enough.
      maxBytes: Math.floor(this.#maxBytes / 2),
    }
  }

  read(key: string, extendTo?: number): Promise<Entry | undefined> {
    if (this.#closed) return rejectClosed('read')
    const entry = this.#living(key)
    if (entry === undefined) return ABSENT
    const ahead = this.#ahead()
    if (extendTo !== undefined && extendTo - ahead > entry.expiresAt) entry.expiresAt = extendTo - ahead
    this.#comeBack(entry)
    return Promise.resolve({ payload: entry.payload, expiresAt: Math.floor(entry.expiresAt + ahead) })
  }

  create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    if (this.#closed) return rejectClosed('create')
    if (!fits(this.traits, payload)) return Promise.reject(sizeError(this.traits, 'create', payload))
    if (this.#living(key) !== undefined) return EXISTS
    const entry = new MemoryEntry(key, payload, expiresAt - this.#ahead())
    this.#shards.add(entry)
    this.#size += 1
    this.#bytes += entry.bytes
    this.#freshSize += 1
    entry.join(this.#fresh)
    this.#makeRoom(entry)
    return Promise.resolve({ entry: { payload, expiresAt } })
  }

  replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    if (this.#closed) return rejectClosed('replace')
    if (!fits(this.traits, payload)) return Promise.reject(sizeError(this.traits, 'replace', payload))
    const entry = this.#living(key)
    if (entry === undefined) return GONE
    if (!entry.is(base)) return CONFLICT
    this.#bytes -= entry.bytes
    entry.hold(payload, expiresAt - this.#ahead())
    this.#bytes += entry.bytes
    // The request that has created it may write it again, which is no return.
    entry.renew(entry.hasReturned ? this.#returned : this.#fresh)
    this.#makeRoom(entry)
    return Promise.resolve({ entry: { payload, expiresAt } })
  }

  touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    if (this.#closed) return rejectClosed('touch')
    const entry = this.#living(key)
    if (entry === undefined) return GONE
    entry.expiresAt = Math.max(entry.expiresAt, expiresAt - this.#ahead())
    this.#comeBack(entry)
    return OK
  }

  destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    if (this.#closed) return rejectClosed('destroy')
    const entry = this.#living(key)
    if (entry === undefined) return GONE
    if (base !== undefined && !entry.is(base)) return CONFLICT
    this.#remove(entry)
    return OK
  }

  /** Removes up to `limit` expired entries. Looks at a few at a time, so that it does not block the process. */
  async sweep(limit: number): Promise<number> {
    if (this.#closed) return rejectClosed('sweep')
    const moment = this.#steady()
    let removed = 0
    await this.#shards.tour((entry) => {
      if (removed >= limit) return false
      if (entry.expiresAt <= moment) {
        this.#remove(entry)
        removed += 1
      }
      return true
    })
    return removed
  }

  /** Counts a few entries at a time, so those that come or go meanwhile may be counted or not. */
  async count(): Promise<number> {
    if (this.#closed) return rejectClosed('count')
    const moment = this.#steady()
    let living = 0
    await this.#shards.tour((entry) => {
      if (entry.expiresAt > moment) living += 1
      return true
    })
    return living
  }

  /** Removes every session. */
  async close(): Promise<void> {
    this.#closed = true
    this.#shards.clear()
    this.#returned.leave()
    this.#fresh.leave()
    this.#size = 0
    this.#freshSize = 0
    this.#bytes = 0
  }

  #living(key: string): MemoryEntry | undefined {
    const entry = this.#shards.get(key)
    if (entry === undefined || !this.#expired(entry)) return entry
    this.#remove(entry)
    return undefined
  }

  #expired(entry: MemoryEntry): boolean {
    return entry.expiresAt <= this.#steady()
  }

  /** The difference between the clock and the monotonic one. */
  #ahead(): number {
    return this.#now === this.#steady ? 0 : this.#now() - this.#steady()
  }

  /** Becomes the most recently used one of those that were read again. */
  #comeBack(entry: MemoryEntry): void {
    if (!entry.hasReturned) {
      entry.hasReturned = true
      this.#freshSize -= 1
    }
    entry.renew(this.#returned)
  }

  #remove(entry: MemoryEntry): void {
    this.#shards.remove(entry)
    this.#size -= 1
    if (!entry.hasReturned) this.#freshSize -= 1
    this.#bytes -= entry.bytes
    entry.leave()
  }

  /** Never removes the entry that was just written: it fits. */
  #makeRoom(written: MemoryEntry): void {
    while (this.#size > this.#maxEntries || this.#bytes > this.#maxBytes) {
      const oldest = this.#dispensable(written)
      if (!this.#warned && !this.#expired(oldest)) this.#warn()
      this.#remove(oldest)
    }
  }

  /** The entry to remove next: the first of two rings that has one besides `written`. */
  #dispensable(written: MemoryEntry): MemoryEntry {
    const [fresh, returned] = [this.#fresh.newer, this.#returned.newer]
    const isFreshFull = this.#freshSize > this.#size / FRESH_SHARE
    const [first, second] = isFreshFull ? [fresh, returned] : [returned, fresh]
    return first === written || first === this.#fresh || first === this.#returned ? second : first
  }

  #warn(): void {
    this.#warned = true
    process.emitWarning(
      'The memory store of sessions is full: it removes those that were never used again, and then the least recently used ones. ' +
        'Raise maxEntries or maxBytes, or use a store that keeps sessions outside of this process.',
      { type: 'SessionWarning', code: 'KTS_MEMORY_FULL' },
    )
  }
}

function bound(field: string, value: number, least: number): number {
  if (value !== Infinity) assertWhole('memory', field, value, least)
  return value
}

/** The monotonic clock, in ms. */
function steady(): number {
  return performance.now()
}

function rejectClosed(verb: string): Promise<never> {
  return Promise.reject(closedError('memory', verb))
}

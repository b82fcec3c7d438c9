import { Buffer } from 'node:buffer'
import { SessionError } from '../errors.ts'
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

/** Settings of the {@link MemoryStore}. */
export interface MemoryStoreOptions {
  /** How many sessions are kept at most; the one unused for longest makes room. `Infinity` for no bound. Default: 100,000. */
  readonly maxEntries?: number
  /**
   * How many bytes of payload are kept at most, as they lie in memory: one for each character, two if the payload has any
   * beyond Latin-1. A single payload may take up to half of it. `Infinity` for no bound. Default: 256 MiB.
   */
  readonly maxBytes?: number
  /** The clock, in ms since the epoch. Default: `Date.now`, of which no more is taken than spans, so that it may be set. */
  readonly now?: () => number
}

const MAX_ENTRIES = 100_000
const MAX_BYTES: number = 256 * 1024 * 1024

// Answers without content need no promise of their own.
const NOBODY: Promise<undefined> = Promise.resolve(undefined)
const OK: Promise<'ok'> = Promise.resolve('ok')
const GONE: Promise<'gone'> = Promise.resolve('gone')
const EXISTS: Promise<'exists'> = Promise.resolve('exists')
const CONFLICT: Promise<'conflict'> = Promise.resolve('conflict')

/**
 * Sessions in the memory of this process: for development, for tests, and for a single process that may forget. It keeps
 * payloads, not objects, so a value that works here works in any other store.
 *
 * It is bounded. When it is full, the session unused for longest makes room, expired or not, and a process warning,
 * `KTS_MEMORY_FULL`, tells when the first living one has to go. Beside the characters of payload and key an entry takes
 * about 165 bytes.
 */
export class MemoryStore implements Store, Sweeping, Counting {
  readonly traits: StoreTraits

  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #now: () => number
  /** What lives are counted on. It never jumps, unless the clock is one of the caller's own. */
  readonly #steady: () => number
  readonly #shards = new Shards()
  /** Where the ring of all entries is closed: `older` is the one used last, `newer` the one unused for longest. */
  readonly #ring: MemoryEntry = new MemoryEntry('', '', Infinity)
  #size = 0
  #bytes = 0
  #warned = false
  #closed = false

  constructor(options: MemoryStoreOptions = {}) {
    this.#maxEntries = bound('maxEntries', options.maxEntries ?? MAX_ENTRIES, 1)
    this.#maxBytes = bound('maxBytes', options.maxBytes ?? MAX_BYTES, 2_048)
    this.#now = options.now ?? Date.now
    this.#steady = this.#now === Date.now ? steady : this.#now
    this.traits = {
      name: 'memory',
      location: 'server',
      revocable: true,
      shared: false,
      durable: false,
      resolution: 1,
      // UTF-8 has at least one byte for each character, memory at most two: what fits here by half always fits.
      maxBytes: Math.floor(this.#maxBytes / 2),
    }
  }

  read(key: string, extendTo?: number): Promise<Entry | undefined> {
    if (this.#closed) return rejectClosed('read')
    const entry = this.#living(key)
    if (entry === undefined) return NOBODY
    const ahead = this.#ahead()
    if (extendTo !== undefined && extendTo - ahead > entry.expiresAt) entry.expiresAt = extendTo - ahead
    entry.renew(this.#ring)
    return Promise.resolve({ payload: entry.payload, expiresAt: Math.floor(entry.expiresAt + ahead) })
  }

  create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    if (this.#closed) return rejectClosed('create')
    if (this.#exceeds(payload)) return rejectLarge('create')
    if (this.#living(key) !== undefined) return EXISTS
    const entry = new MemoryEntry(key, payload, expiresAt - this.#ahead())
    this.#shards.add(entry)
    this.#size += 1
    this.#bytes += entry.bytes
    entry.join(this.#ring)
    this.#makeRoom()
    return Promise.resolve({ entry: { payload, expiresAt } })
  }

  replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    if (this.#closed) return rejectClosed('replace')
    if (this.#exceeds(payload)) return rejectLarge('replace')
    const entry = this.#living(key)
    if (entry === undefined) return GONE
    if (!entry.is(base)) return CONFLICT
    this.#bytes -= entry.bytes
    entry.hold(payload, expiresAt - this.#ahead())
    this.#bytes += entry.bytes
    entry.renew(this.#ring)
    this.#makeRoom()
    return Promise.resolve({ entry: { payload, expiresAt } })
  }

  touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    if (this.#closed) return rejectClosed('touch')
    const entry = this.#living(key)
    if (entry === undefined) return GONE
    entry.expiresAt = Math.max(entry.expiresAt, expiresAt - this.#ahead())
    entry.renew(this.#ring)
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

  /** Removes up to `limit` expired entries. Looks at a few at a time, and lets other work in between. */
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

  /** How many entries live. Counts a few at a time, so what comes and goes meanwhile may be in the sum or not. */
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

  /** Forgets every session. */
  async close(): Promise<void> {
    this.#closed = true
    this.#shards.clear()
    this.#ring.leave()
    this.#size = 0
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

  /** How far the clock is ahead of the steady one. */
  #ahead(): number {
    return this.#now === this.#steady ? 0 : this.#now() - this.#steady()
  }

  #exceeds(payload: string): boolean {
    const { maxBytes } = this.traits
    return payload.length * 3 > maxBytes && Buffer.byteLength(payload) > maxBytes
  }

  #remove(entry: MemoryEntry): void {
    this.#shards.remove(entry)
    this.#size -= 1
    this.#bytes -= entry.bytes
    entry.leave()
  }

  /** The entry just written is the newest one and fits, so it is never the one to go. */
  #makeRoom(): void {
    while (this.#size > this.#maxEntries || this.#bytes > this.#maxBytes) {
      const oldest = this.#ring.newer
      if (!this.#warned && !this.#expired(oldest)) this.#warn()
      this.#remove(oldest)
    }
  }

  #warn(): void {
    this.#warned = true
    process.emitWarning(
      'The memory store of sessions is full and ends those that were unused for longest. ' +
        'Raise maxEntries or maxBytes, or use a store that keeps sessions outside of this process.',
      { type: 'SessionWarning', code: 'KTS_MEMORY_FULL' },
    )
  }
}

function bound(field: string, value: number, least: number): number {
  if (value === Infinity || (Number.isSafeInteger(value) && value >= least)) return value
  throw new SessionError(
    'ERR_SESSION_OPTIONS',
    `memory: ${field} must be a whole number of at least ${least}, or Infinity`,
  )
}

/** Ms that pass, whatever the system's clock is set to. */
function steady(): number {
  return performance.now()
}

function rejectClosed(verb: string): Promise<never> {
  return Promise.reject(new SessionError('ERR_SESSION_STORE', `memory: ${verb} after close`))
}

function rejectLarge(verb: string): Promise<never> {
  return Promise.reject(
    new SessionError('ERR_SESSION_LIMIT', `memory: ${verb} refused, the payload exceeds maxBytes`),
  )
}

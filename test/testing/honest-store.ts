import { SessionError } from '../../src/errors.ts'
import {
  VERSION_LENGTH,
  type Counting,
  type Entry,
  type Store,
  type StoreTraits,
  type Sweeping,
  type Written,
} from '../../src/store.ts'
import type { StoreHarness } from '../../src/testing/index.ts'

/** A minimal database: rows, a clock that stands still, and switches that make it fail or refuse. */
export class Backend {
  readonly rows: Map<string, Entry> = new Map()
  time = 1_750_000_000_000
  broken = false
  full = false

  /** One round trip, during which other calls may run. */
  async trip(): Promise<void> {
    await Promise.resolve()
    if (this.broken) throw new SessionError('ERR_SESSION_STORE', 'honest: the backend is down')
  }
}

/**
 * A store that keeps the whole contract, each verb in one step. The faulty stores of the tests are subclasses of it with one
 * fault each.
 */
export class HonestStore implements Store, Sweeping, Counting {
  readonly backend: Backend
  closed = false

  constructor(backend: Backend) {
    this.backend = backend
  }

  get traits(): StoreTraits {
    return {
      name: 'honest',
      location: 'server',
      revocable: true,
      shared: true,
      durable: true,
      resolution: 1,
      maxBytes: 2 * 1024 * 1024,
    }
  }

  async read(key: string, extendTo = 0): Promise<Entry | undefined> {
    await this.begin()
    const row = this.living(key)
    if (row === undefined) return undefined
    return this.put(key, row.payload, Math.max(row.expiresAt, extendTo)).entry
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    await this.begin()
    this.admit()
    this.measure(payload)
    return this.living(key) === undefined ? this.put(key, payload, expiresAt) : 'exists'
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    await this.begin()
    this.admit()
    this.measure(payload)
    const row = this.living(key)
    if (row === undefined) return 'gone'
    return this.same(row, base) ? this.put(key, payload, expiresAt) : 'conflict'
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    await this.begin()
    const row = this.living(key)
    if (row === undefined) return 'gone'
    this.put(key, row.payload, Math.max(row.expiresAt, expiresAt))
    return 'ok'
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    await this.begin()
    const row = this.living(key)
    if (row === undefined) return 'gone'
    if (base !== undefined && !this.same(row, base)) return 'conflict'
    this.backend.rows.delete(key)
    return 'ok'
  }

  async sweep(limit: number): Promise<number> {
    await this.begin()
    const expired = [...this.backend.rows.keys()].filter((key) => this.living(key) === undefined)
    const swept = expired.slice(0, limit)
    for (const key of swept) this.backend.rows.delete(key)
    return swept.length
  }

  async count(): Promise<number> {
    await this.begin()
    return [...this.backend.rows.keys()].filter((key) => this.living(key) !== undefined).length
  }

  async close(): Promise<void> {
    this.closed = true
  }

  async begin(): Promise<void> {
    if (this.closed) throw new SessionError('ERR_SESSION_STORE', 'honest: closed')
    await this.backend.trip()
  }

  admit(): void {
    if (this.backend.full)
      throw new SessionError('ERR_SESSION_STORE', 'honest: the backend is full', { answered: true })
  }

  measure(payload: string): void {
    if (Buffer.byteLength(payload) > this.traits.maxBytes) {
      throw new SessionError('ERR_SESSION_LIMIT', 'honest: the payload is too large')
    }
  }

  now(): number {
    return this.backend.time
  }

  living(key: string): Entry | undefined {
    const row = this.backend.rows.get(key)
    return row !== undefined && row.expiresAt > this.now() ? row : undefined
  }

  put(key: string, payload: string, expiresAt: number): Written {
    this.backend.rows.set(key, { payload, expiresAt })
    return { entry: { payload, expiresAt } }
  }

  same(row: Entry, base: Entry): boolean {
    return row.payload.slice(0, VERSION_LENGTH) === base.payload.slice(0, VERSION_LENGTH)
  }
}

/** Stores made by `open`, all on one new backend. */
export function harnessOf(open: (backend: Backend) => Store): StoreHarness {
  const backend = new Backend()
  return {
    open: () => open(backend),
    now: () => backend.time,
    advance: (ms) => {
      backend.time += ms
    },
    still: true,
    sweeps: true,
    counts: true,
    break: () => {
      backend.broken = true
    },
    mend: () => {
      backend.broken = false
    },
    refuse: () => {
      backend.full = true
    },
    admit: () => {
      backend.full = false
    },
  }
}

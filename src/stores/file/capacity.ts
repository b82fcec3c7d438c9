import { setTimeout as delay } from 'node:timers/promises'

/** A process counts the folder again after it has created this part of `maxEntries`: other processes create sessions too. */
const SHARE = 64
/** … or after so many, if that is more. */
const LEAST_BUDGET = 16
/** How many expired sessions are removed at a time to make room. */
const BATCH = 500
/** How long a `create` waits while expired sessions are removed, in ms, and how many do so. The others are refused at once. */
const PATIENCE = 1_000
const MOST_WAITING = 100
/** How long no room is looked for after there was none, in ms: at least this, and this many times as long as it took. */
const REST = 10_000
const REST_FACTOR = 10

interface CapacityOptions {
  readonly maxEntries: number
  readonly now: () => number
  /** Counts the sessions in the folder, the expired ones too. */
  readonly count: () => Promise<number>
  /** Removes up to `limit` expired sessions, and returns how many. */
  readonly sweep: (limit: number) => Promise<number>
}

/**
 * Keeps a folder below a number of sessions. This process knows what it has created and removed itself; it counts the folder from
 * time to time for what others have.
 */
export class Capacity {
  readonly #options: CapacityOptions
  /** The sessions in the folder, as far as this process knows. */
  #known = 0
  /** How many may be created before the folder is counted. */
  #budget: number
  /** Those of them that are being created at the moment. */
  #pending = 0
  /** Called when none is being created any more. */
  #onIdle: (() => void) | undefined
  #counting: Promise<void> | undefined
  #sweeping: Promise<void> | undefined
  #waiting = 0
  /** Until then no room is looked for. */
  #fullUntil = -Infinity

  constructor(options: CapacityOptions) {
    this.#options = options
    const budget = Math.floor(options.maxEntries / SHARE)
    this.#budget = budget < LEAST_BUDGET ? 0 : budget
  }

  /** Runs `create`, which answers whether it has created a session; `'full'` without that if there is no room, as far as is known. */
  async admit<T>(create: () => Promise<T>, hasCreated: (result: T) => boolean): Promise<T | 'full'> {
    const isFull = this.#known >= this.#options.maxEntries || this.#budget <= 0
    if (isFull || this.#counting !== undefined) return 'full'
    this.#known += 1
    this.#budget -= 1
    this.#pending += 1
    let isCreated = false
    try {
      const result = await create()
      isCreated = hasCreated(result)
      return result
    } finally {
      this.#pending -= 1
      if (!isCreated) this.removed(1)
      if (this.#pending === 0) this.#onIdle?.()
    }
  }

  /** So many sessions are no longer there. */
  removed(count: number): void {
    this.#known = Math.max(0, this.#known - count)
  }

  /** Whether there is room after all: counts the folder and, if it is full, removes expired sessions. */
  async makeRoom(): Promise<boolean> {
    const { maxEntries, now } = this.#options
    if (this.#budget <= 0 || this.#counting !== undefined) await this.#count()
    if (this.#known < maxEntries) return true
    if (now() < this.#fullUntil || this.#waiting >= MOST_WAITING) return false
    this.#waiting += 1
    const patience = new AbortController()
    try {
      this.#sweeping ??= this.#sweep().finally(() => {
        this.#sweeping = undefined
      })
      await Promise.race([
        this.#sweeping,
        delay(PATIENCE, undefined, { signal: patience.signal, ref: false }),
      ])
      return this.#known < maxEntries
    } finally {
      patience.abort()
      this.#waiting -= 1
    }
  }

  async #sweep(): Promise<void> {
    const { now, sweep } = this.#options
    const startedAt = performance.now()
    await sweep(BATCH)
    await this.#count()
    if (this.#known < this.#options.maxEntries) return
    const took = performance.now() - startedAt
    this.#fullUntil = now() + Math.max(REST, REST_FACTOR * took)
  }

  async #count(): Promise<void> {
    this.#counting ??= this.#countNow().finally(() => {
      this.#counting = undefined
    })
    await this.#counting
  }

  /** Nothing is created meanwhile: it would be counted or not, depending on where the count is. */
  async #countNow(): Promise<void> {
    const { count, maxEntries } = this.#options
    if (this.#pending > 0)
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    this.#known = await count()
    this.#budget = Math.max(LEAST_BUDGET, Math.floor(maxEntries / SHARE))
  }
}

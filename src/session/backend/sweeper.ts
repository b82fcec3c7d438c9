import { setImmediate as yieldToOthers, setTimeout as delay } from 'node:timers/promises'
import type { Events } from '../events.ts'
import type { GuardedStore } from './guarded-store.ts'
import { isSweeping } from '../../store.ts'

const BATCH = 500
/** A sweep rests between batches, twice as long as a batch took: requests come first. */
const REST = 2
/** A batch as short as this was in memory, or found little: no rest is needed. */
const SHORT_MS = 2
/** What the timer's sweep has not removed by then it leaves for the next time. */
const BUDGET_MS = 60_000

/** Removes expired entries from stores that do not do so by themselves: in small batches, on a timer that holds no process. */
export class Sweeper {
  readonly #guarded: GuardedStore
  readonly #events: Events
  readonly #interval: number
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #running: Promise<number> | undefined

  constructor(guarded: GuardedStore, events: Events, interval: number) {
    this.#guarded = guarded
    this.#events = events
    this.#interval = interval
  }

  /** Starts the timer, with jitter so that many processes do not sweep together; again and again does nothing. */
  start(): void {
    if (this.#timer !== undefined || this.#closed || this.#interval === 0) return
    if (!isSweeping(this.#guarded.store)) return
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        // A failure has been reported as an event; the next round tries again.
        void this.#sweep(BUDGET_MS)
          .catch(() => 0)
          .then(() => this.start())
      },
      this.#interval * (0.75 + Math.random() / 2),
    )
    this.#timer.unref()
  }

  /** Removes all that has expired by now; tells how many entries that were. One sweep at a time. */
  async sweep(): Promise<number> {
    return this.#sweep(Infinity)
  }

  async #sweep(budget: number): Promise<number> {
    this.#running ??= this.#sweepAll(budget).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Stops the timer and waits for the batch under way. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#running?.catch(() => 0)
  }

  async #sweepAll(budget: number): Promise<number> {
    const { store } = this.#guarded
    if (!isSweeping(store)) return 0
    const startedAt = performance.now()
    let removed = 0
    for (;;) {
      const batchAt = performance.now()
      const batch = await this.#guarded.calls.run('sweep', async () => store.sweep(BATCH))
      removed += batch
      const now = performance.now()
      if (batch < BATCH || this.#closed || now - startedAt > budget) break
      const took = now - batchAt
      await (took < SHORT_MS ? yieldToOthers() : delay(took * REST, undefined, { ref: budget === Infinity }))
    }
    if (removed > 0) this.#events.emit({ type: 'swept', removed, durationMs: performance.now() - startedAt })
    return removed
  }
}

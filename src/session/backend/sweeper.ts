import { AsyncResource } from 'node:async_hooks'
import { setImmediate as yieldToOthers } from 'node:timers/promises'
import type { Events } from '../events.ts'
import type { GuardedStore } from './guarded-store.ts'
import { isSweeping } from '../../store.ts'

const BATCH = 500
/** A sweep pauses between batches, this many times as long as the batch took, so that requests come first. */
const REST = 2
/** After a batch as short as this, in ms, no pause is needed. */
const SHORT_MS = 2
/** How long a sweep of the timer may take, in ms. The rest is left for the next one. */
const BUDGET_MS = 60_000

/** Removes expired entries from stores that do not do so by themselves: in small batches, on a timer that does not keep the process alive. */
export class Sweeper {
  readonly #guarded: GuardedStore
  readonly #events: Events
  readonly #interval: number
  /** Where the manager was made: the timer must not hold what belongs to the request that has started it. */
  readonly #origin = new AsyncResource('SessionSweeper')
  #timer: NodeJS.Timeout | undefined
  #closed = false
  #running: Promise<number> | undefined
  /** How long the sweep that runs may take, in ms. */
  #budget = 0
  /** The pause between two batches. */
  #rest: NodeJS.Timeout | undefined

  constructor(guarded: GuardedStore, events: Events, interval: number) {
    this.#guarded = guarded
    this.#events = events
    this.#interval = interval
  }

  /** Starts the timer, with jitter so that processes do not sweep at the same time. Does nothing if it is running. */
  start(): void {
    if (this.#timer !== undefined || this.#closed || this.#interval === 0) return
    if (!isSweeping(this.#guarded.store)) return
    this.#origin.runInAsyncScope(() => {
      this.#timer = setTimeout(
        () => {
          this.#timer = undefined
          // A failure was reported as an event; the next sweep tries again.
          void this.#sweep(BUDGET_MS)
            .catch(() => 0)
            .then(() => this.start())
        },
        this.#interval * (0.75 + Math.random() / 2),
      )
      this.#timer.unref()
    })
  }

  /**
   * Removes all that has expired by now, and returns how many entries that were. One sweep runs at a time: one that the timer has
   * begun goes on to the end.
   */
  async sweep(): Promise<number> {
    return this.#sweep(Infinity)
  }

  async #sweep(budget: number): Promise<number> {
    this.#budget = Math.max(this.#budget, budget)
    if (budget === Infinity) this.#rest?.ref() // the caller waits for it
    if (this.#running === undefined) {
      const running = this.#sweepAll()
      this.#running = running
      const over = (): void => {
        if (this.#running === running) this.#over()
      }
      running.then(over, over)
    }
    return this.#running
  }

  /** Stops the timer and waits for the batch that is running. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#running?.catch(() => 0)
  }

  async #sweepAll(): Promise<number> {
    const { store } = this.#guarded
    if (!isSweeping(store)) return 0
    const startedAt = performance.now()
    let removed = 0
    for (;;) {
      const batchAt = performance.now()
      const batch = await this.#guarded.calls.run('sweep', async () => store.sweep(BATCH))
      removed += batch
      const now = performance.now()
      if (batch < BATCH || this.#closed || now - startedAt > this.#budget) break
      const took = now - batchAt
      await (took < SHORT_MS ? yieldToOthers() : this.#pause(took * REST))
    }
    this.#over() // before a listener of the event asks for another sweep
    if (removed > 0) this.#events.emit({ type: 'swept', removed, durationMs: performance.now() - startedAt })
    return removed
  }

  #over(): void {
    this.#running = undefined
    this.#budget = 0
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#rest = setTimeout(resolve, ms)
      if (this.#budget < Infinity) this.#rest.unref()
    })
  }
}

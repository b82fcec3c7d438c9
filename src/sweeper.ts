import { setImmediate as yieldToOthers } from 'node:timers/promises'
import type { Events } from './events.ts'
import type { GuardedStore } from './guarded-store.ts'
import type { Sweeping } from './store.ts'

const BATCH = 500

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
        void this.sweep()
          .catch(() => 0)
          .then(() => this.start())
      },
      this.#interval * (0.75 + Math.random() / 2),
    )
    this.#timer.unref()
  }

  /** Removes all that has expired by now; tells how many entries that were. One sweep at a time. */
  async sweep(): Promise<number> {
    this.#running ??= this.#sweepAll().finally(() => {
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

  async #sweepAll(): Promise<number> {
    const { store } = this.#guarded
    if (!isSweeping(store)) return 0
    const startedAt = performance.now()
    let removed = 0
    for (let batch = BATCH; batch === BATCH && !this.#closed; await yieldToOthers()) {
      batch = await this.#guarded.run('sweep', async () => store.sweep(BATCH))
      removed += batch
    }
    if (removed > 0) this.#events.emit({ type: 'swept', removed, durationMs: performance.now() - startedAt })
    return removed
  }
}

function isSweeping(store: object): store is Sweeping {
  return 'sweep' in store && typeof store.sweep === 'function'
}

/** By when an opening or a commit must be over. It counts on the monotonic clock: a wall clock that jumps ends nothing. */
export interface Deadline {
  /** The setting that says so. */
  readonly setting: 'openTimeout' | 'commitTimeout' | 'timeout'
  readonly ms: number
  readonly startedAt: number
}

/** A deadline that begins now. */
export function startDeadline(setting: Deadline['setting'], ms: number): Deadline {
  return { setting, ms, startedAt: performance.now() }
}

/** That of a session that no commit has touched yet: a call outside of one would come too late. */
export const noStep: Deadline = { setting: 'commitTimeout', ms: 0, startedAt: 0 }

/** How many ms are left of it; 0 or less if it has passed. */
export function msLeft({ startedAt, ms }: Deadline): number {
  return startedAt + ms - performance.now()
}

interface Waiter {
  readonly until: number
  readonly giveUp: () => void
}

/** Node knows no longer timer; it would end at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/** Ends waiting when its time is up. All that wait share one timer, which holds no process. */
export class Deadlines {
  readonly #waiting = new Set<Waiter>()
  #timer: NodeJS.Timeout | undefined
  #wakesAt = Infinity

  /** What `promise` comes to; or a rejection with `late()`, should the deadline come first. What comes after it is ignored. */
  within<T>({ startedAt, ms }: Deadline, promise: Promise<T>, late: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiter = { until: startedAt + ms, giveUp: (): void => reject(late()) }
      this.#waiting.add(waiter)
      if (waiter.until < this.#wakesAt) this.#wakeAt(waiter.until)
      promise.then(
        (result) => {
          this.#waiting.delete(waiter)
          return resolve(result)
        },
        (error: unknown) => {
          this.#waiting.delete(waiter)
          return reject(error)
        },
      )
    })
  }

  /** The timer is set to the earliest deadline and left alone until then: a call that is answered in time costs none. */
  #wakeAt(moment: number): void {
    clearTimeout(this.#timer)
    this.#wakesAt = moment
    const wake = (): void => this.#wake()
    // Answers that came in while the process was busy are heard first.
    const ms = Math.min(Math.ceil(moment - performance.now()), LONGEST_TIMER)
    this.#timer = setTimeout(() => setImmediate(wake), ms)
    this.#timer.unref()
  }

  #wake(): void {
    const now = performance.now()
    let next = Infinity
    for (const waiter of this.#waiting) {
      if (waiter.until > now) next = Math.min(next, waiter.until)
      else {
        this.#waiting.delete(waiter)
        waiter.giveUp()
      }
    }
    this.#wakesAt = Infinity
    if (next < Infinity) this.#wakeAt(next)
  }
}

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
export const noDeadline: Deadline = { setting: 'commitTimeout', ms: 0, startedAt: 0 }

/** How many ms are left of it; 0 or less if it has passed. */
export function msLeft({ startedAt, ms }: Deadline): number {
  return startedAt + ms - performance.now()
}

/** Somebody who waits, in the ring of all who do. Unlike a `Set` it makes nothing that has to be cleared away. */
class Waiter {
  readonly until: number
  readonly giveUp: (() => void) | undefined
  before: Waiter = this
  after: Waiter = this

  constructor(until: number, giveUp?: () => void) {
    this.until = until
    this.giveUp = giveUp
  }

  join(ring: Waiter): void {
    this.after = ring
    this.before = ring.before
    ring.before.after = this
    ring.before = this
  }

  leave(): void {
    this.before.after = this.after
    this.after.before = this.before
    this.before = this
    this.after = this
  }
}

/** Node knows no longer timer; it would end at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/** Ends waiting when its time is up. All that wait share one timer, which holds no process. */
export class Deadlines {
  readonly #ring = new Waiter(Infinity)
  #timer: NodeJS.Timeout | undefined
  #wakesAt = Infinity

  /** What `promise` comes to; or a rejection with `late()`, should the deadline come first. What comes after it is ignored. */
  within<T>({ startedAt, ms }: Deadline, promise: Promise<T>, late: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(startedAt + ms, () => reject(late()))
      waiter.join(this.#ring)
      if (waiter.until < this.#wakesAt) this.#wakeAt(waiter.until)
      promise.then(
        (result) => {
          waiter.leave()
          return resolve(result)
        },
        (error: unknown) => {
          waiter.leave()
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
    for (let waiter = this.#ring.after, after; waiter !== this.#ring; waiter = after) {
      after = waiter.after
      if (waiter.until > now) next = Math.min(next, waiter.until)
      else {
        waiter.leave()
        waiter.giveUp?.()
      }
    }
    this.#wakesAt = Infinity
    if (next < Infinity) this.#wakeAt(next)
  }
}

/** The time by which a call must be done. It is measured with the monotonic clock, so a change of the system time has no effect. */
export interface Deadline {
  /** The option that sets the time limit. */
  readonly setting: 'openTimeout' | 'commitTimeout' | 'timeout'
  readonly ms: number
  readonly startedAt: number
}

/** A deadline that starts now. */
export function startDeadline(setting: Deadline['setting'], ms: number): Deadline {
  return { setting, ms, startedAt: performance.now() }
}

/** A deadline that has always passed: that of a session outside of a commit, where no call may begin. */
export const noDeadline: Deadline = { setting: 'commitTimeout', ms: 0, startedAt: 0 }

/** The ms that are left until the deadline; 0 or less if it has passed. */
export function msLeft({ startedAt, ms }: Deadline): number {
  return startedAt + ms - performance.now()
}

/** One pending call, as a link of a ring. Unlike a member of a `Set` it leaves no garbage behind. */
class Waiter {
  declare readonly until: number
  declare readonly giveUp: (() => void) | undefined
  declare before: Waiter
  declare after: Waiter

  /** @param ring the ring to join; without one it is a new ring */
  constructor(until: number, giveUp?: () => void, ring?: Waiter) {
    this.until = until
    this.giveUp = giveUp
    this.after = ring ?? this
    this.before = ring?.before ?? this
    this.before.after = this
    this.after.before = this
  }

  leave(): void {
    this.before.after = this.after
    this.after.before = this.before
    this.before = this
    this.after = this
  }
}

/** Node fires a timer at once if it is set to more ms than this. */
const LONGEST_TIMER = 2 ** 31 - 1

/** Rejects calls whose deadline passes. All pending calls share one timer, and it does not keep the process alive. */
export class Deadlines {
  readonly #ring = new Waiter(Infinity)
  #timer: NodeJS.Timeout | undefined
  #wakesAt = Infinity

  /**
   * The outcome of `promise`, or a rejection with `late()` if the deadline passes first. The call behind `promise` is not
   * cancelled: it may still take effect, and its outcome is ignored then.
   */
  within<T>({ startedAt, ms }: Deadline, promise: Promise<T>, late: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(startedAt + ms, () => reject(late()), this.#ring)
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

  /** Sets the timer to the earliest deadline. It is not reset when a call is answered, so a call in time needs no timer. */
  #wakeAt(moment: number): void {
    clearTimeout(this.#timer)
    this.#wakesAt = moment
    const wake = (): void => this.#wake()
    // After a busy spell, setImmediate lets the answers that have arrived meanwhile be processed first.
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

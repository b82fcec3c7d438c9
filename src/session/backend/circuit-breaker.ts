/** `closed`: calls go to the store. `open`: calls are refused. `probing`: one call tests whether the store is back. */
export type BreakerState = 'closed' | 'open' | 'probing'

/** Given to each call that is let through. A result counts only while the breaker's pass is still the same. */
export type Pass = number

/** So many failures in a row open the circuit. */
const FAILURES = 5
/** How long an open circuit refuses all calls before it lets a probe through. */
const PAUSE_MS = 1_000

/**
 * Circuit breaker: after several failures in a row, requests fail fast instead of waiting for the store, with one probe per
 * second. The idea is Nygard's, *Release It!*
 */
class Breaker {
  readonly #clock: () => number
  state: BreakerState = 'closed'
  /** How many calls have failed in a row. */
  failures = 0
  /** The pass of a call that is let through now. */
  pass: Pass = 0
  #openedAt = 0
  #pausesUntil = 0

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  /** Whether a call may probe the store now. Until it is over no other call may. */
  probe(): boolean {
    if (this.state !== 'open' || this.#clock() < this.#pausesUntil) return false
    this.state = 'probing'
    return true
  }

  /** The store answered. Returns for how many ms the circuit was open, if it was. */
  succeeded(): number | undefined {
    this.failures = 0
    if (this.state === 'closed') return undefined
    this.state = 'closed'
    return this.#clock() - this.#openedAt
  }

  /** The store failed. Returns whether this opens the circuit. */
  failed(pass: Pass): boolean {
    // A call from before the circuit opened says nothing about the store as it is now.
    if (pass !== this.pass) return false
    this.failures += 1
    if (this.state === 'closed' && this.failures < FAILURES) return false
    const opens = this.state === 'closed'
    const now = this.#clock()
    if (opens) this.#openedAt = now
    this.pass += 1
    this.state = 'open'
    this.#pausesUntil = now + PAUSE_MS
    return opens
  }
}

/** A circuit breaker. Its fields are for reading; they change only by its methods. */
export type CircuitBreaker = Readonly<Breaker>

export function createBreaker(clock?: () => number): CircuitBreaker {
  return new Breaker(clock)
}

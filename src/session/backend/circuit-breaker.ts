/** `closed`: calls go to the store. `open`: it is down, and calls are refused. `probing`: one call tries whether it is back. */
export type BreakerState = 'closed' | 'open' | 'probing'

/** What a call was let in with; what it comes to counts only while that is still the breaker's. */
export type Pass = number

/** After so many failures with no answer in between a store counts as down. */
const FAILURES = 5
/** For so long nobody asks a store that is down. */
const PAUSE_MS = 1_000

/**
 * Keeps requests from waiting for a store that is down: after a row of failures they are refused at once, and now and then one
 * of them tries whether the store is back. Nygard's circuit breaker, *Release It!*
 */
export class CircuitBreaker {
  readonly #clock: () => number
  #state: BreakerState = 'closed'
  #failures = 0
  #openedAt = 0
  #pausesUntil = 0
  #pass: Pass = 0

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  get state(): BreakerState {
    return this.#state
  }

  /** What a call that is let in now keeps until it is over. */
  get pass(): Pass {
    return this.#pass
  }

  /** Whether a call may try now if the store is back; until it is over no other one may. */
  probe(): boolean {
    if (this.#state !== 'open' || this.#clock() < this.#pausesUntil) return false
    this.#state = 'probing'
    return true
  }

  /** The store answered. If it counted as down until now, tells for how many ms. */
  succeeded(): number | undefined {
    this.#failures = 0
    if (this.#state === 'closed') return undefined
    this.#state = 'closed'
    return this.#clock() - this.#openedAt
  }

  /** The store failed. Tells whether it counts as down from now on. */
  failed(pass: Pass): boolean {
    // A call that was let in before the breaker opened says nothing about the store as it is now.
    if (pass !== this.#pass) return false
    this.#failures += 1
    if (this.#state === 'closed' && this.#failures < FAILURES) return false
    const opens = this.#state === 'closed'
    const now = this.#clock()
    if (opens) this.#openedAt = now
    this.#pass += 1
    this.#state = 'open'
    this.#pausesUntil = now + PAUSE_MS
    return opens
  }
}

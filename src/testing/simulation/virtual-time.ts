import type { StoreHarness } from '../harness.ts'
import { MINUTE } from '../trial.ts'

/** The idle timeout of the sessions, in ms. */
export const IDLE: number = 60 * MINUTE

/** How much time passes at once, in ms: less than the idle timeout, and more than half of it. */
const TURN: number = 36 * MINUTE

/**
 * The time of simulations that share a store. It passes for all of them at once: a simulation in which time is to pass waits
 * until all others want the same or have ended.
 */
export class VirtualTime {
  readonly #harness: StoreHarness
  readonly #waiting: (() => void)[] = []
  #running = 0
  /** How much time has passed for the stores while the clock of the harness stood still. */
  #unseen = 0

  constructor(harness: StoreHarness) {
    this.#harness = harness
  }

  /** Whether the managers' clock is turned with that of the store. Where it is not, a request does not know how old it is. */
  get isTurned(): boolean {
    return this.#harness.still === true
  }

  /** The clock of the harness, which managers use. */
  readonly clock = (): number => this.#harness.now()

  /** The present moment. Unlike {@link clock} it always moves on when time passes. */
  now(): number {
    return this.#harness.now() + this.#unseen
  }

  /** When an entry expires whose `expiresAt`, by the clock of the harness, is this. */
  until(expiresAt: number): number {
    return expiresAt + this.#unseen
  }

  join(): void {
    this.#running += 1
  }

  async leave(): Promise<void> {
    this.#running -= 1
    await this.#passIfDue()
  }

  /** Resolves when time has passed. */
  async pass(): Promise<void> {
    const passed = new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
    })
    await this.#passIfDue()
    await passed
  }

  async #passIfDue(): Promise<void> {
    if (this.#waiting.length === 0 || this.#waiting.length < this.#running) return
    const before = this.#harness.now()
    await this.#harness.advance(TURN)
    if (this.#harness.now() - before < TURN) this.#unseen += TURN
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

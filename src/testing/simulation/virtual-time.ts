import type { StoreHarness } from '../harness.ts'
import { MINUTE } from '../trial.ts'

/** A session that nobody uses for so long ends. */
export const IDLE: number = 60 * MINUTE

/** So much time passes at once: less than a session lives, more than half of it. */
const TURN: number = 36 * MINUTE

/**
 * The time of runs that share a store. It passes for all of them or for none, so a run that wants it to pass waits until
 * all the others want it too, or have ended.
 */
export class VirtualTime {
  readonly #harness: StoreHarness
  readonly #waiting: (() => void)[] = []
  #running = 0
  /** How much time has passed for the stores without the clock of the harness telling so. */
  #unseen = 0

  constructor(harness: StoreHarness) {
    this.#harness = harness
  }

  /** The harness's clock, which managers go by. */
  readonly clock = (): number => this.#harness.now()

  /** The moment by which lives are measured here: it moves on whenever time passes. */
  now(): number {
    return this.#harness.now() + this.#unseen
  }

  /** When an entry ends that lives until `expiresAt` by the harness's clock. */
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

  /** Lets time pass, with everybody else's consent. */
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

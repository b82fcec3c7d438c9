import { SpiedStore } from './spied-store.ts'

/** A memory store that delays every call while it is held, and then carries them out in order. */
export class HeldStore extends SpiedStore {
  #held: Promise<void> | undefined
  #release: () => void = () => {}

  constructor(now?: () => number) {
    super(now)
    this.before = async () => this.#held
  }

  /** From now on calls wait. */
  hold(): void {
    this.#held ??= new Promise((resolve) => (this.#release = resolve))
  }

  /** Carries out the calls that wait, and from now on every call at once. */
  release(): void {
    this.#held = undefined
    this.#release()
  }
}

import { SpiedStore } from './spied-store.ts'

/** A memory store that answers nothing while it is held, and then everything in order. */
export class HeldStore extends SpiedStore {
  #held: Promise<void> | undefined
  #release: () => void = () => {}

  constructor(now?: () => number) {
    super(now)
    this.before = async () => this.#held
  }

  /** From now on calls come and wait. */
  hold(): void {
    this.#held ??= new Promise((resolve) => (this.#release = resolve))
  }

  /** What waits is done now, and what comes is done at once. */
  release(): void {
    this.#held = undefined
    this.#release()
  }
}

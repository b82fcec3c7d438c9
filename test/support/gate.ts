/** A point where one request waits until the test lets it go on. */
export class Gate {
  #arrive: () => void = () => {}
  #open: () => void = () => {}
  /** Resolves when the request is at the gate. */
  readonly arrived: Promise<void> = new Promise((resolve) => (this.#arrive = resolve))
  readonly #opened: Promise<void> = new Promise((resolve) => (this.#open = resolve))

  /** The request is here, and waits. */
  async pass(): Promise<void> {
    this.#arrive()
    await this.#opened
  }

  /** The request goes on. */
  open(): void {
    this.#open()
  }
}

/** A point where requests wait until as many as expected are there. */
export class Barrier {
  readonly #gate = new Gate()
  #missing: number

  constructor(expected: number) {
    this.#missing = expected
  }

  async pass(): Promise<void> {
    this.#missing -= 1
    if (this.#missing === 0) this.#gate.open()
    await this.#gate.pass()
  }
}

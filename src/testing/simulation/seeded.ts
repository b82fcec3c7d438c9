import type { Choices } from './simulation.ts'

/** Pseudo-random choices (splitmix32): the same for the same seed. */
export class Seeded implements Choices {
  #state: number

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x85ebca6b)
  }

  pick(count: number): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let mixed = this.#state ^ (this.#state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) % count
  }
}

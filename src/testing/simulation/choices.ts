/** Decides which of several things comes next. */
export interface Choices {
  /** A whole number from 0 to below `count`. */
  pick(count: number): number
}

/** Choices by chance, and the same ones for the same seed. The generator is splitmix32. */
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

/** Every way through a tree of choices, one after the other, the deepest branch first. */
export class Branches implements Choices {
  readonly #taken: { choice: number; readonly of: number }[] = []
  #depth = 0

  pick(count: number): number {
    if (count === 1) return 0
    const known = this.#taken[this.#depth]
    this.#depth += 1
    if (known !== undefined) return known.choice
    this.#taken.push({ choice: 0, of: count })
    return 0
  }

  /** Goes back to where all began and turns to the next way; false if there is none left. */
  next(): boolean {
    this.#depth = 0
    for (let last = this.#taken.at(-1); last !== undefined; last = this.#taken.at(-1)) {
      last.choice += 1
      if (last.choice < last.of) return true
      this.#taken.pop()
    }
    return false
  }
}

import type { Choices } from './simulation.ts'

/** Goes through a tree of choices, every path once, depth first. */
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

  /** Goes back to the root and turns to the next path; false if there is none left. */
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

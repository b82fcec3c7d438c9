const FEW = 16

/**
 * Recognises repeated objects, and numbers objects in the order in which they were first seen.
 *
 * Three representations, for speed: most values have few objects, for which an array is faster than a Set. Most have no
 * repeated objects, so the Map of numbers, slower than a Set, is built when the first number is asked for.
 */
export class SeenObjects {
  #size = 0
  readonly #few: object[] = []
  #many: Set<object> | undefined
  #numbers: Map<object, number> | undefined

  get size(): number {
    return this.#size
  }

  /** Adds an object. Returns whether it had been seen before. */
  again(object: object): boolean {
    if (this.#numbers !== undefined) return this.#amongNumbered(this.#numbers, object)
    const many = this.#many
    if (many !== undefined) {
      many.add(object)
      if (many.size === this.#size) return true
    } else {
      const few = this.#few
      for (let i = 0; i < few.length; i++) if (few[i] === object) return true
      if (few.push(object) === FEW) this.#many = new Set(few)
    }
    this.#size++
    return false
  }

  /** The number of an object that was seen, from 0. */
  numberOf(object: object): number {
    if (this.#numbers === undefined) {
      this.#numbers = new Map()
      for (const seen of this.#many ?? this.#few) this.#numbers.set(seen, this.#numbers.size)
    }
    return this.#numbers.get(object) ?? -1
  }

  #amongNumbered(numbers: Map<object, number>, object: object): boolean {
    if (numbers.has(object)) return true
    numbers.set(object, this.#size++)
    return false
  }
}

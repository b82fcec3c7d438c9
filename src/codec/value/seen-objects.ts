const FEW = 16

/**
 * Recognises an object that is met again, and numbers objects in the order in which they were met. Most values consist of
 * a few objects, and to look through a short list costs less than a Set. Most consist of different ones, so numbers are
 * given out when the first is asked for: a Map costs more than a Set.
 */
export class SeenObjects {
  #size = 0
  readonly #few: object[] = []
  #many: Set<object> | undefined
  #numbers: Map<object, number> | undefined

  get size(): number {
    return this.#size
  }

  /** Whether the object was met before. Now it is. */
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

  /** The number of an object that was met, from 0. */
  numberOf(object: object): number {
    if (this.#numbers === undefined) {
      this.#numbers = new Map()
      for (const met of this.#many ?? this.#few) this.#numbers.set(met, this.#numbers.size)
    }
    return this.#numbers.get(object) ?? -1
  }

  #amongNumbered(numbers: Map<object, number>, object: object): boolean {
    if (numbers.has(object)) return true
    numbers.set(object, this.#size++)
    return false
  }
}

const FEW = 16

/**
 * Numbers objects in the order in which they are met, and recognises one that is met again. Most values consist of a
 * few objects, and to look through a short list costs less than a Map.
 */
export class Met {
  #size = 0
  readonly #few: object[] = []
  #many: Map<object, number> | undefined

  get size(): number {
    return this.#size
  }

  /** The number of an object, from 0, if it was met before; else -1, and it is met now. */
  again(object: object): number {
    if (this.#many !== undefined) return this.#amongMany(this.#many, object)
    const few = this.#few
    for (let i = 0; i < few.length; i++) if (few[i] === object) return i
    few.push(object)
    if (++this.#size === FEW) this.#many = new Map(few.map((known, index) => [known, index]))
    return -1
  }

  #amongMany(many: Map<object, number>, object: object): number {
    const number = many.get(object)
    if (number !== undefined) return number
    many.set(object, this.#size++)
    return -1
  }
}

/** What was frozen of a decoded value, and the state of the parts that cannot be: dates, Maps, Sets and bytes. */
export class FrozenValue {
  /** The parts that cannot be frozen, each followed by what it held. */
  readonly #held: unknown[] = []

  /**
   * Freezes the plain objects, arrays and instances of a value that was decoded just now.
   *
   * @param value without foreign parts (`ValueCodec.hasForeignParts`), so that it is a tree of what the decoder itself makes
   */
  constructor(value: unknown) {
    this.#freeze(value)
  }

  /** Whether everything is as it was decoded. */
  get isUnchanged(): boolean {
    const held = this.#held
    for (let i = 0; i < held.length; i += 2) if (!holds(held[i], held[i + 1])) return false
    return true
  }

  #freeze(value: unknown): void {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) for (let i = 0; i < value.length; i++) this.#freeze(value[i])
    else if (value instanceof Date) this.#held.push(value, value.getTime())
    else if (value instanceof Map) this.#freezeMembers(value, [...value.keys(), ...value.values()])
    else if (value instanceof Set) this.#freezeMembers(value, [...value])
    else if (value instanceof Uint8Array) {
      this.#held.push(value, Uint8Array.prototype.slice.call(value))
      Object.preventExtensions(value) // a view of bytes cannot be frozen
      return
    } else {
      const fields = value as Readonly<Record<string, unknown>> // the decoder makes only data properties
      for (const name of Object.keys(fields)) this.#freeze(fields[name])
    }
    Object.freeze(value)
  }

  #freezeMembers(collection: object, members: readonly unknown[]): void {
    for (const member of members) this.#freeze(member)
    this.#held.push(collection, members)
  }
}

function holds(part: unknown, before: unknown): boolean {
  if (part instanceof Date) return Object.is(part.getTime(), before)
  if (part instanceof Uint8Array) return before instanceof Uint8Array && Buffer.compare(part, before) === 0
  if (!Array.isArray(before)) return false
  if (part instanceof Map) return areSame([...part.keys(), ...part.values()], before)
  return part instanceof Set && areSame([...part], before)
}

/** Whether the lists have the same members, not only equal ones. */
function areSame(list: readonly unknown[], other: readonly unknown[]): boolean {
  return list.length === other.length && list.every((member, index) => Object.is(member, other[index]))
}

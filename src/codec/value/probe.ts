import {
  countKeys,
  hasGetter,
  hasOnlyElements,
  hasSlots,
  namesOf,
  ordinaryField,
  whatIsUndefined,
} from './own-properties.ts'
import type { Trail } from './path.ts'

/** Asks objects what they have of their own, and refuses, with its path, what cannot be kept. */
export class Probe {
  readonly #trail: Trail

  constructor(trail: Trail) {
    this.#trail = trail
  }

  namesOf(object: object): string[] {
    const names = namesOf(object)
    if (names === undefined) throw this.#trail.refused('a property named by a symbol cannot be kept')
    return names
  }

  /** The field of an object that has it. */
  read(object: object, name: string): unknown {
    const field = ordinaryField(object, name)
    if (field === undefined)
      throw this.#trail.refused('a getter, a setter or a hidden property cannot be kept', name)
    if (name === '__proto__') throw this.#trail.refused('a property of that name cannot be kept', name)
    return field.value
  }

  /** Whether an element is there, and not a hole. */
  hasElement(array: readonly unknown[], index: number): boolean {
    if (hasGetter(array, index)) throw this.#trail.refused('a getter cannot be kept', index)
    if (array[index] !== undefined) return true
    const what = whatIsUndefined(array, index)
    if (what === 'setter') throw this.#trail.refused('a setter cannot be kept', index)
    return what === 'value'
  }

  hasOnlyElements(array: readonly unknown[], holes: number): void {
    if (!hasOnlyElements(array, holes))
      throw this.#trail.refused('an array with named or hidden properties cannot be kept')
  }

  hasNoFields(object: object): void {
    if (countKeys(object) > 0)
      throw this.#trail.refused('a property on a built-in object cannot be kept', this.namesOf(object)[0])
  }

  /** That an object is nothing but its fields. */
  hasNoSlots(object: object): void {
    if (hasSlots(object))
      throw this.#trail.refused('an object of a built-in class with another prototype cannot be kept')
  }
}

import { types } from 'node:util'
import type { Limits } from './limits.ts'

const { isProxy } = types
const { getOwnPropertyDescriptor, getOwnPropertyNames, getOwnPropertySymbols, getPrototypeOf, keys } = Object

/**
 * Whether `value` is plain JSON: what `JSON.stringify` writes and `JSON.parse` brings back exactly as it was. One walk
 * tells, and no code of the value's runs in it: no getter, no trap, no `toJSON`.
 *
 * It also answers no to what is over a budget. Why the answer is no is for the encoder to find out.
 */
export function isPlain(value: unknown, limits: Limits): boolean {
  return new PlainWalk(limits).accepts(value, 0)
}

class PlainWalk {
  readonly #limits: Limits
  readonly #seen = new Set<object>()
  #units = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  accepts(value: unknown, depth: number): boolean {
    if (typeof value === 'string') return (this.#units += value.length) <= this.#limits.keyBytes
    if (typeof value === 'number') return Number.isFinite(value) && (value !== 0 || 1 / value > 0)
    if (typeof value === 'boolean' || value === null) return true
    return typeof value === 'object' && this.#enters(value, depth) && this.#holdsPlain(value, depth + 1)
  }

  /** Counts the object. The same one twice is no plain JSON: it would come back as two. */
  #enters(value: object, depth: number): boolean {
    if (depth >= this.#limits.depth || isProxy(value) || this.#seen.has(value)) return false
    this.#seen.add(value)
    return this.#seen.size <= this.#limits.nodes
  }

  #holdsPlain(value: object, depth: number): boolean {
    if (getOwnPropertySymbols(value).length > 0) return false
    return Array.isArray(value) ? this.#holdsElements(value, depth) : this.#holdsFields(value, depth)
  }

  #holdsElements(array: readonly unknown[], depth: number): boolean {
    if (getPrototypeOf(array) !== Array.prototype || array.length > this.#limits.keyBytes) return false
    const { length } = array
    // The number of own names tells holes and named properties; an accessor among them shows in its descriptor.
    if (keys(array).length !== length) return false
    for (let i = 0; i < length; i++) if (!this.accepts(array[i], depth)) return false
    return true
  }

  #holdsFields(object: object, depth: number): boolean {
    if (getPrototypeOf(object) !== Object.prototype) return false
    const names = getOwnPropertyNames(object)
    for (const name of names) {
      const field = getOwnPropertyDescriptor(object, name)
      if (field === undefined || field.enumerable !== true || !('value' in field) || name === '__proto__')
        return false
      this.#units += name.length
      if (!this.accepts(field.value, depth)) return false
    }
    return true
  }
}

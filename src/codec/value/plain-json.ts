import { types } from 'node:util'
import type { Limits } from '../limits.ts'
import { SeenObjects } from './seen-objects.ts'
import {
  hasGetter,
  hasOnlyElements,
  hasSlots,
  mayHaveSlots,
  namesOf,
  ordinaryField,
} from './own-properties.ts'

const { isProxy } = types

/**
 * Whether `value` is plain JSON: what `JSON.stringify` writes and `JSON.parse` brings back exactly as it was. One walk
 * tells, and no code of the value's runs in it.
 *
 * It also answers no to what is over a budget, and to an object that appears twice, as it would come back as two. Why
 * the answer is no is for the encoder to find out.
 */
export function isPlain(value: unknown, limits: Limits): boolean {
  if (isPlainScalar(value)) return true
  if (typeof value !== 'object' || value === null || 'toJSON' in Array.prototype) return false
  const walk = new Walk(limits)
  return walk.accepts(value, 1) && walk.units <= limits.keyBytes
}

/** Whether JSON has a text for a value that is no object. */
export function isPlainScalar(value: unknown): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  return typeof value === 'number' && isPlainNumber(value)
}

function isPlainNumber(value: number): boolean {
  return Number.isFinite(value) && (value !== 0 || 1 / value > 0)
}

class Walk {
  /** The length of all strings so far: one long string, held a thousand times, is a gigabyte of text. */
  units = 0
  readonly #limits: Limits
  readonly #met = new SeenObjects()

  constructor(limits: Limits) {
    this.#limits = limits
  }

  accepts(object: object, depth: number): boolean {
    if (isProxy(object) || depth > this.#limits.depth) return false
    if (this.#met.again(object) || this.#met.size > this.#limits.nodes) return false
    const prototype: unknown = Object.getPrototypeOf(object)
    if (prototype === Object.prototype) return this.#holdsFields(object, depth)
    return prototype === Array.prototype && Array.isArray(object) && this.#holdsElements(object, depth)
  }

  #holdsElements(array: readonly unknown[], depth: number): boolean {
    const { length } = array
    // An element takes two bytes at least, so a longer one is over its budget before it is looked at.
    if (length * 2 > this.#limits.keyBytes || !hasOnlyElements(array, 0)) return false
    for (let i = 0; i < length; i++) {
      if (hasGetter(array, i) || !this.#holds(array[i], depth)) return false
    }
    return true
  }

  #holdsFields(object: object, depth: number): boolean {
    const names = namesOf(object)
    if (names === undefined || (mayHaveSlots(names) && hasSlots(object))) return false
    for (let i = 0; i < names.length; i++) {
      const name = names[i] ?? ''
      const field = ordinaryField(object, name)
      if (field === undefined || name === '__proto__') return false
      this.units += name.length
      if (!this.#holds(field.value, depth)) return false
    }
    return true
  }

  #holds(value: unknown, depth: number): boolean {
    if (typeof value === 'string') this.units += value.length
    else if (typeof value === 'number') return isPlainNumber(value)
    else if (typeof value === 'object') return value === null || this.accepts(value, depth + 1)
    return typeof value === 'string' || typeof value === 'boolean'
  }
}

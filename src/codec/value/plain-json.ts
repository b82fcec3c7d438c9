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
 * Whether `value` is plain JSON: `JSON.parse(JSON.stringify(value))` would be exactly equal. It walks the value once
 * without running code of its objects.
 *
 * It returns `false` also for values over a limit, and for an object that appears twice, which would come back as two.
 * The encoder then reports what is wrong.
 */
export function isPlain(value: unknown, limits: Limits): boolean {
  if (isPlainScalar(value)) return true
  if (typeof value !== 'object' || value === null || 'toJSON' in Array.prototype) return false
  const walk = new Walk(limits)
  return walk.object(value, 1) && walk.units <= limits.keyBytes
}

/** Whether a value is a scalar that JSON can represent. */
export function isPlainScalar(value: unknown): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  return typeof value === 'number' && isPlainNumber(value)
}

function isPlainNumber(value: number): boolean {
  return Number.isFinite(value) && (value !== 0 || 1 / value > 0)
}

class Walk {
  /** The length of all strings so far: one long string that is referenced a thousand times is a gigabyte of text. */
  units = 0
  #names = 0
  readonly #limits: Limits
  readonly #seen = new SeenObjects()

  constructor(limits: Limits) {
    this.#limits = limits
  }

  object(object: object, depth: number): boolean {
    if (isProxy(object) || depth > this.#limits.depth) return false
    if (this.#seen.again(object) || this.#seen.size > this.#limits.nodes) return false
    const prototype: unknown = Object.getPrototypeOf(object)
    if (prototype === Object.prototype) return this.#fields(object, depth)
    return prototype === Array.prototype && Array.isArray(object) && this.#elements(object, depth)
  }

  #elements(array: readonly unknown[], depth: number): boolean {
    const { length } = array
    // Each element takes at least two bytes, so a longer array is over its limit whatever is in it.
    if (length * 2 > this.#limits.keyBytes) return false
    for (let i = 0; i < length; i++) {
      if (hasGetter(array, i) || !this.#part(array[i], depth)) return false
    }
    return hasOnlyElements(array, 0) // last, because it takes longer than to find most other reasons
  }

  #fields(object: object, depth: number): boolean {
    const names = namesOf(object)
    if (names === undefined) return false
    this.#names += names.length
    if (this.#names > this.#limits.names || (mayHaveSlots(names) && hasSlots(object))) return false
    for (let i = 0; i < names.length; i++) {
      const name = names[i] ?? ''
      const field = ordinaryField(object, name)
      if (field === undefined || name === '__proto__') return false
      this.units += name.length
      if (!this.#part(field.value, depth)) return false
    }
    return true
  }

  #part(value: unknown, depth: number): boolean {
    if (typeof value === 'string') this.units += value.length
    else if (typeof value === 'number') return isPlainNumber(value)
    else if (typeof value === 'object') return value === null || this.object(value, depth + 1)
    return typeof value === 'string' || typeof value === 'boolean'
  }
}

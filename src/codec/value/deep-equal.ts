import { types } from 'node:util'
import type { ClassPlans } from './class-plan.ts'
import type { Step } from './path.ts'

/**
 * Compares a value with its decoded copy: prototypes, names and members with their order, bytes, and which parts are the
 * same object. Returns the path to the first difference, or `undefined` if there is none.
 */
export function findDifference(before: unknown, after: unknown, plans: ClassPlans): Step[] | undefined {
  return new Comparison(plans).compare(before, after)
}

class Comparison {
  readonly #plans: ClassPlans
  readonly #copies = new Map<object, object>()
  readonly #originals = new Map<object, object>()

  constructor(plans: ClassPlans) {
    this.#plans = plans
  }

  compare(before: unknown, after: unknown): Step[] | undefined {
    if (typeof before !== 'object' || before === null || typeof after !== 'object' || after === null)
      return Object.is(before, after) ? undefined : []
    // Each object has exactly one copy, so shared references and cycles are the same on both sides.
    if (this.#copies.has(before) || this.#originals.has(after))
      return this.#copies.get(before) === after && this.#originals.get(after) === before ? undefined : []
    this.#copies.set(before, after)
    this.#originals.set(after, before)

    const prototype: object | null = Object.getPrototypeOf(before)
    if (prototype !== Object.getPrototypeOf(after)) return []
    if (prototype === Object.prototype || prototype === null) return this.#compareFields(before, after)
    if (Array.isArray(before) && Array.isArray(after)) return this.#compareElements(before, after)
    const plan = this.#plans.planOf(prototype)
    if (plan?.hooks !== undefined) return this.compare(plan.hooks.encode(before), plan.hooks.encode(after))
    if (plan !== undefined) return this.#compareFields(before, after)
    if (!hasSameContent(before, after)) return []
    if (ArrayBuffer.isView(before)) return undefined // its bytes were compared, and it has no named properties
    return this.#compareMembers(before, after) ?? this.#compareFields(before, after)
  }

  #compareMembers(before: object, after: object): Step[] | undefined {
    if (types.isMap(before) && types.isMap(after)) {
      const [keys, values] = [[...after.keys()], [...after.values()]]
      return (
        this.#compareLists([...before.keys()], keys, 'key') ??
        this.#compareLists([...before.values()], values, 'value')
      )
    }
    if (types.isSet(before) && types.isSet(after))
      return this.#compareLists([...before], [...after], 'member')
    return undefined
  }

  #compareLists(
    before: readonly unknown[],
    after: readonly unknown[],
    part: 'key' | 'value' | 'member',
  ): Step[] | undefined {
    if (before.length !== after.length) return []
    for (const [index, member] of before.entries()) {
      const difference = this.compare(member, after[index])
      if (difference !== undefined) return [{ part, index }, ...difference]
    }
    return undefined
  }

  /** The encoder has refused all arrays that have more than elements and holes. */
  #compareElements(before: readonly unknown[], after: readonly unknown[]): Step[] | undefined {
    if (before.length !== after.length) return []
    for (let i = 0; i < before.length; i++) {
      const element = before[i]
      if (element === undefined && Object.hasOwn(before, i) !== Object.hasOwn(after, i)) return [i]
      const difference = this.compare(element, after[i])
      if (difference !== undefined) return [i, ...difference]
    }
    return undefined
  }

  /** The encoder has refused all objects that have other fields than enumerable ones with a value, except errors. */
  #compareFields(before: object, after: object): Step[] | undefined {
    const names = Object.keys(before)
    const copies = Object.keys(after)
    if (names.length !== copies.length) return []
    const [original, copy] = [before as Record<string, unknown>, after as Record<string, unknown>]
    for (let i = 0; i < names.length; i++) {
      const name = names[i] ?? ''
      if (name !== copies[i]) return []
      const difference = this.compare(original[name], copy[name])
      if (difference !== undefined) return [name, ...difference]
    }
    return types.isNativeError(before) ? this.#compareHidden(before, after) : undefined
  }

  /** Compares the fields of errors that are not enumerable, except the stack, which is not stored. */
  #compareHidden(before: Error, after: object): Step[] | undefined {
    for (const name of ['message', 'cause', 'errors']) {
      const original = Object.getOwnPropertyDescriptor(before, name)
      const copy = Object.getOwnPropertyDescriptor(after, name)
      if (original?.enumerable !== copy?.enumerable) return [name]
      const difference = this.compare(original?.value, copy?.value)
      if (difference !== undefined) return [name, ...difference]
    }
    return undefined
  }
}

/** Compares the internal state of built-in objects, except the members of Map and Set. */
function hasSameContent(before: object, after: object): boolean {
  if (types.isDate(before)) return types.isDate(after) && Object.is(before.getTime(), after.getTime())
  if (types.isRegExp(before)) return types.isRegExp(after) && String(before) === String(after)
  if (before instanceof URL) return after instanceof URL && before.href === after.href
  if (types.isNativeError(before)) return types.isNativeError(after)
  if (types.isArrayBuffer(before))
    return types.isArrayBuffer(after) && Buffer.from(before).equals(Buffer.from(after))
  if (ArrayBuffer.isView(before)) return ArrayBuffer.isView(after) && bytesOf(before).equals(bytesOf(after))
  return types.isMap(before) === types.isMap(after) && types.isSet(before) === types.isSet(after)
}

function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength)
}

import { types } from 'node:util'
import type { Registry } from '../../registry.ts'
import type { Step } from './path.ts'

/**
 * Compares a value with what came back of it: prototypes, names and their order, members and theirs, bytes, and which
 * parts are one and the same object. Returns the path to the first difference, or `undefined` if there is none.
 */
export function findDifference(before: unknown, after: unknown, registry: Registry): Step[] | undefined {
  return new Comparison(registry).compare(before, after)
}

class Comparison {
  readonly #registry: Registry
  readonly #there = new Map<object, object>()
  readonly #back = new Map<object, object>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  compare(before: unknown, after: unknown): Step[] | undefined {
    if (typeof before !== 'object' || before === null || typeof after !== 'object' || after === null)
      return Object.is(before, after) ? undefined : []
    // Each object has one counterpart, so sharing and cycles are the same on both sides.
    if (this.#there.has(before) || this.#back.has(after))
      return this.#there.get(before) === after && this.#back.get(after) === before ? undefined : []
    this.#there.set(before, after)
    this.#back.set(after, before)

    const prototype: object | null = Object.getPrototypeOf(before)
    if (prototype !== Object.getPrototypeOf(after)) return []
    const hooks = prototype === null ? undefined : this.#registry.planOf(prototype)?.hooks
    if (hooks !== undefined) return this.compare(hooks.encode(before), hooks.encode(after))
    if (!hasSameContent(before, after)) return []
    if (ArrayBuffer.isView(before)) return undefined // its elements are own properties, and were compared
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

  #compareFields(before: object, after: object): Step[] | undefined {
    const names = namesOf(before)
    if (!isEqual(Object.keys(before), Object.keys(after)) || names.length !== namesOf(after).length) return []
    for (const name of names) {
      const [mine, theirs] = [
        Object.getOwnPropertyDescriptor(before, name),
        Object.getOwnPropertyDescriptor(after, name),
      ]
      const step = Array.isArray(before) && typeof name === 'string' ? Number(name) : String(name)
      if (mine?.enumerable !== theirs?.enumerable) return [step]
      const difference = this.compare(mine?.value, theirs?.value)
      if (difference !== undefined) return [step, ...difference]
    }
    return undefined
  }
}

/** What an object of a built-in class holds besides properties and members. */
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

/** All names but an error's stack, which is not kept. */
function namesOf(object: object): (string | symbol)[] {
  const names = Reflect.ownKeys(object)
  return types.isNativeError(object) ? names.filter((name) => name !== 'stack') : names
}

function isEqual(before: readonly string[], after: readonly string[]): boolean {
  return before.length === after.length && before.every((name, index) => name === after[index])
}

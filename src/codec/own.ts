import { types } from 'node:util'

/**
 * What an object has of its own, found out without running code of its own: no getter, no iterator, no `toJSON`. Proxies
 * are to be sorted out before.
 */

const { getOwnPropertyDescriptor, getOwnPropertyNames, getOwnPropertySymbols, keys } = Object
const { ownKeys } = Reflect

// Part of the language, if only in an annex; for the elements of an array it costs a third of asking for a descriptor.
const lookupGetter = Reflect.get(Object.prototype, '__lookupGetter__') as (
  this: object,
  name: number,
) => unknown

/** The own names, or `undefined` if there are symbols among them. */
export function namesOf(object: object): string[] | undefined {
  return getOwnPropertySymbols(object).length === 0 ? getOwnPropertyNames(object) : undefined
}

/** How many own names and symbols there are. */
export function countKeys(object: object): number {
  return ownKeys(object).length
}

/** Whether an array with so many holes has no names but its indices and `length`, and hides none of its elements. */
export function hasOnlyElements(array: readonly unknown[], holes: number): boolean {
  const elements = array.length - holes
  return keys(array).length === elements && ownKeys(array).length === elements + 1
}

/** The own property, if it is an ordinary one: enumerable, and with a value instead of a getter or setter. */
export function ordinaryField(object: object, name: string): PropertyDescriptor | undefined {
  const field = getOwnPropertyDescriptor(object, name)
  if (field === undefined || field.enumerable !== true) return undefined
  return field.get === undefined && field.set === undefined ? field : undefined
}

/** Whether an object with these fields may be one of a built-in class: most of those have none, and some have indices. */
export function mayHaveSlots(names: readonly string[]): boolean {
  return names.length === 0 || names[0] === '0'
}

/** Whether an object has more than its fields, whatever its prototype is now. Of some classes nobody can tell. */
export function hasSlots(object: object): boolean {
  return (
    types.isMap(object) ||
    types.isSet(object) ||
    types.isDate(object) ||
    ArrayBuffer.isView(object) ||
    types.isAnyArrayBuffer(object) ||
    types.isPromise(object) ||
    types.isBoxedPrimitive(object) ||
    types.isWeakMap(object) ||
    types.isWeakSet(object) ||
    types.isGeneratorObject(object) ||
    types.isMapIterator(object) ||
    types.isSetIterator(object)
  )
}

/** Whether reading this element would run a getter. */
export function hasGetter(array: readonly unknown[], index: number): boolean {
  return lookupGetter.call(array, index) !== undefined
}

/** What it is that reads as `undefined` there: that value, nothing at all, or a setter without a getter. */
export function whatIsUndefined(array: readonly unknown[], index: number): 'value' | 'hole' | 'setter' {
  const element = getOwnPropertyDescriptor(array, index)
  if (element === undefined) return 'hole'
  return 'value' in element ? 'value' : 'setter'
}

import { inspect, types } from 'node:util'

/**
 * What an object has of its own, found out without running code of its own: no getter, no iterator, no `toJSON`. Proxies
 * are to be sorted out before.
 */

const { getOwnPropertyDescriptor, getOwnPropertyNames, getOwnPropertySymbols, hasOwn, keys } = Object
const { ownKeys } = Reflect
const { isTypedArray } = types

// Part of the language, if only in an annex; for the elements of an array it costs a third of asking for a descriptor.
const lookupGetter = Reflect.get(Object.prototype, '__lookupGetter__') as (
  this: object,
  name: number,
) => unknown

// What all typed arrays inherit, whatever names one of them has of its own.
const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype)
const subarray = Reflect.get(typedArray, 'subarray') as (this: object, start: number) => object
const lengthOf = Reflect.getOwnPropertyDescriptor(typedArray, 'length')?.get as (this: object) => number
/** What would be asked for on the way to a view's names, and must be the language's own. */
const ASKED = ['constructor', 'length', 'byteLength', 'byteOffset', 'buffer', 'BYTES_PER_ELEMENT']

/** From so many elements on it is dear to list all own keys. */
const LONG = 200
const NAMES = { showHidden: true, customInspect: false, maxArrayLength: 0, depth: 0, breakLength: Infinity }

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
  if (keys(array).length !== elements) return false
  if (
    array.length > LONG &&
    hasNoNames(array, `[ ... ${array.length} more items, [length]: ${array.length} ]`)
  )
    return true
  return ownKeys(array).length === elements + 1
}

/** Whether a view on memory has no names but the indices of its elements. */
export function hasOnlyBytes(view: ArrayBufferView): boolean {
  // Of a DataView it would be `undefined`: only typed arrays have elements.
  const elements = isTypedArray(view) ? lengthOf.call(view) : 0
  if (elements > LONG && !ASKED.some((name) => hasOwn(view, name))) {
    // Another view on the same bytes, which nobody has given a name.
    const bare = inspect(subarray.call(view, 0), NAMES)
    if (hasNoNames(view, bare)) return true
  }
  return ownKeys(view).length === elements
}

/**
 * Whether an array or a view looks to Node's inspector as it does without names of its own. The inspector is the one that can tell
 * the names from the indices without making text of every index, which takes a tenth of a second for half a megabyte.
 */
function hasNoNames(list: object, bare: string): boolean {
  return getOwnPropertySymbols(list).length === 0 && inspect(list, NAMES) === bare
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

import { inspect, types } from 'node:util'

// Reads and defines own properties without running code of the objects: no getter, no iterator, no `toJSON`. Callers
// must have excluded proxies.

const { getOwnPropertyDescriptor, getOwnPropertyNames, getOwnPropertySymbols, hasOwn, keys } = Object
const { ownKeys } = Reflect
const { isTypedArray } = types

// Standardized in annex B. For the elements of an array it costs a third of asking for a descriptor.
const lookupGetter = Reflect.get(Object.prototype, '__lookupGetter__') as (
  this: object,
  name: number,
) => unknown

// The methods that all typed arrays inherit, even if one of them has an own property of that name.
const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype)
const subarray = Reflect.get(typedArray, 'subarray') as (this: object, start: number) => object
const lengthOf = Reflect.getOwnPropertyDescriptor(typedArray, 'length')?.get as (this: object) => number
/** The properties of a view that `subarray` or `inspect` reads, and which must therefore be the inherited ones. */
const READ_BY_INSPECT = ['constructor', 'length', 'byteLength', 'byteOffset', 'buffer', 'BYTES_PER_ELEMENT']

/** From these lengths on, listing all own keys of an array or a view is slower than {@link hasNoNames}. */
const LONG_ARRAY = 200
const LONG_VIEW = 600
const NAMES_ONLY = {
  showHidden: true,
  customInspect: false,
  maxArrayLength: 0,
  depth: 0,
  breakLength: Infinity,
}

/** The own names of an object; `undefined` if it also has symbols. */
export function namesOf(object: object): string[] | undefined {
  return getOwnPropertySymbols(object).length === 0 ? getOwnPropertyNames(object) : undefined
}

/** The number of own names and symbols. */
export function countKeys(object: object): number {
  return ownKeys(object).length
}

/** Whether an array with this number of holes has no own keys but its indices and `length`, all indices enumerable. */
export function hasOnlyElements(array: readonly unknown[], holes: number): boolean {
  const elements = array.length - holes
  if (keys(array).length !== elements) return false
  if (
    array.length > LONG_ARRAY &&
    hasNoNames(array, `[ ... ${array.length} more items, [length]: ${array.length} ]`)
  )
    return true
  return ownKeys(array).length === elements + 1
}

/** Whether a typed array or DataView has no own keys but the indices of its elements. */
export function hasOnlyBytes(view: ArrayBufferView): boolean {
  // A DataView has no elements.
  const elements = isTypedArray(view) ? lengthOf.call(view) : 0
  if (elements > LONG_VIEW && !READ_BY_INSPECT.some((name) => hasOwn(view, name))) {
    // A second view on the same bytes, which has no names of its own.
    const bare = inspect(subarray.call(view, 0), NAMES_ONLY)
    if (hasNoNames(view, bare)) return true
  }
  return ownKeys(view).length === elements
}

/**
 * Whether Node's `inspect` prints a list just like one without named properties. It can list the names without making a
 * string of every index, which takes a tenth of a second for half a megabyte.
 */
function hasNoNames(list: object, bare: string): boolean {
  return getOwnPropertySymbols(list).length === 0 && inspect(list, NAMES_ONLY) === bare
}

/** The descriptor of an own property that is enumerable and has a value; `undefined` for any other. */
export function ordinaryField(object: object, name: string): PropertyDescriptor | undefined {
  const field = getOwnPropertyDescriptor(object, name)
  if (field === undefined || field.enumerable !== true) return undefined
  return field.get === undefined && field.set === undefined ? field : undefined
}

/**
 * Whether an object with these names may have internal slots. Built-in objects have no own names, or indices, so all
 * others need not be asked.
 */
export function mayHaveSlots(names: readonly string[]): boolean {
  return names.length === 0 || names[0] === '0'
}

/** Whether an object has internal slots, whatever its prototype is. Some built-in classes cannot be recognised. */
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

/** Why an element without a getter reads as `undefined`: it has that value, it is a hole, or it has only a setter. */
export function whyUndefined(array: readonly unknown[], index: number): 'value' | 'hole' | 'setter' {
  const element = getOwnPropertyDescriptor(array, index)
  if (element === undefined) return 'hole'
  return 'value' in element ? 'value' : 'setter'
}

/**
 * Gives `target` an own property, whatever it inherits. A plain assignment of a name from a forged payload could call an
 * inherited setter or change the prototype.
 */
export function define(target: object, name: string, value: unknown): void {
  if (name in target) {
    Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true })
  } else {
    // The name is neither own nor inherited, so an assignment creates an own property, and is several times faster.
    const record = target as Record<string, unknown>
    record[name] = value
  }
}

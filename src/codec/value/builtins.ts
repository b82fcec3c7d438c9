import { whereRegistered } from './registered-classes.ts'

/** How instances of a built-in class are written. Arrays and plain objects are handled separately. */
export type Kind = 'Date' | 'Map' | 'Set' | 'Uint8Array' | 'Buffer' | 'Error' | 'leaf'

/** The error classes of the language. Others must be registered. */
export const errorTypes: ReadonlyMap<string, ErrorConstructor> = new Map(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [
    type.name,
    type,
  ]),
)

/** The typed arrays other than bytes, and DataView. */
export const viewTypes: ReadonlyMap<string, new (buffer: ArrayBuffer) => ArrayBufferView> = new Map(
  [
    Int8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
    DataView,
  ].map((type): [string, new (buffer: ArrayBuffer) => ArrayBufferView] => [type.name, type]),
)

const kinds: ReadonlyMap<object, Kind> = new Map<object, Kind>([
  [Date.prototype, 'Date'],
  [Map.prototype, 'Map'],
  [Set.prototype, 'Set'],
  [Uint8Array.prototype, 'Uint8Array'],
  [Buffer.prototype, 'Buffer'],
  [AggregateError.prototype, 'Error'],
  ...Array.from(errorTypes.values(), (type): [object, Kind] => [type.prototype, 'Error']),
  [URL.prototype, 'leaf'],
  [RegExp.prototype, 'leaf'],
  [ArrayBuffer.prototype, 'leaf'],
  ...Array.from(viewTypes.values(), (type): [object, Kind] => [type.prototype, 'leaf']),
])

/** How instances with this prototype are written; `undefined` if they cannot be stored. */
export function kindOf(prototype: object): Kind | undefined {
  return kinds.get(prototype)
}

const prototypes: ReadonlySet<unknown> = new Set<unknown>([
  ...kinds.keys(),
  Object.getPrototypeOf(Uint8Array.prototype),
  ...[Array, Boolean, Number, String, Symbol, BigInt, Function, Promise].map((type) => type.prototype),
  ...[WeakMap, WeakSet, WeakRef, FinalizationRegistry].map((type) => type.prototype),
  ...[SharedArrayBuffer, URLSearchParams, EventTarget, AbortSignal].map((type) => type.prototype),
])

/** Whether `prototype` belongs to a built-in class, whose instances may have state that is not in properties. */
export function isBuiltin(prototype: object): boolean {
  return prototypes.has(prototype)
}

/** Why an object with this prototype cannot be stored. It names the class, which is code, and no data. */
export function describe(prototype: object): string {
  const type: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  const name: unknown = typeof type === 'function' ? type.name : ''
  if (typeof name !== 'string' || name === '') return 'an object with a custom prototype cannot be stored'
  if (kindOf(prototype) !== undefined) return `it has the prototype of ${name}, but is not one`
  if (name === 'Object' || name === 'Array') return `an ${name} of another realm cannot be stored`
  const what = `a value of class ${name} cannot be stored: the class is`
  const where = whereRegistered(prototype)
  if (where === undefined) return `${what} not registered`
  return where === 'another copy'
    ? `${what} registered with another copy of koa-typed-session; find the copies with npm ls koa-typed-session, and keep one`
    : `${what} registered with another registry than that of this session`
}

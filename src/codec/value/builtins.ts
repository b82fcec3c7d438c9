/** The built-in classes whose instances can be kept, by how they are written. Arrays and plain objects are apart. */
export type Kind = 'Date' | 'Map' | 'Set' | 'Uint8Array' | 'Buffer' | 'Error' | 'leaf'

/** The errors of the language. Others are classes to register. */
export const errorTypes: ReadonlyMap<string, ErrorConstructor> = new Map(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [
    type.name,
    type,
  ]),
)

/** Views on memory, other than bytes. */
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

/** How instances with this prototype are written; `undefined` for all that cannot be kept. */
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

/** Whether `prototype` belongs to a class of the platform, whose instances have state that is no property. */
export function isBuiltin(prototype: object): boolean {
  return prototypes.has(prototype)
}

/** Why an object with this prototype cannot be kept. Only the class's name is told, which is code and not data. */
export function describe(prototype: object): string {
  const type: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
  const name: unknown = typeof type === 'function' ? type.name : ''
  if (typeof name !== 'string' || name === '') return 'an object with a prototype of its own cannot be kept'
  if (kindOf(prototype) !== undefined) return `it has the prototype of ${name}, but is none`
  if (name === 'Object' || name === 'Array') return `an ${name} of another realm cannot be kept`
  return `a value of class ${name} cannot be kept: the class is not registered`
}

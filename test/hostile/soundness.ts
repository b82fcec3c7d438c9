import { types } from 'node:util'
import { registry } from './world.ts'

const builtin = new Set<unknown>([
  null,
  ...[Object, Array, Map, Set, Date, RegExp, URL, ArrayBuffer, DataView, Buffer].map(
    (type) => type.prototype,
  ),
  ...[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map(
    (type) => type.prototype,
  ),
  AggregateError.prototype,
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array].map(
    (type) => type.prototype,
  ),
  ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array].map((type) => type.prototype),
])

const HIDDEN = new Set<unknown>(['length', 'message', 'cause', 'errors', 'stack', 'lastIndex'])

/** Why a program could not have stored this decoded value; `undefined` if it could. */
export function unsoundness(value: unknown): string | undefined {
  const seen = new Set<unknown>()
  const rest: unknown[] = [value]
  while (rest.length > 0) {
    const part = rest.pop()
    if (typeof part === 'function' || typeof part === 'symbol') return `a ${typeof part}`
    if (typeof part !== 'object' || part === null || seen.has(part)) continue
    seen.add(part)
    const why = whyUnsound(part)
    if (why !== undefined) return why
    if (part instanceof Map) rest.push(...part.keys(), ...part.values())
    if (part instanceof Set) rest.push(...part)
    for (const name of Reflect.ownKeys(part)) rest.push(Reflect.getOwnPropertyDescriptor(part, name)?.value)
  }
  return undefined
}

function whyUnsound(part: object): string | undefined {
  if (types.isProxy(part)) return 'a proxy'
  const prototype: object | null = Object.getPrototypeOf(part)
  const plan = prototype === null ? undefined : registry.planOf(prototype)
  if (plan === undefined && !builtin.has(prototype)) return 'a foreign prototype'
  if (ArrayBuffer.isView(part)) return undefined
  for (const name of Reflect.ownKeys(part)) {
    if (typeof name === 'symbol') {
      if (types.isNativeError(part) || part instanceof URL) continue
      return 'a property named by a symbol'
    }
    const field = Reflect.getOwnPropertyDescriptor(part, name)
    if (name === '__proto__') return 'an own __proto__'
    // In newer V8 the stack of an error is an accessor.
    if (name === 'stack' && types.isNativeError(part)) continue
    if (field === undefined || !('value' in field)) return `an accessor ${name}`
    if (field.enumerable !== true && !HIDDEN.has(name)) return `a hidden ${name}`
    if (plan?.fields !== undefined && !plan.fields.has(name)) return `an undeclared ${name}`
  }
  return undefined
}

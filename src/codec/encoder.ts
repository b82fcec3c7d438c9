import { types } from 'node:util'
import { SessionError } from '../errors.ts'
import type { Registry } from '../registry.ts'
import { errorTypes, kindOf } from './builtin.ts'
import { define } from './define.ts'
import { writeLeaves } from './leaves.ts'
import type { Limits } from './limits.ts'
import { Memory } from './memory.ts'
import { renderPath, type Step } from './path.ts'
import type { Hooks, Plan, Shape } from './plan.ts'

const { isProxy } = types
const { getOwnPropertyDescriptor, getOwnPropertyNames, getOwnPropertySymbols, getPrototypeOf } = Object

/** Text of a value that is no plain JSON, and which of the two kinds of line it makes. */
export interface Encoded {
  readonly form: 'T' | 'S'
  readonly text: string
}

/**
 * Turns one value into a tree of arrays that `JSON.stringify` writes at once. The grammar stands in `value.ts`. An
 * encoder is used once: what it has seen tells shared references from copies.
 */
export class Encoder {
  readonly #registry: Registry
  readonly #limits: Limits
  readonly #key: string
  readonly #largest: bigint
  readonly #path: Step[] = []
  /** Every object met, and its number: the decoder meets them in the same order. */
  readonly #seen = new Map<object, number>()
  readonly #types: unknown[] = []
  readonly #typesOf: { plan: Plan; shape: Shape | undefined }[] = []
  readonly #leaves: object[] = []
  readonly #memory = new Memory()
  /** Objects that are being encoded by their class's own function: nobody can refer to them before it returns. */
  readonly #open = new Set<object>()
  #form: 'T' | 'S' = 'T'
  #units = 0

  constructor(registry: Registry, limits: Limits, key: string) {
    this.#registry = registry
    this.#limits = limits
    this.#key = key
    this.#largest = 1n << BigInt(limits.bigintDigits * 4)
  }

  /**
   * @throws SessionError `ERR_SESSION_VALUE` with the path of the part that cannot be kept; `ERR_SESSION_LIMIT`.
   */
  encode(value: unknown): Encoded {
    const tree = this.#value(value, 0)
    const text = JSON.stringify(
      this.#form === 'T' ? [this.#types, tree] : [writeLeaves(this.#leaves), this.#types, tree],
    )
    return { form: this.#form, text }
  }

  #value(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case 'string':
        this.#count(value.length)
        return value
      case 'boolean':
        return value
      case 'number':
        if (Number.isFinite(value) && !Object.is(value, -0)) return value
        return ['number', Object.is(value, -0) ? '-0' : String(value)]
      case 'undefined':
        return ['undefined']
      case 'bigint':
        if (value >= this.#largest || value <= -this.#largest) throw this.#exceeded('bigint digits')
        return ['bigint', value.toString(16)]
      case 'object':
        return value === null ? null : this.#object(value, depth + 1)
      case 'function':
      case 'symbol':
      default:
        throw this.#refused(`a ${typeof value} cannot be kept`)
    }
  }

  #object(value: object, depth: number): unknown {
    if (isProxy(value)) throw this.#refused('a proxy cannot be kept')
    const number = this.#seen.get(value)
    if (number !== undefined) return this.#reference(value, number)
    if (depth > this.#limits.depth) throw this.#exceeded('depth')
    if (this.#seen.size >= this.#limits.nodes) throw this.#exceeded('objects')
    this.#seen.set(value, this.#seen.size)

    const prototype: object | null = getPrototypeOf(value)
    if (prototype === Object.prototype) return this.#fields(value, depth)
    if (prototype === null) return ['null', this.#fields(value, depth)]
    if (prototype === Array.prototype && Array.isArray(value)) return [this.#elements(value, depth)]
    const plan = this.#registry.planOf(prototype)
    if (plan !== undefined) {
      return plan.hooks === undefined
        ? this.#instance(value, plan, depth)
        : this.#state(value, plan, plan.hooks, depth)
    }
    return this.#builtin(value, prototype, depth)
  }

  /** The object was met before, so it must come back as one, not as two. */
  #reference(value: object, number: number): unknown {
    if (this.#open.has(value)) throw this.#refused('it is part of what its own `encode` returned')
    this.#form = 'S'
    return ['ref', number]
  }

  #fields(object: object, depth: number): object {
    const fields = {}
    for (const name of this.#namesOf(object)) {
      this.#path.push(name)
      if (name === '__proto__') throw this.#refused('a property of that name cannot be kept')
      this.#count(name.length)
      define(fields, name, this.#value(this.#read(object, name), depth))
      this.#path.pop()
    }
    return fields
  }

  #elements(array: readonly unknown[], depth: number): unknown[] {
    // An element takes two characters at least. A sparse array's length costs nothing, so it is not trusted.
    if (array.length * 2 > this.#limits.keyBytes) throw this.#exceeded('bytes')
    const elements: unknown[] = []
    let holes = 0
    for (let i = 0; i < array.length; i++) {
      this.#path.push(i)
      const element = getOwnPropertyDescriptor(array, i)
      if (element === undefined) {
        holes++
        elements.push(['hole'])
      } else {
        elements.push(this.#value(this.#valueOf(element), depth))
      }
      this.#path.pop()
    }
    // `length` is a name too.
    if (this.#namesOf(array).length !== array.length - holes + 1) {
      throw this.#refused('an array with named properties cannot be kept')
    }
    return elements
  }

  #instance(instance: object, plan: Plan, depth: number): unknown {
    const names = this.#namesOf(instance)
    const row: unknown[] = [this.#typeOf(plan, plan.shapes.of(names))]
    for (const name of names) {
      this.#path.push(name)
      row.push(this.#value(this.#read(instance, name), depth))
      this.#path.pop()
    }
    this.#check(instance, plan)
    return row
  }

  #state(instance: object, plan: Plan, hooks: Hooks, depth: number): unknown {
    let state: unknown
    try {
      state = hooks.encode(instance)
    } catch (cause) {
      throw this.#refused(`the \`encode\` of '${plan.name}' failed`, cause)
    }
    this.#open.add(instance)
    const row = [this.#typeOf(plan, undefined), this.#value(state, depth)]
    this.#open.delete(instance)
    return row
  }

  #builtin(value: object, prototype: object, depth: number): unknown {
    const kind = kindOf(prototype)
    switch (kind) {
      case 'Date':
        if (!types.isDate(value)) break
        this.#hasNoFields(value)
        return ['Date', Number.isNaN(value.getTime()) ? null : value.getTime()]
      case 'Map':
        if (!types.isMap(value)) break
        this.#hasNoFields(value)
        return this.#entries(value, depth)
      case 'Set':
        if (!types.isSet(value)) break
        this.#hasNoFields(value)
        return this.#members(value, depth)
      case 'Uint8Array':
      case 'Buffer':
        if (!types.isUint8Array(value)) break
        this.#claim(value)
        this.#count(value.length)
        return [kind, Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64url')]
      case 'Error':
        if (!types.isNativeError(value)) break
        this.#form = 'S'
        return this.#error(value, prototype, depth)
      case 'leaf':
        return this.#leaf(value)
      case undefined:
    }
    throw this.#refused(describe(prototype))
  }

  #entries(map: ReadonlyMap<unknown, unknown>, depth: number): unknown[] {
    const entries: unknown[] = ['Map']
    let index = 0
    for (const [key, value] of Map.prototype.entries.call(map)) {
      this.#path.push({ part: 'key', index })
      entries.push(this.#value(key, depth))
      this.#path.pop()
      this.#path.push({ part: 'value', index })
      entries.push(this.#value(value, depth))
      this.#path.pop()
      index++
    }
    return entries
  }

  #members(set: ReadonlySet<unknown>, depth: number): unknown[] {
    const members: unknown[] = ['Set']
    let index = 0
    for (const member of Set.prototype.values.call(set)) {
      this.#path.push({ part: 'member', index })
      members.push(this.#value(member, depth))
      this.#path.pop()
      index++
    }
    return members
  }

  /** Its hidden fields (`message`, `cause`, `errors`) and its shown ones. The stack is not kept: it tells of files. */
  #error(error: Error, prototype: object, depth: number): unknown {
    const names = this.#namesOf(error).filter((name) => name !== 'stack')
    const shown = names.filter((name) => getOwnPropertyDescriptor(error, name)?.enumerable === true)
    const hidden = names.filter((name) => !shown.includes(name))
    return [
      'Error',
      nameOfError(prototype),
      this.#errorFields(error, hidden, depth),
      this.#errorFields(error, shown, depth),
    ]
  }

  #errorFields(error: Error, names: readonly string[], depth: number): object {
    const fields = {}
    for (const name of names) {
      this.#path.push(name)
      const field = getOwnPropertyDescriptor(error, name)
      if (name === '__proto__') throw this.#refused('a property of that name cannot be kept')
      if (field?.enumerable === false && name !== 'message' && name !== 'cause' && name !== 'errors')
        throw this.#refused('a hidden property cannot be kept')
      define(fields, name, this.#value(this.#valueOf(field), depth))
      this.#path.pop()
    }
    return fields
  }

  #leaf(value: object): unknown {
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) this.#claim(value)
    else if (types.isRegExp(value)) {
      if (value.lastIndex !== 0) throw this.#refused('a RegExp that is in use (its lastIndex) cannot be kept')
      if (getOwnPropertyNames(value).length > 1) throw this.#refused('named properties on it cannot be kept')
    } else this.#hasNoFields(value)
    this.#form = 'S'
    this.#leaves.push(value)
    return ['leaf', this.#leaves.length - 1]
  }

  #claim(value: ArrayBufferView | ArrayBufferLike): void {
    const reason = this.#memory.claim(value)
    if (reason !== undefined) throw this.#refused(reason)
  }

  /** The number of a class (and its list of fields) in the table that stands once per line. */
  #typeOf(plan: Plan, shape: Shape | undefined): number {
    const known = this.#typesOf.findIndex((type) => type.plan === plan && type.shape === shape)
    if (known !== -1) return known
    const unknown = shape?.fields.find((field) => plan.fields !== undefined && !plan.fields.has(field))
    if (unknown !== undefined) {
      this.#path.push(unknown)
      throw this.#refused(`the schema of '${plan.name}' has no such field`)
    }
    if (shape?.fields.includes('__proto__') === true)
      throw this.#refused('a property `__proto__` cannot be kept')
    this.#types.push([plan.name, plan.version, shape?.fields ?? null])
    return this.#typesOf.push({ plan, shape }) - 1
  }

  #check(instance: object, plan: Plan): void {
    const result = plan.schema?.safeParse(instance)
    if (result === undefined || result.success) return
    const [field] = result.error.issues[0]?.path ?? []
    if (typeof field === 'string') this.#path.push(field)
    throw this.#refused(`it is not what the schema of '${plan.name}' asks for`)
  }

  #namesOf(object: object): string[] {
    if (getOwnPropertySymbols(object).length > 0) throw this.#refused('symbols as names cannot be kept')
    return getOwnPropertyNames(object)
  }

  #hasNoFields(object: object): void {
    const [name] = this.#namesOf(object)
    if (name === undefined) return
    this.#path.push(name)
    throw this.#refused('a property on a built-in object cannot be kept')
  }

  #read(object: object, name: string): unknown {
    const field = getOwnPropertyDescriptor(object, name)
    if (field?.enumerable === false) throw this.#refused('a hidden property cannot be kept')
    return this.#valueOf(field)
  }

  #valueOf(property: PropertyDescriptor | undefined): unknown {
    if (property !== undefined && 'value' in property) return property.value
    throw this.#refused('a getter or setter cannot be kept')
  }

  /** No text is written that would only be thrown away: one long string, held a thousand times, is a gigabyte. */
  #count(units: number): void {
    this.#units += units
    if (this.#units > this.#limits.keyBytes) throw this.#exceeded('bytes')
  }

  #refused(why: string, cause?: unknown): SessionError {
    const path = renderPath(this.#key, this.#path)
    return new SessionError('ERR_SESSION_VALUE', `${path}: ${why}`, cause === undefined ? {} : { cause })
  }

  #exceeded(what: string): SessionError {
    const path = renderPath(this.#key, this.#path)
    return new SessionError('ERR_SESSION_LIMIT', `${path}: the value has more ${what} than its limit`)
  }
}

function nameOfError(prototype: object): string {
  if (prototype === AggregateError.prototype) return 'AggregateError'
  for (const [name, type] of errorTypes) if (type.prototype === prototype) return name
  return 'Error'
}

/** Why an object with this prototype cannot be kept. Only the class's name is told, which is code and not data. */
function describe(prototype: object): string {
  const descriptor = getOwnPropertyDescriptor(prototype, 'constructor')
  const type: unknown = descriptor?.value
  const name = typeof type === 'function' ? type.name : ''
  if (name === '' || typeof name !== 'string') return 'an object with a prototype of its own cannot be kept'
  if (kindOf(prototype) !== undefined) return `it has the prototype of ${name}, but is none`
  if (name === 'Object' || name === 'Array') return `an ${name} of another realm cannot be kept`
  return `a value of class ${name} cannot be kept: the class is not registered`
}

import { types } from 'node:util'
import { SessionError } from '../errors.ts'
import type { Registry } from '../registry.ts'
import { describe, kindOf } from './builtin.ts'
import { define } from './define.ts'
import { nameOfError } from './failure.ts'
import { writeLeaves } from './leaves.ts'
import type { Limits } from './limits.ts'
import { Memory } from './memory.ts'
import { Met } from './met.ts'
import { countKeys, hasGetter, namesOf, ordinaryField } from './own.ts'
import { renderPath, type Step } from './path.ts'
import { isPlainScalar } from './plain.ts'
import { type Hooks, MOST_TYPES, type Plan, type Shape } from './plan.ts'
import { HOLE, TILDE, UNDEFINED, writeBigint, writeBytes, writeNumber, writeTime } from './word.ts'

const { isProxy } = types

/** A bigint of 16 digits: what is larger is worth a look at the limit. */
const LARGE = 2n ** 64n - 1n

/**
 * Turns one value that is no plain JSON into its line. The grammar stands in `value.ts`: a tree that `JSON.stringify`
 * writes at once. An encoder is used once, as what it has met tells shared references from copies.
 */
export class Encoder {
  readonly #registry: Registry
  readonly #limits: Limits
  readonly #key: string
  readonly #path: Step[] = []
  /** Every object, numbered: the decoder meets them in the same order. */
  readonly #met = new Met()
  readonly #types: { readonly plan: Plan; readonly shape: Shape | undefined }[] = []
  #leaves: object[] | undefined
  #memory: Memory | undefined
  /** Instances whose own `encode` made what is being written: nothing in there can refer to them. */
  #open: Set<object> | undefined
  #form: 'T' | 'S' = 'T'
  #units = 0

  constructor(registry: Registry, limits: Limits, key: string) {
    this.#registry = registry
    this.#limits = limits
    this.#key = key
  }

  /** @throws SessionError `ERR_SESSION_VALUE` with the path of the part that cannot be kept; `ERR_SESSION_LIMIT`. */
  encode(value: unknown): string {
    if ('toJSON' in Object.prototype || 'toJSON' in Array.prototype)
      throw this.#refused('nothing can be kept while all objects have a `toJSON`')
    const tree = this.#value(value, 0)
    if (this.#units > this.#limits.keyBytes) throw this.#exceeded('bytes')
    const text = `${this.#typesText()}\t${JSON.stringify(tree)}`
    if (this.#form === 'T') return `T ${text}`
    return `S ${this.#leaves === undefined ? '' : JSON.stringify(writeLeaves(this.#leaves))}\t${text}`
  }

  /** The table of classes, once per line: `[["Cart",1,["items","since"]]]`. */
  #typesText(): string {
    if (this.#types.length === 0) return ''
    return `[${this.#types.map(({ plan, shape }) => shape?.entry ?? plan.shapes.fieldless).join(',')}]`
  }

  /** A part of a value. The step to it is only noted for what has parts itself or can fail. */
  #part(step: Step, value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.#string(value)
    if (isPlainScalar(value)) return value
    this.#path.push(step)
    const written = this.#value(value, depth)
    this.#path.pop()
    return written
  }

  #value(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case 'string':
        return this.#string(value)
      case 'boolean':
        return value
      case 'number':
        return isPlainScalar(value) ? value : writeNumber(value)
      case 'undefined':
        return UNDEFINED
      case 'bigint':
        if (value > LARGE || value < -LARGE) this.#checkDigits(value)
        return writeBigint(value)
      case 'object':
        return value === null ? null : this.#object(value, depth + 1)
      case 'function':
      case 'symbol':
      default:
        throw this.#refused(`a ${typeof value} cannot be kept`)
    }
  }

  #string(value: string): string {
    this.#units += value.length
    return value.charCodeAt(0) === TILDE ? `~${value}` : value
  }

  #object(value: object, depth: number): unknown {
    if (isProxy(value)) throw this.#refused('a proxy cannot be kept')
    const number = this.#met.again(value)
    if (number !== -1) return this.#reference(value, number)
    if (depth > this.#limits.depth) throw this.#exceeded('depth')
    if (this.#met.size > this.#limits.nodes) throw this.#exceeded('objects')

    const prototype: object | null = Object.getPrototypeOf(value)
    if (prototype === Object.prototype) return this.#fields(value, depth)
    if (prototype === null) return ['~Null', this.#fields(value, depth)]
    if (prototype === Array.prototype && Array.isArray(value)) return this.#elements(value, depth)
    const plan = this.#registry.planOf(prototype)
    if (plan === undefined) return this.#builtin(value, prototype, depth)
    if (plan.hooks === undefined) return this.#instance(value, plan, depth)
    return this.#state(value, plan, plan.hooks, depth)
  }

  /** The object was met before, so it must come back as one, not as two. */
  #reference(value: object, number: number): string {
    if (this.#open?.has(value) === true) throw this.#refused('it is part of what its own `encode` returned')
    this.#form = 'S'
    return `~r${number}`
  }

  #fields(object: object, depth: number): object {
    const fields = {}
    for (const name of this.#namesOf(object)) {
      this.#units += name.length
      define(fields, name, this.#part(name, this.#read(object, name), depth))
    }
    return fields
  }

  /** The array itself, if it can be written as it is. */
  #elements(array: readonly unknown[], depth: number): readonly unknown[] {
    const { length } = array
    // An element takes two bytes at least, and the length of a sparse array says nothing of its size.
    if (length * 2 > this.#limits.keyBytes) throw this.#exceeded('bytes')
    let written: unknown[] | undefined
    let holes = 0
    for (let i = 0; i < length; i++) {
      if (hasGetter(array, i)) throw this.#refusedAt(i, 'a getter cannot be kept')
      const element = array[i]
      const isHole = element === undefined && !Object.hasOwn(array, i)
      if (isHole) holes++
      const part = isHole ? HOLE : this.#part(i, element, depth)
      if (written === undefined && part !== element) written = copyOf(array, i)
      written?.push(part)
    }
    if (countKeys(array) !== length + 1 - holes)
      throw this.#refused('an array with named properties cannot be kept')
    return written ?? array
  }

  #instance(instance: object, plan: Plan, depth: number): unknown {
    const shape = plan.shapes.of(this.#namesOf(instance))
    const row: unknown[] = [this.#wordOf(plan, shape)]
    for (const name of shape.fields) row.push(this.#part(name, this.#read(instance, name), depth))
    if (plan.schema !== undefined) this.#check(instance, plan)
    return row
  }

  #state(instance: object, plan: Plan, hooks: Hooks, depth: number): unknown {
    let state: unknown
    try {
      state = hooks.encode(instance)
    } catch (cause) {
      throw this.#refused(`the \`encode\` of '${plan.name}' failed`, cause)
    }
    this.#open ??= new Set()
    this.#open.add(instance)
    const row = [this.#wordOf(plan, undefined), this.#value(state, depth)]
    this.#open.delete(instance)
    return row
  }

  #builtin(value: object, prototype: object, depth: number): unknown {
    const kind = kindOf(prototype)
    switch (kind) {
      case 'Date':
        if (!types.isDate(value)) break
        this.#hasNoFields(value)
        return writeTime(Date.prototype.getTime.call(value))
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
        this.#units += value.length
        return writeBytes(kind === 'Buffer' ? 'b' : 'u', value)
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
    const entries: unknown[] = ['~Map']
    let index = 0
    for (const [key, value] of Map.prototype.entries.call(map)) {
      entries.push(this.#part({ part: 'key', index }, key, depth))
      entries.push(this.#part({ part: 'value', index }, value, depth))
      index++
    }
    return entries
  }

  #members(set: ReadonlySet<unknown>, depth: number): unknown[] {
    const members: unknown[] = ['~Set']
    let index = 0
    for (const member of Set.prototype.values.call(set)) {
      members.push(this.#part({ part: 'member', index: index++ }, member, depth))
    }
    return members
  }

  /** Its hidden fields (`message`, `cause`, `errors`) and its shown ones. The stack is not kept: it tells of files. */
  #error(error: Error, prototype: object, depth: number): unknown {
    const names = this.#namesOf(error).filter((name) => name !== 'stack')
    const shown = names.filter((name) => Object.prototype.propertyIsEnumerable.call(error, name))
    const hidden = {}
    for (const name of names) {
      if (shown.includes(name)) continue
      const field = Object.getOwnPropertyDescriptor(error, name)
      const isKnown = name === 'message' || name === 'cause' || name === 'errors'
      if (!isKnown || field === undefined || !('value' in field))
        throw this.#refusedAt(name, 'a hidden property cannot be kept')
      define(hidden, name, this.#part(name, field.value, depth))
    }
    const fields = {}
    for (const name of shown) define(fields, name, this.#part(name, this.#read(error, name), depth))
    return ['~Error', nameOfError(prototype), hidden, fields]
  }

  /** What superjson keeps. */
  #leaf(value: object): string {
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) this.#claim(value)
    else if (types.isRegExp(value)) {
      if (value.lastIndex !== 0) throw this.#refused('a RegExp in use (its `lastIndex`) cannot be kept')
      if (countKeys(value) > 1) throw this.#refused('named properties on it cannot be kept')
    } else this.#hasNoFields(value)
    this.#form = 'S'
    this.#leaves ??= []
    return `~s${this.#leaves.push(value) - 1}`
  }

  #claim(value: ArrayBufferView | ArrayBufferLike): void {
    this.#memory ??= new Memory()
    const reason = this.#memory.claim(value)
    if (reason !== undefined) throw this.#refused(reason)
  }

  /** The word that begins an instance: `~0` for the first class in the table. */
  #wordOf(plan: Plan, shape: Shape | undefined): string {
    const known = this.#types
    for (let i = 0; i < known.length; i++) {
      const type = known[i]
      if (type?.plan === plan && (type.shape === shape || isAlike(type.shape, shape))) return `~${i}`
    }
    if (known.length === MOST_TYPES) throw this.#exceeded('kinds of instances')
    for (const field of shape?.fields ?? []) {
      if (plan.fields !== undefined && !plan.fields.has(field))
        throw this.#refusedAt(field, `the schema of '${plan.name}' has no such field`)
    }
    return `~${known.push({ plan, shape }) - 1}`
  }

  #check(instance: object, plan: Plan): void {
    const result = plan.schema?.safeParse(instance)
    if (result === undefined || result.success) return
    const why = `it is not what the schema of '${plan.name}' asks for`
    const [field] = result.error.issues[0]?.path ?? []
    throw typeof field === 'string' ? this.#refusedAt(field, why) : this.#refused(why)
  }

  #checkDigits(value: bigint): void {
    const limit = 1n << BigInt(this.#limits.bigintDigits * 4)
    if (value >= limit || value <= -limit) throw this.#exceeded('bigint digits')
  }

  #namesOf(object: object): string[] {
    const names = namesOf(object)
    if (names === undefined) throw this.#refused('a property named by a symbol cannot be kept')
    return names
  }

  #hasNoFields(object: object): void {
    if (countKeys(object) === 0) return
    throw this.#refusedAt(this.#namesOf(object)[0] ?? '', 'a property on a built-in object cannot be kept')
  }

  #read(object: object, name: string): unknown {
    const field = ordinaryField(object, name)
    if (field === undefined)
      throw this.#refusedAt(name, 'a getter, a setter or a hidden property cannot be kept')
    if (name === '__proto__') throw this.#refusedAt(name, 'a property of that name cannot be kept')
    return field.value
  }

  #refusedAt(step: Step, why: string): SessionError {
    this.#path.push(step)
    return this.#refused(why)
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

/** Shapes are remembered for a while only, so there can be two of a kind. */
function isAlike(one: Shape | undefined, other: Shape | undefined): boolean {
  return one !== undefined && other !== undefined && one.matches(other.fields)
}

/** The first elements. `slice` would look at the array's own idea of its constructor. */
function copyOf(array: readonly unknown[], length: number): unknown[] {
  const copy: unknown[] = []
  for (let i = 0; i < length; i++) copy.push(array[i])
  return copy
}

import { types } from 'node:util'
import type { Limits } from '../limits.ts'
import { type ObjectSchema, type Verdict, verdictOf } from '../standard-schema.ts'
import { describe, errorTypes, kindOf } from './builtins.ts'
import {
  type ClassPlan,
  type ClassPlans,
  type Hooks,
  missingField,
  type Shape,
  wrongField,
} from './class-plan.ts'
import { MemoryRanges } from './memory-ranges.ts'
import {
  countKeys,
  define,
  hasGetter,
  hasOnlyElements,
  hasSlots,
  mayHaveSlots,
  namesOf,
  ordinaryField,
  whyUndefined,
} from './own-properties.ts'
import { type Step, Trail } from './path.ts'
import { isPlainScalar } from './plain-json.ts'
import { SeenObjects } from './seen-objects.ts'
import { LeafBudget, writeLeaves } from './superjson.ts'
import {
  HOLE,
  TILDE,
  UNDEFINED,
  writeBigint,
  writeBytes,
  writeName,
  writeNumber,
  writeTime,
} from './tokens.ts'
import { TypeTable } from './type-table.ts'
import { WriteBudget } from './write-budget.ts'

/**
 * Encodes one value that is not plain JSON. It builds a tree in the grammar of `value-codec.ts`, which `JSON.stringify`
 * then writes in one call. Use each encoder once: the objects that it has seen distinguish shared references from copies.
 */
export class Encoder {
  readonly #plans: ClassPlans
  readonly #limits: Limits
  readonly #trail: Trail
  readonly #budget: WriteBudget
  /** All objects, numbered in the order in which the decoder will create them. */
  readonly #seen = new SeenObjects()
  readonly #types = new TypeTable()
  /** The objects that superjson will write. */
  readonly #leaves: object[] = []
  #leafBudget: LeafBudget | undefined
  readonly #memory = new MemoryRanges()
  /** Instances whose own `encode` returned what is being written; nothing in there can refer to them. */
  #open: Set<object> | undefined
  #form: 'T' | 'S' = 'T'

  constructor(plans: ClassPlans, limits: Limits, key: string) {
    this.#plans = plans
    this.#limits = limits
    this.#trail = new Trail(key)
    this.#budget = new WriteBudget(limits, this.#trail)
  }

  /**
   * Returns the line in form T or S.
   *
   * @throws SessionError `ERR_SESSION_VALUE` with the path of the part that cannot be stored; `ERR_SESSION_LIMIT`.
   */
  encode(value: unknown): string {
    if ('toJSON' in Array.prototype)
      throw this.#trail.refused('nothing can be stored while all objects have a `toJSON`')
    const tree = this.#value(value, 0)
    this.#budget.settle()
    const text = `${this.#types.text()}\t${JSON.stringify(tree)}`
    if (this.#form === 'T') return `T ${text}`
    const leaves = this.#leaves.length === 0 ? '' : JSON.stringify(writeLeaves(this.#leaves))
    return `S ${leaves}\t${text}`
  }

  /** Encodes a part of a value. The path is only extended for parts that have parts themselves or can fail. */
  #part(step: Step, value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.#string(value)
    if (isPlainScalar(value)) return value
    this.#trail.enter(step)
    const written = this.#value(value, depth)
    this.#trail.leave()
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
        return this.#bigint(value)
      case 'object':
        return value === null ? null : this.#object(value, depth + 1)
      case 'function':
      case 'symbol':
      default:
        throw this.#trail.refused(`a ${typeof value} cannot be stored`)
    }
  }

  #string(value: string): string {
    this.#budget.note(value)
    return value.charCodeAt(0) === TILDE ? `~${value}` : value
  }

  #bigint(value: bigint): string {
    const token = writeBigint(value, this.#limits.bigintDigits)
    if (token === undefined) throw this.#trail.exceeded('bigint digits')
    this.#budget.spend(token.length)
    return token
  }

  #object(value: object, depth: number): unknown {
    if (types.isProxy(value)) throw this.#trail.refused('a proxy cannot be stored')
    if (this.#seen.again(value)) return this.#reference(value)
    this.#budget.object(depth, this.#seen.size)

    const prototype: object | null = Object.getPrototypeOf(value)
    if (prototype === Object.prototype) return this.#record(value, depth)
    if (prototype === null) return ['~Null', this.#record(value, depth)]
    if (prototype === Array.prototype && Array.isArray(value)) return this.#elements(value, depth)
    const plan = this.#plans.planOf(prototype)
    if (plan === undefined) return this.#builtin(value, prototype, depth)
    if (plan.hooks === undefined) return this.#instance(value, plan, depth)
    return this.#encoded(value, plan, plan.hooks, depth)
  }

  /** Refers to an object that was seen before, so that it comes back as one object and not as two. */
  #reference(value: object): string {
    if (this.#open?.has(value) === true)
      throw this.#trail.refused('it is part of what its own `encode` returned')
    this.#form = 'S'
    return `~r${this.#seen.numberOf(value)}`
  }

  #record(object: object, depth: number): object {
    const names = this.#namesOf(object)
    if (mayHaveSlots(names)) this.#refuseSlots(object)
    return this.#fields(object, names, depth)
  }

  /** The fields with these names, as an object. */
  #fields(object: object, names: readonly string[], depth: number): object {
    this.#budget.names(names.length)
    const fields = {}
    for (const name of names) {
      this.#budget.note(name)
      const written = writeName(name)
      if (written !== name) this.#budget.encodedName()
      define(fields, written, this.#part(name, this.#read(object, name), depth))
    }
    return fields
  }

  /** Makes a copy, because an `encode` or a schema that runs later may change the array before it is stringified. */
  #elements(array: readonly unknown[], depth: number): readonly unknown[] {
    this.#budget.list(array.length)
    const written: unknown[] = []
    let holes = 0
    for (let i = 0; i < array.length; i++) {
      const isThere = this.#hasElement(array, i)
      if (!isThere) holes++
      written.push(isThere ? this.#part(i, array[i], depth) : HOLE)
    }
    if (!hasOnlyElements(array, holes))
      throw this.#trail.refused('an array with named or hidden properties cannot be stored')
    return written
  }

  /** `["~0",…]`: an instance as its fields. */
  #instance(instance: object, plan: ClassPlan, depth: number): unknown {
    const shape = plan.shapes.of(this.#namesOf(instance))
    if (shape.mayHaveSlots) this.#refuseSlots(instance)
    const { fields } = shape
    const row = shape.blankRow()
    row[0] = this.#tokenOf(plan, shape)
    for (let i = 0; i < fields.length; i++) {
      const name = fields[i] ?? ''
      row[i + 1] = this.#part(name, this.#read(instance, name), depth)
    }
    if (plan.schema !== undefined) this.#validate(instance, plan, plan.schema)
    return row
  }

  /** `["~0",state]`: an instance as what the `encode` of its class returns. */
  #encoded(instance: object, plan: ClassPlan, hooks: Hooks, depth: number): unknown {
    let state: unknown
    try {
      state = hooks.encode(instance)
    } catch (cause) {
      throw this.#trail.failed(`the \`encode\` of '${plan.name}' failed`, cause)
    }
    this.#open ??= new Set()
    this.#open.add(instance)
    const row = [this.#tokenOf(plan, undefined), this.#value(state, depth)]
    this.#open.delete(instance)
    return row
  }

  #tokenOf(plan: ClassPlan, shape: Shape | undefined): string {
    const known = this.#types.tokenOf(plan, shape)
    if (known !== undefined) return known
    const wrong = wrongField(plan, shape?.fields ?? [])
    if (wrong !== undefined)
      throw this.#trail.refused(`a field of '${plan.name}' that ${wrong.why} cannot be stored`, wrong.name)
    const missing = shape && missingField(plan, shape.fields)
    if (missing !== undefined)
      throw this.#trail.refused(
        `it lacks a field of '${plan.name}' that would come back as its \`defaults\` say; set it to undefined`,
        missing,
      )
    const added = this.#types.add(plan, shape)
    if (added === undefined) throw this.#trail.exceeded('kinds of instances')
    return added
  }

  #validate(instance: object, plan: ClassPlan, schema: ObjectSchema): void {
    let verdict: Verdict
    try {
      verdict = verdictOf(schema, instance)
    } catch (cause) {
      throw this.#trail.failed(`the schema of '${plan.name}' failed`, cause)
    }
    if (verdict.fits) return
    const [field] = verdict.path
    const why = `it does not match the schema of '${plan.name}'`
    throw this.#trail.refused(why, typeof field === 'string' ? field : undefined)
  }

  #builtin(value: object, prototype: object, depth: number): unknown {
    const kind = kindOf(prototype)
    switch (kind) {
      case 'Date':
        if (!types.isDate(value)) break
        this.#refuseFields(value)
        return writeTime(Date.prototype.getTime.call(value))
      case 'Map':
        if (!types.isMap(value)) break
        this.#refuseFields(value)
        return this.#map(value, depth)
      case 'Set':
        if (!types.isSet(value)) break
        this.#refuseFields(value)
        return this.#set(value, depth)
      case 'Uint8Array':
      case 'Buffer':
        if (!types.isUint8Array(value)) break
        this.#claimMemory(value)
        return writeBytes(kind === 'Buffer' ? 'b' : 'u', value)
      case 'Error':
        if (!types.isNativeError(value)) break
        return this.#error(value, prototype, depth)
      case 'leaf':
        return this.#leaf(value)
      case undefined:
    }
    throw this.#trail.refused(describe(prototype))
  }

  /** `["~Map",k,v,…]`. It calls the built-in iterator, which the program cannot override. */
  #map(map: ReadonlyMap<unknown, unknown>, depth: number): unknown[] {
    const written: unknown[] = ['~Map']
    let index = 0
    for (const [key, value] of Map.prototype.entries.call(map)) {
      this.#budget.key(key)
      written.push(this.#part({ part: 'key', index }, key, depth))
      written.push(this.#part({ part: 'value', index: index++ }, value, depth))
    }
    return written
  }

  /** `["~Set",m,…]` */
  #set(set: ReadonlySet<unknown>, depth: number): unknown[] {
    const written: unknown[] = ['~Set']
    let index = 0
    for (const member of Set.prototype.values.call(set)) {
      this.#budget.key(member)
      written.push(this.#part({ part: 'member', index: index++ }, member, depth))
    }
    return written
  }

  /**
   * `["~Error",name,{hidden},{shown}]`: the class, the fields that are not enumerable, and all others. The stack is not
   * stored, because it reveals file names.
   */
  #error(error: Error, prototype: object, depth: number): unknown[] {
    this.#form = 'S'
    const hidden = {}
    const shown: string[] = []
    for (const name of this.#namesOf(error)) {
      const field = hiddenField(error, name)
      if (field !== undefined) define(hidden, name, this.#part(name, field.value, depth))
      else if (name !== 'stack') shown.push(name)
    }
    this.#budget.error(shown.length)
    this.#budget.names(Object.keys(hidden).length)
    return ['~Error', nameOfError(prototype), hidden, this.#fields(error, shown, depth)]
  }

  /** `~s0`: an object that superjson writes. */
  #leaf(value: object): string {
    this.#form = 'S'
    this.#leafBudget ??= new LeafBudget(this.#plans.allowsRegExps)
    const reason = this.#leafBudget.refusalOf(value)
    if (reason !== undefined) throw this.#trail.refused(reason)
    const excess = this.#leafBudget.excessWith(value)
    if (excess !== undefined) throw this.#trail.exceeded(excess)
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) this.#claimMemory(value)
    return `~s${this.#leaves.push(value) - 1}`
  }

  #claimMemory(value: ArrayBufferView | ArrayBufferLike): void {
    if (!Object.hasOwn(value, 'byteLength')) this.#budget.spend(value.byteLength)
    const reason = this.#memory.claim(value)
    if (reason !== undefined) throw this.#trail.refused(reason)
  }

  #namesOf(object: object): string[] {
    const names = namesOf(object)
    if (names === undefined) throw this.#trail.refused('a property named by a symbol cannot be stored')
    return names
  }

  /** The value of a field, which the object must have. */
  #read(object: object, name: string): unknown {
    const field = ordinaryField(object, name)
    if (field === undefined)
      throw this.#trail.refused('a getter, a setter or a hidden property cannot be stored', name)
    if (name === '__proto__') throw this.#trail.refused('a property of that name cannot be stored', name)
    return field.value
  }

  /** Whether there is an element, and not a hole. */
  #hasElement(array: readonly unknown[], index: number): boolean {
    if (hasGetter(array, index)) throw this.#trail.refused('a getter cannot be stored', index)
    if (array[index] !== undefined) return true
    const why = whyUndefined(array, index)
    if (why === 'setter') throw this.#trail.refused('a setter cannot be stored', index)
    return why === 'value'
  }

  #refuseFields(object: object): void {
    if (countKeys(object) > 0)
      throw this.#trail.refused('a property on a built-in object cannot be stored', this.#namesOf(object)[0])
  }

  #refuseSlots(object: object): void {
    if (hasSlots(object))
      throw this.#trail.refused('an object of a built-in class with another prototype cannot be stored')
  }
}

function nameOfError(prototype: object): string {
  if (prototype === AggregateError.prototype) return 'AggregateError'
  for (const [name, type] of errorTypes) if (type.prototype === prototype) return name
  return 'Error'
}

/** The descriptor of `message`, `cause` or `errors` if it is not enumerable, as the language defines it. */
function hiddenField(error: Error, name: string): PropertyDescriptor | undefined {
  if (name !== 'message' && name !== 'cause' && name !== 'errors') return undefined
  const field = Object.getOwnPropertyDescriptor(error, name)
  return field?.enumerable === false && 'value' in field ? field : undefined
}

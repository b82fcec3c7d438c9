import { types } from 'node:util'
import type { Registry } from '../../registry.ts'
import { WriteBudget } from './write-budget.ts'
import { describe, kindOf } from './builtins.ts'
import { type PartWriter, writeMap, writeSet } from './collections.ts'
import { define } from './define.ts'
import { writeError } from './failure.ts'
import { LeafList } from './leaf-list.ts'
import type { Limits } from '../limits.ts'
import { type ObjectSchema, type Verdict, verdictOf } from '../standard-schema.ts'
import { SeenObjects } from './seen-objects.ts'
import { writeName } from './names.ts'
import { mayHaveSlots } from './own-properties.ts'
import { type Step, Trail } from './path.ts'
import { isPlainScalar } from './plain-json.ts'
import { type Hooks, type ClassPlan, type Shape, wrongField } from './class-plan.ts'
import { Probe } from './probe.ts'
import { TypeList } from './type-table.ts'
import { HOLE, TILDE, UNDEFINED, writeBigint, writeNumber, writeTime } from './tokens.ts'

/**
 * Turns one value that is no plain JSON into its line. The grammar stands in `value-codec.ts`: a tree that `JSON.stringify`
 * writes at once. An encoder is used once, as what it has met tells shared references from copies.
 */
export class Encoder implements PartWriter {
  readonly #registry: Registry
  readonly #limits: Limits
  readonly #trail: Trail
  readonly #probe: Probe
  readonly #budget: WriteBudget
  /** Every object, numbered: the decoder meets them in the same order. */
  readonly #met = new SeenObjects()
  readonly #types = new TypeList()
  readonly #leaves: LeafList
  /** Instances whose own `encode` made what is being written: nothing in there can refer to them. */
  #open: Set<object> | undefined
  #form: 'T' | 'S' = 'T'

  constructor(registry: Registry, limits: Limits, key: string) {
    this.#registry = registry
    this.#limits = limits
    this.#trail = new Trail(key)
    this.#probe = new Probe(this.#trail)
    this.#budget = new WriteBudget(limits, this.#trail)
    this.#leaves = new LeafList(this.#trail, this.#budget)
  }

  /** @throws SessionError `ERR_SESSION_VALUE` with the path of the part that cannot be kept; `ERR_SESSION_LIMIT`. */
  encode(value: unknown): string {
    if ('toJSON' in Array.prototype)
      throw this.#trail.refused('nothing can be kept while all objects have a `toJSON`')
    const tree = this.#value(value, 0)
    this.#budget.settle()
    const text = `${this.#types.text()}\t${JSON.stringify(tree)}`
    if (this.#form === 'T') return `T ${text}`
    return `S ${this.#leaves.text()}\t${text}`
  }

  /** The step to it is only noted for what has parts itself or can fail. */
  part(step: Step, value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.#string(value)
    if (isPlainScalar(value)) return value
    this.#trail.enter(step)
    const written = this.#value(value, depth)
    this.#trail.leave()
    return written
  }

  key(step: Step, key: unknown, depth: number): unknown {
    this.#budget.key(key)
    return this.part(step, key, depth)
  }

  fields(object: object, names: readonly string[], depth: number): object {
    const fields = {}
    for (const name of names) {
      this.#budget.note(name)
      define(fields, writeName(name), this.part(name, this.#probe.read(object, name), depth))
    }
    return fields
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
        throw this.#trail.refused(`a ${typeof value} cannot be kept`)
    }
  }

  #string(value: string): string {
    this.#budget.note(value)
    return value.charCodeAt(0) === TILDE ? `~${value}` : value
  }

  #object(value: object, depth: number): unknown {
    if (types.isProxy(value)) throw this.#trail.refused('a proxy cannot be kept')
    if (this.#met.again(value)) return this.#reference(value)
    this.#budget.object(depth, this.#met.size)

    const prototype: object | null = Object.getPrototypeOf(value)
    if (prototype === Object.prototype) return this.#record(value, depth)
    if (prototype === null) return ['~Null', this.#record(value, depth)]
    if (prototype === Array.prototype && Array.isArray(value)) return this.#elements(value, depth)
    const plan = this.#registry.planOf(prototype)
    if (plan === undefined) return this.#builtin(value, prototype, depth)
    if (plan.hooks === undefined) return this.#instance(value, plan, depth)
    return this.#state(value, plan, plan.hooks, depth)
  }

  /** The object was met before, so it must come back as one, not as two. */
  #reference(value: object): string {
    if (this.#open?.has(value) === true)
      throw this.#trail.refused('it is part of what its own `encode` returned')
    this.#form = 'S'
    return `~r${this.#met.numberOf(value)}`
  }

  #record(object: object, depth: number): object {
    const names = this.#probe.namesOf(object)
    if (mayHaveSlots(names)) this.#probe.hasNoSlots(object)
    return this.fields(object, names, depth)
  }

  /** A copy: an `encode` or a schema that is called later may change the array itself before it is text. */
  #elements(array: readonly unknown[], depth: number): readonly unknown[] {
    this.#budget.list(array.length)
    const written: unknown[] = []
    let holes = 0
    for (let i = 0; i < array.length; i++) {
      const isThere = this.#probe.hasElement(array, i)
      if (!isThere) holes++
      written.push(isThere ? this.part(i, array[i], depth) : HOLE)
    }
    this.#probe.hasOnlyElements(array, holes)
    return written
  }

  #instance(instance: object, plan: ClassPlan, depth: number): unknown {
    const shape = plan.shapes.of(this.#probe.namesOf(instance))
    if (shape.mayHaveSlots) this.#probe.hasNoSlots(instance)
    const { fields } = shape
    const row = shape.blankRow()
    row[0] = this.#tokenOf(plan, shape)
    for (let i = 0; i < fields.length; i++) {
      const name = fields[i] ?? ''
      row[i + 1] = this.part(name, this.#probe.read(instance, name), depth)
    }
    if (plan.schema !== undefined) this.#check(instance, plan, plan.schema)
    return row
  }

  #state(instance: object, plan: ClassPlan, hooks: Hooks, depth: number): unknown {
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

  #builtin(value: object, prototype: object, depth: number): unknown {
    const kind = kindOf(prototype)
    switch (kind) {
      case 'Date':
        if (!types.isDate(value)) break
        this.#probe.hasNoFields(value)
        return writeTime(Date.prototype.getTime.call(value))
      case 'Map':
        if (!types.isMap(value)) break
        this.#probe.hasNoFields(value)
        return writeMap(value, depth, this)
      case 'Set':
        if (!types.isSet(value)) break
        this.#probe.hasNoFields(value)
        return writeSet(value, depth, this)
      case 'Uint8Array':
      case 'Buffer':
        if (!types.isUint8Array(value)) break
        return this.#leaves.bytes(kind === 'Buffer' ? 'b' : 'u', value)
      case 'Error':
        if (!types.isNativeError(value)) break
        this.#form = 'S'
        return writeError(value, prototype, this.#probe.namesOf(value), depth, this)
      case 'leaf':
        this.#form = 'S'
        return this.#leaves.add(value)
      case undefined:
    }
    throw this.#trail.refused(describe(prototype))
  }

  #tokenOf(plan: ClassPlan, shape: Shape | undefined): string {
    const known = this.#types.tokenOf(plan, shape)
    if (known !== undefined) return known
    const wrong = wrongField(plan, shape?.fields ?? [])
    if (wrong !== undefined)
      throw this.#trail.refused(`a field of '${plan.name}' that ${wrong.why} cannot be kept`, wrong.name)
    const added = this.#types.add(plan, shape)
    if (added === undefined) throw this.#trail.exceeded('kinds of instances')
    return added
  }

  #check(instance: object, plan: ClassPlan, schema: ObjectSchema): void {
    let verdict: Verdict
    try {
      verdict = verdictOf(schema, instance)
    } catch (cause) {
      throw this.#trail.failed(`the schema of '${plan.name}' failed`, cause)
    }
    if (verdict.fits) return
    const why = `it is not what the schema of '${plan.name}' asks for`
    const [field] = verdict.path
    throw this.#trail.refused(why, typeof field === 'string' ? field : undefined)
  }

  #bigint(value: bigint): string {
    const token = writeBigint(value, this.#limits.bigintDigits)
    if (token === undefined) throw this.#trail.exceeded('bigint digits')
    this.#budget.spend(token.length)
    return token
  }
}

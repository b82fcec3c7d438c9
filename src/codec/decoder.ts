import { SessionError } from '../errors.ts'
import type { Registry } from '../registry.ts'
import { errorTypes } from './builtin.ts'
import { decodeBytes } from './bytes.ts'
import { define } from './define.ts'
import { readLeaves } from './leaves.ts'
import type { Limits } from './limits.ts'
import type { Plan, Shape } from './plan.ts'

const BIGINT = /^(?:0|-?[1-9a-f][\da-f]*)$/
const LATEST_DATE = 8.64e15

/** A class as a line names it. Without a shape it is one whose own function wrote its state. */
interface Type {
  readonly plan: Plan
  readonly version: number
  readonly fields: readonly string[] | undefined
  readonly shape: Shape | undefined
}

/**
 * Turns the tree that an encoder wrote into the value, in place: what `JSON.parse` has just made belongs to nobody else.
 * It trusts nothing in it. A decoder is used once.
 */
export class Decoder {
  readonly #registry: Registry
  readonly #limits: Limits
  #types: readonly Type[] = []
  #leaves: readonly unknown[] = []
  /** In an S line, every object in the order in which the encoder numbered them; `undefined` while it is not made yet. */
  #objects: (object | undefined)[] | undefined
  #nodes = 0
  /** Instances that a schema is to look at when everything they refer to is there. */
  readonly #unchecked: { plan: Plan; instance: object }[] = []

  constructor(registry: Registry, limits: Limits) {
    this.#registry = registry
    this.#limits = limits
  }

  /** @throws SessionError `ERR_SESSION_DECODE`; and whatever the functions of a registered class throw. */
  decode(form: 'T' | 'S', json: unknown): unknown {
    if (!Array.isArray(json) || json.length !== (form === 'S' ? 3 : 2)) throw damaged()
    if (form === 'S') {
      this.#leaves = readLeaves(json.shift())
      this.#objects = []
    }
    const [types, tree]: unknown[] = json
    if (!Array.isArray(types)) throw damaged()
    this.#types = types.map((type: unknown) => this.#readType(type))
    const value = this.#value(tree, 0)
    for (const { plan, instance } of this.#unchecked) check(plan, instance)
    return value
  }

  #value(node: unknown, depth: number): unknown {
    if (typeof node !== 'object' || node === null) return node
    if (!Array.isArray(node)) return this.#fields(node, this.#enter(node, depth))
    const [tag]: unknown[] = node
    if (typeof tag === 'number') return this.#instance(node, tag, depth)
    if (typeof tag === 'string') return this.#tagged(tag, node, depth)
    if (!Array.isArray(tag) || node.length !== 1) throw damaged()
    return this.#elements(tag, this.#enter(tag, depth))
  }

  /** Counts an object, and returns how deep its parts are. */
  #enter(object: object | undefined, depth: number): number {
    if (depth >= this.#limits.depth) throw new SessionError('ERR_SESSION_DECODE', 'it is nested too deeply')
    if (++this.#nodes > this.#limits.nodes)
      throw new SessionError('ERR_SESSION_DECODE', 'it has too many objects')
    this.#objects?.push(object)
    return depth + 1
  }

  #fields(object: object, depth: number): object {
    // JSON.parse made it: every name is an own data property, so assigning to it sets just that.
    const fields = object as Record<string, unknown>
    for (const name in fields) {
      if (name === '__proto__') throw damaged()
      const field = fields[name]
      if (typeof field === 'object' && field !== null) fields[name] = this.#value(field, depth)
    }
    return fields
  }

  #elements(array: unknown[], depth: number): unknown[] {
    for (let i = 0; i < array.length; i++) {
      const element = array[i]
      if (typeof element !== 'object' || element === null) continue
      if (Array.isArray(element) && element[0] === 'hole' && element.length === 1)
        Reflect.deleteProperty(array, i)
      else array[i] = this.#value(element, depth)
    }
    return array
  }

  #instance(row: unknown[], index: number, depth: number): object {
    const type = this.#types[index]
    if (type === undefined) throw damaged()
    const { plan, shape, fields } = type
    if (fields === undefined || plan.hooks !== undefined) return this.#state(row, type, depth)
    if (row.length !== fields.length + 1) throw damaged()
    const instance = plan.shapes.blank()
    const below = this.#enter(instance, depth)
    for (let i = 1; i < row.length; i++) {
      const field = row[i]
      if (typeof field === 'object' && field !== null) row[i] = this.#value(field, below)
    }
    if (shape !== undefined) shape.fill(instance, row)
    else setFields(instance, upgrade(plan, record(fields, row), type.version))
    if (plan.schema !== undefined) this.#unchecked.push({ plan, instance })
    return instance
  }

  /** An instance that its class makes itself. */
  #state(row: unknown[], type: Type, depth: number): object {
    const { plan, fields, version } = type
    if (plan.hooks === undefined || row.length !== (fields === undefined ? 2 : fields.length + 1))
      throw damaged()
    const at = this.#objects?.length ?? 0
    const below = this.#enter(undefined, depth)
    for (let i = 1; i < row.length; i++) row[i] = this.#value(row[i], below)
    const written = fields === undefined ? row[1] : record(fields, row)
    const state = version < plan.version ? upgrade(plan, written, version) : written
    const instance: unknown = attempt(plan, 'decode', () => plan.hooks?.decode(state))
    if (
      typeof instance !== 'object' ||
      instance === null ||
      Object.getPrototypeOf(instance) !== plan.prototype
    )
      throw new SessionError('ERR_SESSION_DECODE', `the \`decode\` of '${plan.name}' returned something else`)
    if (this.#objects !== undefined) this.#objects[at] = instance
    if (plan.schema !== undefined) this.#unchecked.push({ plan, instance })
    return instance
  }

  #tagged(tag: string, node: unknown[], depth: number): unknown {
    const [, first] = node
    switch (tag) {
      case 'Date': {
        if (node.length !== 2) break
        const date = new Date(first === null ? Number.NaN : time(first))
        this.#enter(date, depth)
        return date
      }
      case 'Map':
        return this.#map(node, depth)
      case 'Set':
        return this.#set(node, depth)
      case 'undefined':
        if (node.length !== 1) break
        return undefined
      case 'number':
        if (node.length !== 2) break
        return specialNumber(first)
      case 'bigint':
        if (node.length !== 2) break
        return this.#bigint(first)
      case 'Buffer':
      case 'Uint8Array': {
        if (node.length !== 2) break
        const buffer = decodeBytes(first)
        const bytes = tag === 'Buffer' ? buffer : Uint8Array.from(buffer)
        this.#enter(bytes, depth)
        return bytes
      }
      case 'null': {
        if (node.length !== 2 || !isRecord(first)) break
        const object = Object.create(null) as object // what it makes has no prototype, but is an object
        const fields = this.#fields(first, this.#enter(object, depth))
        for (const [name, field] of Object.entries(fields)) define(object, name, field)
        return object
      }
      case 'Error':
        return this.#error(node, depth)
      case 'ref':
        return this.#reference(node)
      case 'leaf':
        return this.#leaf(node, depth)
      default:
    }
    throw damaged()
  }

  #map(node: unknown[], depth: number): Map<unknown, unknown> {
    if (node.length % 2 === 0) throw damaged()
    const map = new Map<unknown, unknown>()
    const below = this.#enter(map, depth)
    for (let i = 1; i < node.length; i += 2) {
      const key = this.#value(node[i], below)
      map.set(key, this.#value(node[i + 1], below))
    }
    if (map.size !== (node.length - 1) / 2) throw damaged()
    return map
  }

  #set(node: unknown[], depth: number): Set<unknown> {
    const set = new Set<unknown>()
    const below = this.#enter(set, depth)
    for (let i = 1; i < node.length; i++) set.add(this.#value(node[i], below))
    if (set.size !== node.length - 1) throw damaged()
    return set
  }

  #bigint(text: unknown): bigint {
    if (typeof text !== 'string' || !BIGINT.test(text)) throw damaged()
    const digits = text.startsWith('-') ? text.slice(1) : text
    if (digits.length > this.#limits.bigintDigits)
      throw new SessionError('ERR_SESSION_DECODE', 'a bigint in it is too large')
    const value = BigInt(`0x${digits}`)
    return digits === text ? value : -value
  }

  #error(node: unknown[], depth: number): Error {
    const [, name, hidden, shown] = node
    if (this.#objects === undefined || node.length !== 4 || !isRecord(hidden) || !isRecord(shown))
      throw damaged()
    const error = blankError(name)
    const below = this.#enter(error, depth)
    const names = Object.keys(hidden)
    if (names.some((field) => field !== 'message' && field !== 'cause' && field !== 'errors')) throw damaged()
    if (names.some((field) => field in shown && Object.hasOwn(shown, field)) || Object.hasOwn(shown, 'stack'))
      throw damaged()
    // As they were written: the hidden ones first, whatever their order among the shown ones was.
    this.#fields(hidden, below)
    this.#fields(shown, below)
    for (const field of names) {
      const value = hidden[field]
      Object.defineProperty(error, field, { value, writable: true, enumerable: false, configurable: true })
    }
    setFields(error, shown)
    return error
  }

  #reference(node: unknown[]): object {
    const [, index] = node
    const object = typeof index === 'number' ? this.#objects?.[index] : undefined
    if (node.length !== 2 || object === undefined) throw damaged()
    return object
  }

  #leaf(node: unknown[], depth: number): object {
    const [, index] = node
    const leaf = typeof index === 'number' ? this.#leaves[index] : undefined
    if (this.#objects === undefined || node.length !== 2 || typeof leaf !== 'object' || leaf === null)
      throw damaged()
    this.#enter(leaf, depth)
    return leaf
  }

  #readType(type: unknown): Type {
    if (!Array.isArray(type) || type.length !== 3) throw damaged()
    const [name, version, fields]: unknown[] = type
    if (typeof name !== 'string' || typeof version !== 'number') throw damaged()
    if (!Number.isSafeInteger(version) || version < 1) throw damaged()
    if (fields !== null && !isFieldList(fields)) throw damaged()
    const plan = this.#registry.planNamed(name)
    if (plan === undefined) throw unreadable(name, 'is not registered here')
    if (version > plan.version) throw unreadable(name, `is of a newer version (${version})`)
    if (fields === null) {
      if (plan.hooks === undefined) throw unreadable(name, 'was written by an `encode` it no longer has')
      return { plan, version, fields: undefined, shape: undefined }
    }
    const current = version === plan.version || plan.upgrade === undefined
    if (current && fields.some((field) => plan.fields !== undefined && !plan.fields.has(field)))
      throw unreadable(name, 'has a field that its schema does not know')
    return { plan, version, fields, shape: current ? plan.shapes.of(fields) : undefined }
  }
}

function check(plan: Plan, instance: object): void {
  if (plan.schema?.safeParse(instance).success === false)
    throw unreadable(plan.name, 'is not what its schema asks for')
}

function upgrade(plan: Plan, fields: unknown, version: number): unknown {
  if (plan.upgrade === undefined) return fields
  // For a class with `encode`, it is what that returned; the docstring of `upgrade` says so.
  const upgraded = attempt(plan, 'upgrade', () => plan.upgrade?.(fields as Record<string, unknown>, version))
  if (plan.hooks !== undefined) return upgraded
  if (!isRecord(upgraded) || upgraded instanceof Promise)
    throw new SessionError('ERR_SESSION_DECODE', `the \`upgrade\` of '${plan.name}' returned no fields`)
  const unknown = Object.keys(upgraded).some((field) => plan.fields !== undefined && !plan.fields.has(field))
  if (unknown) throw unreadable(plan.name, 'has a field that its schema does not know')
  return upgraded
}

function attempt(plan: Plan, what: string, action: () => unknown): unknown {
  try {
    return action()
  } catch (cause) {
    throw new SessionError('ERR_SESSION_DECODE', `the \`${what}\` of '${plan.name}' failed`, { cause })
  }
}

function record(names: readonly string[], row: readonly unknown[]): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [index, name] of names.entries()) define(fields, name, row[index + 1])
  return fields
}

function setFields(target: object, fields: unknown): void {
  if (!isRecord(fields)) throw damaged()
  for (const [name, field] of Object.entries(fields)) {
    if (name === '__proto__') throw damaged()
    define(target, name, field)
  }
}

function blankError(name: unknown): Error {
  const error = name === 'AggregateError' ? new AggregateError([]) : newError(name)
  Reflect.deleteProperty(error, 'errors')
  // Where it was decoded is nobody's business, and where it was thrown is not kept.
  Object.defineProperty(error, 'stack', { value: '', writable: true, enumerable: false, configurable: true })
  return error
}

function newError(name: unknown): Error {
  const type = typeof name === 'string' ? errorTypes.get(name) : undefined
  if (type === undefined) throw damaged()
  return new type()
}

function time(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= LATEST_DATE) return value
  throw damaged()
}

function specialNumber(text: unknown): number {
  switch (text) {
    case 'NaN':
      return Number.NaN
    case 'Infinity':
      return Number.POSITIVE_INFINITY
    case '-Infinity':
      return Number.NEGATIVE_INFINITY
    case '-0':
      return -0
    default:
      throw damaged()
  }
}

function isFieldList(fields: unknown): fields is string[] {
  if (!Array.isArray(fields)) return false
  if (!fields.every((field) => typeof field === 'string' && field !== '__proto__')) return false
  return new Set(fields).size === fields.length
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const TYPE_NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$.:/-]{0,63}$/u

/** Names the class if it is named like one: the text may be forged. */
function unreadable(name: string, why: string): SessionError {
  const type = TYPE_NAME.test(name) ? `the type '${name}'` : 'a type in it'
  return new SessionError('ERR_SESSION_DECODE', `${type} ${why}`)
}

function damaged(): SessionError {
  return new SessionError('ERR_SESSION_DECODE', 'its text is damaged')
}

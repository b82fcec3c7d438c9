import { verdictOf } from '../standard-schema.ts'
import { SessionError } from '../../errors.ts'
import { type Limits, MAX_ENCODED_NAMES, MAX_ERRORS, NumericKeyCounter } from '../limits.ts'
import { errorTypes } from './builtins.ts'
import type { ClassPlan, Defaults } from './class-plan.ts'
import { define } from './own-properties.ts'
import { isRecord, tooDeep, tooMany, tooManyOf } from './safe-parse.ts'
import {
  damaged,
  HOLE,
  readBase64,
  readBigint,
  readDigits,
  readNames,
  readNumber,
  readTime,
  TILDE,
  UNDEFINED,
} from './tokens.ts'
import { checkNames, type Type, unreadable } from './type-table.ts'

/**
 * Decodes the tree that an encoder wrote. It does not trust the tree, and changes it in place, so the tree must be fresh
 * from `JSON.parse`. Use each decoder once.
 */
export class Decoder {
  readonly #limits: Limits
  readonly #types: readonly Type[]
  readonly #leaves: readonly unknown[]
  /** In an S line, all objects in the order in which the encoder saw them; `undefined` until an object is made. */
  readonly #objects: (object | undefined)[] | undefined
  #count = 0
  #errors = 0
  #encodedNames = 0
  readonly #numericKeys = new NumericKeyCounter()
  #hasDefaults = false
  #hasForeignParts = false
  /** Instances that their schema checks at the end, when everything they refer to is complete. */
  #unchecked: { readonly plan: ClassPlan; readonly instance: object }[] | undefined

  /** For an S line, pass the `leaves` that superjson read. Without them neither leaves nor references are accepted. */
  constructor(limits: Limits, types: readonly Type[], leaves?: readonly unknown[]) {
    this.#limits = limits
    this.#types = types
    this.#leaves = leaves ?? []
    this.#objects = leaves === undefined ? undefined : []
    this.#hasForeignParts = leaves !== undefined
  }

  /** Whether `defaults` of a class have added a field to an instance. */
  get hasDefaults(): boolean {
    return this.#hasDefaults
  }

  /** Whether a function of the program or superjson has made a part, so that the program may hold it elsewhere too. */
  get hasForeignParts(): boolean {
    return this.#hasForeignParts
  }

  /** @throws SessionError `ERR_SESSION_DECODE` */
  decode(tree: unknown): unknown {
    const value = this.#part(tree, 0)
    for (const { plan, instance } of this.#unchecked ?? []) validate(plan, instance)
    return value
  }

  #part(node: unknown, depth: number): unknown {
    if (typeof node === 'string') return node.charCodeAt(0) === TILDE ? this.#token(node, depth) : node
    if (typeof node !== 'object' || node === null) return node
    if (!Array.isArray(node)) return this.#record(node, depth)
    const [first]: unknown[] = node
    if (typeof first === 'string' && isHead(first)) return this.#headed(first, node, depth)
    return this.#elements(node, this.#enter(node, depth))
  }

  /** Counts an object, and returns the depth of its parts. */
  #enter(object: object | undefined, depth: number): number {
    if (depth >= this.#limits.depth) throw tooDeep()
    if (++this.#count > this.#limits.nodes) throw tooMany()
    this.#objects?.push(object)
    return depth + 1
  }

  #token(token: string, depth: number): unknown {
    switch (token.charAt(1)) {
      case '~':
        return token.slice(1)
      case 'd':
        return this.#leaf(new Date(readTime(token)), depth)
      case 'n':
        return readBigint(token, this.#limits.bigintDigits)
      case 'f':
        return readNumber(token)
      case 'b':
        return this.#leaf(readBase64(token.slice(2)), depth)
      case 'u':
        return this.#leaf(new Uint8Array(readBase64(token.slice(2))), depth)
      case 'r':
        return this.#reference(readDigits(token, 2))
      case 's':
        return this.#leaf(this.#leaves[readDigits(token, 2)], depth)
      default:
        if (token === UNDEFINED) return undefined
        throw damaged()
    }
  }

  #reference(number: number): object {
    const object = this.#objects?.[number]
    if (object === undefined) throw damaged()
    return object
  }

  /** An object that has no parts. */
  #leaf(object: unknown, depth: number): object {
    if (typeof object !== 'object' || object === null) throw damaged()
    this.#enter(object, depth)
    return object
  }

  #record(node: object, depth: number): object {
    if (this.#objects === undefined) return this.#fields(node, this.#enter(undefined, depth))
    // Something in the object can refer to it, so it must not be replaced later.
    const hasEncodedName = mayHaveEncodedName(node)
    const record = hasEncodedName ? this.#named(node as Record<string, unknown>) : node // fresh from JSON.parse
    return this.#fields(record, this.#enter(record, depth), hasEncodedName)
  }

  /** Decodes the fields of an object in place; if a name is encoded, in a copy. */
  #fields(object: object, depth: number, areNamesRead = false): object {
    // It is fresh from JSON.parse: all own names are data properties, so assigning to one calls no code.
    const fields = object as Record<string, unknown>
    let hasEncodedName = false
    for (const name in fields) {
      if (name === '__proto__') throw damaged()
      hasEncodedName ||= name.charCodeAt(0) === TILDE
      const field = fields[name]
      if (needsReading(field) && Object.hasOwn(fields, name)) fields[name] = this.#part(field, depth)
    }
    return hasEncodedName && !areNamesRead ? this.#named(fields) : fields
  }

  #named(fields: Record<string, unknown>): Record<string, unknown> {
    for (const name in fields)
      if (name.charCodeAt(0) === TILDE && ++this.#encodedNames > MAX_ENCODED_NAMES)
        throw tooManyOf('names that JSON escapes')
    return readNames(fields)
  }

  #elements(array: unknown[], depth: number): unknown[] {
    for (let i = 0; i < array.length; i++) {
      const element = array[i]
      if (!needsReading(element)) continue
      if (element === HOLE) Reflect.deleteProperty(array, i)
      else array[i] = this.#part(element, depth)
    }
    return array
  }

  /** An array whose first element is a token that says what the others are. */
  #headed(head: string, node: unknown[], depth: number): object {
    switch (head) {
      case '~Map':
        return this.#map(node, depth)
      case '~Set':
        return this.#set(node, depth)
      case '~Null':
        return this.#withoutPrototype(node, depth)
      case '~Error':
        return this.#error(node, depth)
      default: {
        const type = this.#types[readDigits(head, 1)]
        if (type === undefined) throw damaged()
        return type.plan.hooks === undefined
          ? this.#instance(node, type, depth)
          : this.#decoded(node, type, depth)
      }
    }
  }

  #map(node: readonly unknown[], depth: number): Map<unknown, unknown> {
    if (node.length % 2 === 0) throw damaged()
    const map = new Map<unknown, unknown>()
    const below = this.#enter(map, depth)
    for (let i = 1; i < node.length; i += 2) {
      const key = this.#key(node[i], below)
      map.set(key, this.#part(node[i + 1], below))
    }
    if (map.size !== (node.length - 1) / 2) throw damaged() // a key stands there twice
    return map
  }

  #set(node: readonly unknown[], depth: number): Set<unknown> {
    const set = new Set<unknown>()
    const below = this.#enter(set, depth)
    for (let i = 1; i < node.length; i++) set.add(this.#key(node[i], below))
    if (set.size !== node.length - 1) throw damaged() // a member stands there twice
    return set
  }

  /** A key of a Map or a member of a Set. */
  #key(node: unknown, depth: number): unknown {
    const key = this.#part(node, depth)
    if (this.#numericKeys.exceedsWith(key)) throw tooManyOf('numbers as keys and members')
    return key
  }

  #withoutPrototype(node: unknown[], depth: number): object {
    const [, fields] = node
    if (node.length !== 2 || !isRecord(fields)) throw damaged()
    // It is fresh from JSON.parse, so nothing depends on its prototype yet.
    return Object.setPrototypeOf(this.#record(fields, depth), null) as object
  }

  #error(node: readonly unknown[], depth: number): Error {
    const [, name, hidden, shown] = node
    if (node.length !== 4 || !isRecord(hidden) || !isRecord(shown)) throw damaged()
    this.#errors += 1 + Object.keys(shown).length
    if (this.#errors > MAX_ERRORS) throw tooManyOf('errors and fields of errors')
    const error = createError(name)
    const below = this.#enter(error, depth)
    for (const [field, value] of Object.entries(this.#fields(hidden, below))) {
      if (field !== 'message' && field !== 'cause' && field !== 'errors') throw damaged()
      Object.defineProperty(error, field, { value, writable: true, enumerable: false, configurable: true })
    }
    const visible = this.#fields(shown, below)
    if (ERROR_FIELDS.some((field) => Object.hasOwn(visible, field) && Object.hasOwn(error, field)))
      throw damaged()
    setFields(error, visible)
    return error
  }

  /** An instance that was written as its fields. */
  #instance(row: unknown[], type: Type, depth: number): object {
    const { plan, version, fields, shape } = type
    if (fields === undefined || row.length !== fields.length + 1) throw damaged()
    const instance = plan.shapes.createInstance()
    const below = this.#enter(instance, depth)
    for (let i = 1; i < row.length; i++) {
      const field = row[i]
      if (needsReading(field)) row[i] = this.#part(field, below)
    }
    if (shape !== undefined) shape.fill(instance, row)
    else {
      setFields(instance, upgradeFields(plan, fieldsOf(fields, row), version))
      this.#hasForeignParts = true
    }
    if (type.lacksFields && plan.defaults !== undefined) this.#addFields(instance, plan, plan.defaults)
    if (plan.schema !== undefined) this.#validateLater(plan, instance)
    return instance
  }

  /** Gives an instance the fields that its class has got since it was written. */
  #addFields(instance: object, plan: ClassPlan, { names, make }: Defaults): void {
    const missing = names.filter((name) => !Object.hasOwn(instance, name))
    if (missing.length === 0) return
    const values = attempt(plan, 'defaults', make)
    for (const name of missing) define(instance, name, values[name])
    this.#hasDefaults = true
    this.#hasForeignParts = true
  }

  /** An instance that the `decode` of its class makes. Its state cannot refer to it, as it does not exist before. */
  #decoded(row: unknown[], { plan, version, fields }: Type, depth: number): object {
    const { hooks } = plan
    if (hooks === undefined || row.length !== (fields?.length ?? 1) + 1) throw damaged()
    const number = this.#objects?.length ?? 0
    const below = this.#enter(undefined, depth)
    for (let i = 1; i < row.length; i++) row[i] = this.#part(row[i], below)
    const written = fields === undefined ? row[1] : fieldsOf(fields, row)
    const state = version < plan.version ? upgrade(plan, written, version) : written
    const instance = attempt(plan, 'decode', () => hooks.decode(state))
    if (
      typeof instance !== 'object' ||
      instance === null ||
      Object.getPrototypeOf(instance) !== plan.prototype
    )
      throw new SessionError('ERR_SESSION_DECODE', `the \`decode\` of '${plan.name}' returned something else`)
    this.#hasForeignParts = true
    if (this.#objects !== undefined) this.#objects[number] = instance
    if (plan.schema !== undefined) this.#validateLater(plan, instance)
    return instance
  }

  #validateLater(plan: ClassPlan, instance: object): void {
    this.#unchecked ??= []
    this.#unchecked.push({ plan, instance })
  }
}

/** The own fields that an error may have before those that the program gave it. */
const ERROR_FIELDS = ['message', 'cause', 'errors', 'stack']

function mayHaveEncodedName(object: object): boolean {
  for (const name in object) if (name.charCodeAt(0) === TILDE) return true
  return false
}

/** Most parts of most values are not encoded and need no call. */
function needsReading(part: unknown): boolean {
  return typeof part === 'string' ? part.charCodeAt(0) === TILDE : typeof part === 'object' && part !== null
}

/** Whether a token begins an array: these have a digit or a capital letter after the `~`. */
function isHead(token: string): boolean {
  if (token.charCodeAt(0) !== TILDE) return false
  const letter = token.charCodeAt(1)
  return (letter >= 0x30 && letter <= 0x39) || (letter >= 0x41 && letter <= 0x5a)
}

/** The fields of a row, by name. */
function fieldsOf(names: readonly string[], row: readonly unknown[]): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [index, name] of names.entries()) define(fields, name, row[index + 1])
  return fields
}

function setFields(target: object, fields: object): void {
  const record = fields as Record<string, unknown>
  for (const name of Object.keys(record)) {
    if (name === '__proto__') throw damaged()
    define(target, name, record[name])
  }
}

/** Turns the fields that an older version of a class wrote into current ones. */
function upgradeFields(plan: ClassPlan, fields: unknown, version: number): Record<string, unknown> {
  const upgraded = upgrade(plan, fields, version)
  if (!isRecord(upgraded) || typeof upgraded['then'] === 'function')
    throw new SessionError('ERR_SESSION_DECODE', `the \`upgrade\` of '${plan.name}' returned no fields`)
  checkNames(plan, Object.keys(upgraded))
  return upgraded
}

function upgrade(plan: ClassPlan, written: unknown, version: number): unknown {
  // A record of fields, or what an older `encode` returned: `TypeOptions.upgrade` documents which.
  const fields = written as Record<string, unknown>
  return plan.upgrade === undefined
    ? written
    : attempt(plan, 'upgrade', () => plan.upgrade?.(fields, version))
}

/** Calls a function of the program. The error that it throws becomes the cause of ours. */
function attempt<T>(plan: ClassPlan, what: string, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    throw new SessionError('ERR_SESSION_DECODE', `the \`${what}\` of '${plan.name}' failed`, { cause })
  }
}

function validate(plan: ClassPlan, instance: object): void {
  const { schema } = plan
  if (schema === undefined || attempt(plan, 'schema', () => verdictOf(schema, instance).fits)) return
  throw unreadable(plan.name, 'does not match its schema')
}

/** An error without message and stack: the stack was not stored, and the place of decoding means nothing to the program. */
function createError(name: unknown): Error {
  const error = withoutStack(() => (name === 'AggregateError' ? new AggregateError([]) : newError(name)))
  if (name === 'AggregateError') Reflect.deleteProperty(error, 'errors')
  Object.defineProperty(error, 'stack', { value: '', writable: true, enumerable: false, configurable: true })
  return error
}

function newError(name: unknown): Error {
  const type = typeof name === 'string' ? errorTypes.get(name) : undefined
  if (type === undefined) throw damaged()
  return new type()
}

/** Capturing a stack takes a hundred times as long as the rest of making an error. Has no effect if `Error` is frozen. */
function withoutStack(make: () => Error): Error {
  const { stackTraceLimit } = Error
  Reflect.set(Error, 'stackTraceLimit', 0)
  try {
    return make()
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  }
}

import { SessionError } from '../../errors.ts'
import { type PartReader, readMap, readSet } from './collections.ts'
import { readError } from './failure.ts'
import { attempt, check, isRecord, record, setFields, upgrade, upgradeFields } from './fields.ts'
import { type Limits, NumericKeyCounter } from '../limits.ts'
import { readNames } from './names.ts'
import { tooDeep, tooMany } from './safe-parse.ts'
import type { ClassPlan } from './class-plan.ts'
import type { Type } from './type-table.ts'
import {
  damaged,
  HOLE,
  readBase64,
  readBigint,
  readDigits,
  readNumber,
  readTime,
  TILDE,
  UNDEFINED,
} from './tokens.ts'

/**
 * Turns the tree that an encoder wrote into the value, in place: what `JSON.parse` has just made belongs to nobody else.
 * It trusts nothing in it. A decoder is used once.
 */
export class Decoder implements PartReader {
  readonly #limits: Limits
  readonly #types: readonly Type[]
  readonly #leaves: readonly unknown[]
  /** In an S line, every object in the order in which the encoder met them; `undefined` while it is not made yet. */
  readonly #objects: (object | undefined)[] | undefined
  #count = 0
  readonly #numericKeys = new NumericKeyCounter()
  /** Instances that a schema is to look at, when everything they refer to is there. */
  #unchecked: { readonly plan: ClassPlan; readonly instance: object }[] | undefined

  /** With `leaves`, what superjson read, for an S line; else there are neither leaves nor references. */
  constructor(limits: Limits, types: readonly Type[], leaves?: readonly unknown[]) {
    this.#limits = limits
    this.#types = types
    this.#leaves = leaves ?? []
    this.#objects = leaves === undefined ? undefined : []
  }

  /** @throws SessionError `ERR_SESSION_DECODE` */
  decode(tree: unknown): unknown {
    const value = this.part(tree, 0)
    for (const { plan, instance } of this.#unchecked ?? []) check(plan, instance)
    return value
  }

  part(node: unknown, depth: number): unknown {
    if (typeof node === 'string') return node.charCodeAt(0) === TILDE ? this.#token(node, depth) : node
    if (typeof node !== 'object' || node === null) return node
    if (!Array.isArray(node)) return this.fields(node, this.enter(node, depth))
    const [first]: unknown[] = node
    if (typeof first === 'string' && isHead(first)) return this.#headed(first, node, depth)
    return this.#elements(node, this.enter(node, depth))
  }

  key(node: unknown, depth: number): unknown {
    const key = this.part(node, depth)
    if (this.#numericKeys.exceedsWith(key))
      throw new SessionError('ERR_SESSION_DECODE', 'it has too many numbers as keys and members')
    return key
  }

  enter(object: object | undefined, depth: number): number {
    if (depth >= this.#limits.depth) throw tooDeep()
    if (++this.#count > this.#limits.nodes) throw tooMany()
    this.#objects?.push(object)
    return depth + 1
  }

  fields(object: object, depth: number): object {
    // JSON.parse made it: every own name is a data property, so assigning to it sets just that.
    const fields = object as Record<string, unknown>
    let isSpelled = false
    for (const name in fields) {
      if (name === '__proto__') throw damaged()
      isSpelled ||= name.charCodeAt(0) === TILDE
      const field = fields[name]
      if (needsReading(field) && Object.hasOwn(fields, name)) fields[name] = this.part(field, depth)
    }
    if (isSpelled) readNames(fields)
    return fields
  }

  #elements(array: unknown[], depth: number): unknown[] {
    for (let i = 0; i < array.length; i++) {
      const element = array[i]
      if (!needsReading(element)) continue
      if (element === HOLE) Reflect.deleteProperty(array, i)
      else array[i] = this.part(element, depth)
    }
    return array
  }

  /** An array whose first element is none, but says what the others are. */
  #headed(head: string, node: unknown[], depth: number): object {
    switch (head) {
      case '~Map':
        return readMap(node, depth, this)
      case '~Set':
        return readSet(node, depth, this)
      case '~Null':
        return this.#bare(node, depth)
      case '~Error':
        return readError(node, depth, this)
      default: {
        const type = this.#types[readDigits(head, 1)]
        if (type === undefined) throw damaged()
        return type.plan.hooks === undefined
          ? this.#instance(node, type, depth)
          : this.#state(node, type, depth)
      }
    }
  }

  #instance(row: unknown[], { plan, version, fields, shape }: Type, depth: number): object {
    if (fields === undefined || row.length !== fields.length + 1) throw damaged()
    const instance = plan.shapes.blank()
    const below = this.enter(instance, depth)
    for (let i = 1; i < row.length; i++) {
      const field = row[i]
      if (needsReading(field)) row[i] = this.part(field, below)
    }
    if (shape !== undefined) shape.fill(instance, row)
    else setFields(instance, upgradeFields(plan, record(fields, row), version))
    if (plan.schema !== undefined) this.#checkLater(plan, instance)
    return instance
  }

  /** An instance that its class makes itself. Nothing in its state can refer to it: it is not there yet. */
  #state(row: unknown[], { plan, version, fields }: Type, depth: number): object {
    const { hooks } = plan
    if (hooks === undefined || row.length !== (fields?.length ?? 1) + 1) throw damaged()
    const number = this.#objects?.length ?? 0
    const below = this.enter(undefined, depth)
    for (let i = 1; i < row.length; i++) row[i] = this.part(row[i], below)
    const written = fields === undefined ? row[1] : record(fields, row)
    const state = version < plan.version ? upgrade(plan, written, version) : written
    const instance = attempt(plan, 'decode', () => hooks.decode(state))
    if (
      typeof instance !== 'object' ||
      instance === null ||
      Object.getPrototypeOf(instance) !== plan.prototype
    )
      throw new SessionError('ERR_SESSION_DECODE', `the \`decode\` of '${plan.name}' returned something else`)
    if (this.#objects !== undefined) this.#objects[number] = instance
    if (plan.schema !== undefined) this.#checkLater(plan, instance)
    return instance
  }

  #checkLater(plan: ClassPlan, instance: object): void {
    this.#unchecked ??= []
    this.#unchecked.push({ plan, instance })
  }

  #token(token: string, depth: number): unknown {
    switch (token.charAt(1)) {
      case '~':
        return token.slice(1)
      case 'd':
        return this.#made(new Date(readTime(token)), depth)
      case 'n':
        return readBigint(token, this.#limits.bigintDigits)
      case 'f':
        return readNumber(token)
      case 'b':
        return this.#made(readBase64(token.slice(2)), depth)
      case 'u':
        return this.#made(Uint8Array.from(readBase64(token.slice(2))), depth)
      case 'r':
        return this.#reference(readDigits(token, 2))
      case 's':
        return this.#leaf(readDigits(token, 2), depth)
      default:
        if (token === UNDEFINED) return undefined
        throw damaged()
    }
  }

  #made(object: object, depth: number): object {
    this.enter(object, depth)
    return object
  }

  #reference(number: number): object {
    const object = this.#objects?.[number]
    if (object === undefined) throw damaged()
    return object
  }

  #leaf(index: number, depth: number): object {
    const leaf = this.#leaves[index]
    if (typeof leaf !== 'object' || leaf === null) throw damaged()
    return this.#made(leaf, depth)
  }

  #bare(node: unknown[], depth: number): object {
    const [, fields] = node
    if (node.length !== 2 || !isRecord(fields)) throw damaged()
    const object = Object.create(null) as object // without a prototype, but an object
    setFields(object, this.fields(fields, this.enter(object, depth)))
    return object
  }
}

/** Most parts of most values are what they are. */
function needsReading(part: unknown): boolean {
  return typeof part === 'string' ? part.charCodeAt(0) === TILDE : typeof part === 'object' && part !== null
}

/** The tokens that begin an array have a digit or a capital letter. */
function isHead(token: string): boolean {
  if (token.charCodeAt(0) !== TILDE) return false
  const letter = token.charCodeAt(1)
  return (letter >= 0x30 && letter <= 0x39) || (letter >= 0x41 && letter <= 0x5a)
}

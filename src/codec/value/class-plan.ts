import type { ObjectSchema } from '../standard-schema.ts'
import { define } from './define.ts'
import { mayHaveSlots } from './own-properties.ts'

/** What the registry knows of a class: how its instances become fields, and fields an instance. */
export interface ClassPlan {
  readonly name: string
  /** The class, for error texts and to recognise the same registration again. */
  readonly type: unknown
  readonly prototype: object
  readonly version: number
  readonly schema: ObjectSchema | undefined
  /** The names that the schema knows; any other own field is refused. */
  readonly fields: ReadonlySet<string> | undefined
  readonly hooks: Hooks | undefined
  readonly upgrade: ((fields: Record<string, unknown>, fromVersion: number) => unknown) | undefined
  readonly merge: ((base: unknown, mine: unknown, theirs: unknown) => unknown) | undefined
  readonly shapes: Shapes
}

/** For a class whose state its own functions turn into a value and back. */
export interface Hooks {
  readonly encode: (instance: object) => unknown
  readonly decode: (plain: unknown) => unknown
}

/**
 * The first of the names that no instance of the class may have as a field, and why. Without a schema every name may
 * come from a payload, and a field would hide what the class has under that name: a method or a getter that tells
 * whether somebody is an admin, for example.
 */
export function wrongField(
  plan: ClassPlan,
  names: readonly string[],
): { name: string; why: string } | undefined {
  const { fields, prototype } = plan
  for (const name of names) {
    if (fields?.has(name) === false) return { name, why: 'its schema does not know' }
    if (fields === undefined && inheritsCode(prototype, name))
      return { name, why: 'would hide a method, a getter or a setter of the class' }
  }
  return undefined
}

function inheritsCode(prototype: object, name: string): boolean {
  for (let link: object | null = prototype; link !== null; link = Reflect.getPrototypeOf(link)) {
    const property = Reflect.getOwnPropertyDescriptor(link, name)
    if (property !== undefined) return !('value' in property) || typeof property.value === 'function'
  }
  return false
}

const REMEMBERED = 16

/** How many classes, each with a list of fields, one value may be made of. */
export const MOST_TYPES = 500

/**
 * The shapes in which instances of one class were met lately. Instances with the same fields in the same order share a
 * shape, so what there is to know of a list of fields is found out once.
 */
export class Shapes {
  /** The entry of a class whose own `encode` writes its instances. */
  readonly fieldless: string
  readonly #prototype: object
  readonly #name: string
  readonly #version: number
  readonly #recent: Shape[] = []

  constructor(prototype: object, name: string, version: number) {
    this.#prototype = prototype
    this.#name = name
    this.#version = version
    this.fieldless = JSON.stringify([name, version, null])
  }

  /** An instance without fields. No constructor runs. */
  blank(): object {
    return Object.create(this.#prototype) as object // it is one: the prototype is never null
  }

  /** The shape with exactly these fields. Names that come from a payload must have been checked. */
  of(fields: readonly string[]): Shape {
    const recent = this.#recent
    for (const shape of recent) if (shape.matches(fields)) return shape
    const entry = JSON.stringify([this.#name, this.#version, fields])
    const shape = new Shape(fields, this.#prototype, entry)
    if (recent.length === REMEMBERED) recent.pop()
    recent.unshift(shape)
    return shape
  }
}

/** A class and a list of its fields. */
export class Shape {
  readonly fields: readonly string[]
  /** Its entry in the table of a line: `["Cart",1,["items","since"]]`. */
  readonly entry: string
  /** Whether an instance with these fields may be one of a built-in class whose prototype was changed. */
  readonly mayHaveSlots: boolean
  readonly #blank: readonly unknown[]
  /** Whether the class inherits one of the names, so that a plain assignment could reach a setter. */
  readonly #shadows: boolean

  constructor(fields: readonly string[], prototype: object, entry: string) {
    this.fields = fields
    this.entry = entry
    this.mayHaveSlots = mayHaveSlots(fields)
    this.#blank = ['', ...fields]
    this.#shadows = fields.some((field) => field in prototype)
  }

  matches(fields: readonly string[]): boolean {
    const mine = this.fields
    if (mine.length !== fields.length) return false
    for (let i = 0; i < mine.length; i++) if (mine[i] !== fields[i]) return false
    return true
  }

  /** A row to write an instance in. To copy one of the right length takes less than to let one grow. */
  blankRow(): unknown[] {
    return this.#blank.slice()
  }

  /** Gives a blank instance its fields: `row[1]` is the first. */
  fill(instance: object, row: readonly unknown[]): void {
    const fields = this.fields
    if (this.#shadows) {
      for (let i = 0; i < fields.length; i++) define(instance, fields[i] ?? '', row[i + 1])
      return
    }
    // As in `define`: nothing of these names is there or inherited.
    const record = instance as Record<string, unknown>
    for (let i = 0; i < fields.length; i++) record[fields[i] ?? ''] = row[i + 1]
  }
}

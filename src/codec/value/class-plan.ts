import type { ObjectSchema } from '../standard-schema.ts'
import { define, mayHaveSlots } from './own-properties.ts'

/** Makes one value of two: `base` is what both requests began with, `undefined` if there was nothing. */
export type MergeFunction = (base: unknown, mine: unknown, theirs: unknown) => unknown

/** How the changes that two requests made to one value become one value. See `TypeOptions.merge`. */
export type Merge = 'fields' | 'items' | MergeFunction

/** Finds the plans of registered classes. The registry implements it; the codec knows classes only through it. */
export interface ClassPlans {
  /** The plan for objects with this prototype. */
  planOf(prototype: object): ClassPlan | undefined

  /** The plan of the class registered under this name. */
  planNamed(name: string): ClassPlan | undefined

  /** Whether values may have regular expressions. */
  readonly allowsRegExps: boolean
}

/** How instances of a registered class are encoded and decoded. */
export interface ClassPlan {
  readonly name: string
  /** The class itself, to recognise a repeated registration. */
  readonly type: unknown
  /** The options that it was registered with, for the same reason. */
  readonly options: object
  readonly prototype: object
  readonly version: number
  readonly schema: ObjectSchema | undefined
  /** The names in the schema. If there is one, instances may have no other own field. */
  readonly fields: ReadonlySet<string> | undefined
  readonly hooks: Hooks | undefined
  /** The fields that older instances may lack. */
  readonly defaults: Defaults | undefined
  readonly upgrade: ((fields: Record<string, unknown>, fromVersion: number) => unknown) | undefined
  readonly merge: Merge | undefined
  readonly shapes: Shapes
}

/** The values of fields that a class has got since instances of it were stored. */
export interface Defaults {
  /** The fields that have one. Instances that are written have all of them, so only older ones lack any. */
  readonly names: readonly string[]
  /** Returns the values, new ones for each instance. */
  readonly make: () => Readonly<Record<string, unknown>>
}

/** The functions of a class that encodes and decodes its own instances. */
export interface Hooks {
  readonly encode: (instance: object) => unknown
  readonly decode: (plain: unknown) => unknown
}

/**
 * Finds the first name that no instance of the class may have as a field, and says why. Without a schema a payload may
 * contain any name, and a field would hide an inherited method or accessor of that name, such as a getter `isAdmin`.
 */
export function wrongField(
  plan: Pick<ClassPlan, 'fields' | 'prototype'>,
  names: readonly string[],
): { name: string; why: string } | undefined {
  const { fields, prototype } = plan
  for (const name of names) {
    if (fields?.has(name) === false) return { name, why: 'is not in its schema' }
    if (fields === undefined && inheritsCode(prototype, name))
      return { name, why: 'would hide a method, a getter or a setter of the class' }
  }
  return undefined
}

/** The first field that instances must have, since `defaults` would add it to one without when that is read. */
export function missingField({ defaults }: ClassPlan, names: readonly string[]): string | undefined {
  return defaults?.names.find((name) => !names.includes(name))
}

function inheritsCode(prototype: object, name: string): boolean {
  for (let link: object | null = prototype; link !== null; link = Reflect.getPrototypeOf(link)) {
    const property = Reflect.getOwnPropertyDescriptor(link, name)
    if (property !== undefined) return !('value' in property) || typeof property.value === 'function'
  }
  return false
}

/** How many shapes are compared one by one. Most classes have fewer. */
const FEW_SHAPES = 8
/** How many fields of all shapes of a class are remembered. */
const MAX_FIELDS = 10_000

/**
 * The shapes of one class. Instances with the same fields in the same order share a shape, so the checks of a list of fields
 * run once.
 *
 * The first shapes are compared one by one. All others are found by their names, one after the other, in a tree: a value may
 * have hundreds of shapes, and tens of thousands of instances whose fields begin alike.
 */
export class Shapes {
  /** The type table's entry for instances that the class's own `encode` writes. */
  readonly fieldless: string
  readonly #prototype: object
  readonly #name: string
  readonly #version: number
  readonly #few: Shape[] = []
  #tree = new ShapeNode()
  #size = 0

  constructor(prototype: object, name: string, version: number) {
    this.#prototype = prototype
    this.#name = name
    this.#version = version
    this.fieldless = JSON.stringify([name, version, null])
  }

  /** Creates an instance without fields. No constructor runs. */
  createInstance(): object {
    return Object.create(this.#prototype) as object // `Object.create` always returns an object
  }

  /** The shape with exactly these fields. The caller must have checked names that come from a payload. */
  of(fields: readonly string[]): Shape {
    const few = this.#few
    for (const shape of few) if (shape.matches(fields)) return shape
    if (few.length < FEW_SHAPES) {
      const shape = this.#create(fields)
      few.push(shape)
      return shape
    }
    return fields.length > MAX_FIELDS ? this.#create(fields) : this.#inTree(fields)
  }

  #inTree(fields: readonly string[]): Shape {
    if (this.#size > MAX_FIELDS) {
      this.#tree = new ShapeNode()
      this.#size = 0
    }
    let node = this.#tree
    for (const field of fields) {
      let next = node.get(field)
      if (next === undefined) {
        next = node.add(field)
        this.#size++
      }
      node = next
    }
    return (node.shape ??= this.#create(fields))
  }

  #create(fields: readonly string[]): Shape {
    const entry = JSON.stringify([this.#name, this.#version, fields])
    return new Shape(fields, this.#prototype, entry)
  }
}

/** The shapes that begin with the same fields. Most nodes have one child, for which no Map is needed. */
class ShapeNode {
  shape: Shape | undefined
  #field: string | undefined
  #only: ShapeNode | undefined
  #children: Map<string, ShapeNode> | undefined

  get(field: string): ShapeNode | undefined {
    return this.#field === field ? this.#only : this.#children?.get(field)
  }

  add(field: string): ShapeNode {
    const child = new ShapeNode()
    if (this.#only === undefined) {
      this.#field = field
      this.#only = child
    } else (this.#children ??= new Map()).set(field, child)
    return child
  }
}

/** A class with one list of fields. */
export class Shape {
  readonly fields: readonly string[]
  /** The entry in the type table of a line: `["Cart",1,["items","since"]]`. */
  readonly entry: string
  /** Whether an instance with these fields may have internal slots, see {@link mayHaveSlots}. */
  readonly mayHaveSlots: boolean
  readonly #blankRow: readonly unknown[]
  /** Whether the class inherits one of the names, so that an assignment could reach a setter. */
  readonly #shadows: boolean

  constructor(fields: readonly string[], prototype: object, entry: string) {
    this.fields = fields
    this.entry = entry
    this.mayHaveSlots = mayHaveSlots(fields)
    this.#blankRow = ['', ...fields]
    this.#shadows = fields.some((field) => field in prototype)
  }

  matches(fields: readonly string[]): boolean {
    const own = this.fields
    if (own.length !== fields.length) return false
    for (let i = 0; i < own.length; i++) if (own[i] !== fields[i]) return false
    return true
  }

  /** A row for the token and fields of an instance. Copying one of the right length is faster than growing one. */
  blankRow(): unknown[] {
    return this.#blankRow.slice()
  }

  /** Gives a new instance its fields: `row[1]` is the first. */
  fill(instance: object, row: readonly unknown[]): void {
    const fields = this.fields
    if (this.#shadows) {
      for (let i = 0; i < fields.length; i++) define(instance, fields[i] ?? '', row[i + 1])
      return
    }
    // None of the names is own or inherited, so an assignment creates an own property, as in `define`.
    const record = instance as Record<string, unknown>
    for (let i = 0; i < fields.length; i++) record[fields[i] ?? ''] = row[i + 1]
  }
}

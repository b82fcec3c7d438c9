import { types } from 'node:util'
import type { ZodObject } from 'zod'
import { isBuiltin } from './codec/value/builtins.ts'
import {
  type Hooks,
  type ClassPlan,
  type Merge,
  type MergeFunction,
  Shapes,
} from './codec/value/class-plan.ts'
import { SessionError } from './errors.ts'

/** A class, concrete or abstract, whatever its constructor takes. */
export type Class<T extends object = object> = abstract new (...args: never[]) => T

/**
 * How instances of a class are kept.
 *
 * Without `encode` and `decode` an instance is kept as its own fields, and comes back by `Object.create` and those
 * fields: **no constructor runs**. State in `#private` fields (`accessor` fields too) can neither be seen nor set from
 * outside, so a class that has any needs `encode` and `decode`. A subclass of Map, Set, Array, Error and the like cannot
 * be registered without them.
 */
export interface TypeOptions<T extends object> {
  /**
   * What stands for the class in payloads. Default: the class's own name. Give one if your code is minified, and keep
   * it when you rename the class.
   */
  readonly name?: string

  /**
   * The fields, as a zod object. Instances are checked against it when they are written and when they are read, and
   * may have no other own field. It only checks: the output of transforms and defaults is not used.
   */
  readonly schema?: ZodObject

  /** Raise it when the fields change their meaning. A whole number from 1; default 1. */
  readonly version?: number

  /**
   * Turns what an older version of the class wrote into the fields of this one. Without it the older fields are taken
   * as they are. For a class with `encode` it gets what the older `encode` returned, and `decode` gets its result.
   */
  upgrade?(fields: Record<string, unknown>, fromVersion: number): Record<string, unknown>

  /** Returns the state as any value that can be kept. It must return equal values for equal instances. */
  encode?(instance: T): unknown

  /** Makes an instance of what {@link encode} returned. */
  decode?(plain: unknown): T

  /**
   * How the changes that two requests made to one instance at the same time become one value. Without it the later one of
   * the two requests is refused with 409, unless the key has a `merge` of its own.
   *
   * - `'fields'`: each field keeps the change of the request that made it. Fields that both changed are a conflict, which
   *   is answered with 409, even if both gave them the same value. For classes without `encode`. Choose it only if every
   *   combination of two valid changes is valid: fields that belong together do not stay together.
   * - `'items'`: what either request inserted or deleted is so in the result. Entries of a Map that both changed, and items
   *   of an array that both deleted or replaced, are a conflict. For subclasses of Array, Map and Set whose `encode`
   *   returns their items and nothing else.
   * - A function decides itself. `base` is what both requests began with, `undefined` if there was nothing; `mine` is the
   *   instance of the request that commits now, and may be changed and returned; `theirs` is the stored one. If it throws,
   *   that is a conflict.
   */
  readonly merge?: 'fields' | 'items' | ((base: T | undefined, mine: T, theirs: T) => T)
}

/** The classes whose instances a session can keep. */
export interface Registry {
  /**
   * Makes instances of exactly this class keepable; a subclass is another class. Registering the same class under the
   * same name again does nothing.
   *
   * @throws SessionError `ERR_SESSION_TYPE` if the name or the class is taken, the name looks minified, or the class
   *   cannot be kept that way.
   */
  registerType<T extends object>(type: Class<T>, options?: TypeOptions<T>): void

  /** The `merge` of the value's class, if it has one. */
  mergeOf(value: unknown): Merge | undefined

  /** @internal The plan for objects with this prototype. */
  planOf(prototype: object): ClassPlan | undefined

  /** @internal The plan for the class registered under this name. */
  planNamed(name: string): ClassPlan | undefined
}

/** A registry of its own, for a program with several independent sessions, or a test. */
export function createRegistry(): Registry {
  return new ClassRegistry()
}

class ClassRegistry implements Registry {
  readonly #byName = new Map<string, ClassPlan>()
  readonly #byPrototype = new Map<object, ClassPlan>()

  registerType<T extends object>(type: Class<T>, options: TypeOptions<T> = {}): void {
    const prototype = prototypeOf(type)
    const name = nameOf(type, options.name)
    const known = this.#byName.get(name)
    if (known !== undefined && known.type === type) return
    if (known !== undefined) throw wrong(`another class is already registered as '${name}'`)
    const other = this.#byPrototype.get(prototype)
    if (other !== undefined)
      throw wrong(`the class is already registered as '${other.name}', and now as '${name}'`)
    const plan = compile(name, type, prototype, options)
    this.#byName.set(name, plan)
    this.#byPrototype.set(prototype, plan)
  }

  mergeOf(value: unknown): Merge | undefined {
    if (typeof value !== 'object' || value === null || types.isProxy(value)) return undefined
    const prototype: object | null = Object.getPrototypeOf(value)
    return prototype === null ? undefined : this.#byPrototype.get(prototype)?.merge
  }

  planOf(prototype: object): ClassPlan | undefined {
    return this.#byPrototype.get(prototype)
  }

  planNamed(name: string): ClassPlan | undefined {
    return this.#byName.get(name)
  }
}

/** The registry of {@link registerType}, which sessions use unless they are given another one. */
export const defaultRegistry: Registry = createRegistry()

/**
 * Makes instances of a class keepable in every session that has no registry of its own. Call it at start-up, before the
 * first session is read.
 *
 * ```ts
 * class Cart { items: string[] = []; add(sku: string) { this.items.push(sku) } }
 * registerType(Cart)
 * ```
 *
 * The idea is `gob.Register` of the Go library.
 *
 * @throws SessionError `ERR_SESSION_TYPE`, see {@link Registry.registerType}.
 */
export function registerType<T extends object>(type: Class<T>, options?: TypeOptions<T>): void {
  defaultRegistry.registerType(type, options)
}

const NAME = /^[^\s\p{C}"'\\]{1,64}$/u

function nameOf(type: { readonly name: unknown }, given: string | undefined): string {
  if (given !== undefined) {
    if (!NAME.test(given)) throw wrong('a name is 1 to 64 characters without spaces and quotes')
    return given
  }
  const name = type.name // a class may have a static member of that name
  if (typeof name !== 'string' || name === '') throw wrong('the class has no name; give it one by `name`')
  if (name.length < 3)
    throw wrong(`the class name '${name}' looks minified and may change; give it one by \`name\``)
  if (!NAME.test(name)) throw wrong('the class name cannot be used; give it another one by `name`')
  return name
}

function prototypeOf(type: unknown): object {
  if (typeof type !== 'function') throw wrong('it takes a class')
  const prototype: unknown = type.prototype
  if (typeof prototype !== 'object' || prototype === null) throw wrong('it takes a class')
  if (prototype === Object.prototype || isBuiltin(prototype))
    throw wrong('values of built-in classes are kept or refused without being registered')
  return prototype
}

function compile<T extends object>(
  name: string,
  type: unknown,
  prototype: object,
  options: TypeOptions<T>,
): ClassPlan {
  const { version = 1, schema } = options
  if (!Number.isSafeInteger(version) || version < 1) throw wrong(`the version of '${name}' is not 1, 2, 3 …`)
  if ('then' in prototype) throw wrong(`'${name}' has a method \`then\`: to await one would call it`)
  const hooks = hooksOf(name, prototype, options)
  return {
    name,
    type,
    prototype,
    version,
    schema,
    fields: schema === undefined ? undefined : new Set(Object.keys(schema.shape)),
    hooks,
    upgrade: options.upgrade?.bind(options),
    merge: mergeRuleOf(name, prototype, options, hooks),
    shapes: new Shapes(prototype, name, version),
  }
}

function hooksOf<T extends object>(
  name: string,
  prototype: object,
  options: TypeOptions<T>,
): Hooks | undefined {
  const encode = options.encode?.bind(options)
  const decode = options.decode?.bind(options)
  // Only objects with the class's prototype are handed to its plan.
  if (encode !== undefined && decode !== undefined) return { encode: encode as Hooks['encode'], decode }
  if (encode !== undefined || decode !== undefined)
    throw wrong(`'${name}' needs both \`encode\` and \`decode\``)
  if (ancestorsOf(prototype).some(isBuiltin))
    throw wrong(`'${name}' extends a built-in class and needs \`encode\` and \`decode\``)
  return undefined
}

function mergeRuleOf<T extends object>(
  name: string,
  prototype: object,
  options: TypeOptions<T>,
  hooks: Hooks | undefined,
): Merge | undefined {
  const { merge } = options
  switch (merge) {
    case undefined:
      return undefined
    case 'fields':
      if (hooks === undefined) return merge
      throw wrong(
        `'${name}' has an \`encode\`, so it cannot be merged by its fields; give \`merge\` a function`,
      )
    case 'items':
      if (ancestorsOf(prototype).some((ancestor) => collections.has(ancestor))) return merge
      throw wrong(
        `'${name}' is no subclass of Array, Map or Set, so it has no items; give \`merge\` a function${hooks === undefined ? " or 'fields'" : ''}`,
      )
    default:
      if (typeof merge !== 'function')
        throw wrong(`the \`merge\` of '${name}' is 'fields', 'items' or a function`)
      // It is called with instances of this class: their prototypes are compared before.
      return merge.bind(options) as MergeFunction
  }
}

const collections: ReadonlySet<object> = new Set<object>([Array.prototype, Map.prototype, Set.prototype])

/** The prototypes of the classes that a class extends. */
function ancestorsOf(prototype: object): object[] {
  const ancestors: object[] = []
  let above: object | null = Reflect.getPrototypeOf(prototype)
  for (; above !== null; above = Reflect.getPrototypeOf(above)) ancestors.push(above)
  return ancestors
}

function wrong(why: string): SessionError {
  return new SessionError('ERR_SESSION_TYPE', `registerType: ${why}`)
}

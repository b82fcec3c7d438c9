import { types } from 'node:util'
import { isBuiltin } from './codec/value/builtins.ts'
import { fieldsOf, type ObjectSchema } from './codec/standard-schema.ts'
import { type Hooks, type ClassPlan, Shapes } from './codec/value/class-plan.ts'
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
   * The fields, as an object schema that lists them: `z.object()` of zod, `v.object()` of valibot. Instances are checked
   * against it when they are written and when they are read, and may have no other own field. It only checks: the output of
   * transforms and defaults is not used. It must be synchronous.
   */
  readonly schema?: ObjectSchema

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
   * Makes one value of two changes that requests made at the same time. `base` is what both began with, and
   * `undefined` if there was nothing.
   */
  merge?(base: T | undefined, mine: T, theirs: T): T
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
  mergeOf(value: unknown): ((base: unknown, mine: unknown, theirs: unknown) => unknown) | undefined

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

  mergeOf(value: unknown): ((base: unknown, mine: unknown, theirs: unknown) => unknown) | undefined {
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
  const fields = fieldsOf(schema)
  if (!Number.isSafeInteger(version) || version < 1) throw wrong(`the version of '${name}' is not 1, 2, 3 …`)
  if (schema !== undefined && fields === undefined)
    throw wrong(
      `the schema of '${name}' is no object schema that lists its fields, as z.object() of zod 4 and v.object() of valibot are`,
    )
  if ('then' in prototype) throw wrong(`'${name}' has a method \`then\`: to await one would call it`)
  return {
    name,
    type,
    prototype,
    version,
    schema,
    fields: fields && new Set(fields),
    hooks: hooksOf(name, prototype, options),
    upgrade: options.upgrade?.bind(options),
    // The rebase asks by value: what it passes are values that this plan has decoded, or that have its prototype.
    merge: options.merge?.bind(options) as ClassPlan['merge'],
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
  for (let above: unknown = Object.getPrototypeOf(prototype); above !== null;) {
    // Prototypes are objects, and null ends their chain.
    const link = above as object
    if (isBuiltin(link)) throw wrong(`'${name}' extends a built-in class and needs \`encode\` and \`decode\``)
    above = Object.getPrototypeOf(link)
  }
  return undefined
}

function wrong(why: string): SessionError {
  return new SessionError('ERR_SESSION_TYPE', `registerType: ${why}`)
}

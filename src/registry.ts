import { types } from 'node:util'
import type { ZodObject } from 'zod'
import { isBuiltin } from './codec/value/builtins.ts'
import { type ClassPlan, type ClassPlans, type Hooks, Shapes } from './codec/value/class-plan.ts'
import { SessionError } from './errors.ts'

/** Any class, concrete or abstract, with any constructor. */
export type Class<T extends object = object> = abstract new (...args: never[]) => T

/**
 * How instances of a class are stored.
 *
 * By default an instance is stored as its own fields, and restored with `Object.create` and these fields: **no
 * constructor runs**. Fields that are `#private` (or declared with `accessor`) cannot be read or set from outside, so a
 * class that has any needs `encode` and `decode`. So does a subclass of a built-in class such as Map, Array or Error.
 */
export interface TypeOptions<T extends object> {
  /**
   * The name of the class in stored sessions. Default: the class's own name. Set it if your code is minified, and do not
   * change it when you rename the class.
   */
  readonly name?: string

  /**
   * The fields, as a zod object. Instances are validated when they are written and when they are read, and may have no
   * other own fields. It only validates: the output of transforms and defaults is not used.
   */
  readonly schema?: ZodObject

  /** The version of the fields, a whole number from 1. Increase it when their meaning changes. Default 1. */
  readonly version?: number

  /**
   * Converts the fields that an older version of the class wrote into current ones. Without it, older fields are used
   * unchanged. For a class with `encode` it gets what the older `encode` returned, and `decode` gets the result.
   */
  upgrade?(fields: Record<string, unknown>, fromVersion: number): Record<string, unknown>

  /** Returns the state of an instance, as any value that can be stored. Equal instances must return equal values. */
  encode?(instance: T): unknown

  /** Creates an instance from what {@link encode} returned. */
  decode?(plain: unknown): T

  /**
   * Merges two changes that concurrent requests made to one key. `base` is the value that both started from, `undefined`
   * if there was none; `mine` is this request's value, `theirs` the one that was stored meanwhile.
   */
  merge?(base: T | undefined, mine: T, theirs: T): T
}

/** The classes whose instances a session can store. */
export interface Registry {
  /**
   * Registers a class, so that sessions can store its instances. Instances of a subclass need their own registration.
   * Registering the same class under the same name again does nothing.
   *
   * @throws SessionError `ERR_SESSION_TYPE` if another class has the name, the class has another name, the name looks
   *   minified, or the class cannot be stored with these options.
   */
  registerType<T extends object>(type: Class<T>, options?: TypeOptions<T>): void

  /** The `merge` of a value's class, if it has one. */
  mergeOf(value: unknown): ((base: unknown, mine: unknown, theirs: unknown) => unknown) | undefined

  /** @internal */
  planOf(prototype: object): ClassPlan | undefined

  /** @internal */
  planNamed(name: string): ClassPlan | undefined
}

/** Creates a separate registry, for tests or for a program with several independent kinds of sessions. */
export function createRegistry(): Registry {
  return new ClassRegistry()
}

class ClassRegistry implements Registry, ClassPlans {
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

/** The registry that {@link registerType} fills. Sessions use it unless they are given another one. */
export const defaultRegistry: Registry = createRegistry()

/**
 * Registers a class with the default registry, so that sessions can store its instances. Call it at start-up, before the
 * first session is read.
 *
 * ```ts
 * class Cart { items: string[] = []; add(sku: string) { this.items.push(sku) } }
 * registerType(Cart)
 * ```
 *
 * It is like `gob.Register` in Go.
 *
 * @throws SessionError `ERR_SESSION_TYPE`, see {@link Registry.registerType}.
 */
export function registerType<T extends object>(type: Class<T>, options?: TypeOptions<T>): void {
  defaultRegistry.registerType(type, options)
}

const NAME = /^[^\s\p{C}"'\\]{1,64}$/u

function nameOf(type: { readonly name: unknown }, given: string | undefined): string {
  if (given !== undefined) {
    if (!NAME.test(given))
      throw wrong('a name must be 1 to 64 characters without spaces, quotes and backslashes')
    return given
  }
  const name = type.name // not always a string: a class may have a static member `name`
  if (typeof name !== 'string' || name === '')
    throw wrong('the class has no name; set one with the option `name`')
  if (name.length < 3)
    throw wrong(`the class name '${name}' looks minified and may change; set one with the option \`name\``)
  if (!NAME.test(name)) throw wrong('the class name is not allowed; set one with the option `name`')
  return name
}

function prototypeOf(type: unknown): object {
  if (typeof type !== 'function') throw wrong('the first argument must be a class')
  const prototype: unknown = type.prototype
  if (typeof prototype !== 'object' || prototype === null) throw wrong('the first argument must be a class')
  if (prototype === Object.prototype || isBuiltin(prototype))
    throw wrong('built-in classes cannot be registered')
  return prototype
}

function compile<T extends object>(
  name: string,
  type: unknown,
  prototype: object,
  options: TypeOptions<T>,
): ClassPlan {
  const { version = 1, schema } = options
  if (!Number.isSafeInteger(version) || version < 1)
    throw wrong(`the version of '${name}' must be a whole number from 1`)
  if ('then' in prototype)
    throw wrong(`'${name}' has a method \`then\`, which \`await\` would call; rename it`)
  return {
    name,
    type,
    prototype,
    version,
    schema,
    fields: schema === undefined ? undefined : new Set(Object.keys(schema.shape)),
    hooks: hooksOf(name, prototype, options),
    upgrade: options.upgrade?.bind(options),
    // The rebase finds this plan by the prototype of `mine`, and `theirs` has the same one.
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
  // The codec passes only objects with the prototype of the class.
  if (encode !== undefined && decode !== undefined) return { encode: encode as Hooks['encode'], decode }
  if (encode !== undefined || decode !== undefined)
    throw wrong(`'${name}' needs both \`encode\` and \`decode\``)
  for (let above: unknown = Object.getPrototypeOf(prototype); above !== null;) {
    // The prototype of an object is an object or null, and the loop ends at null.
    const link = above as object
    if (isBuiltin(link)) throw wrong(`'${name}' extends a built-in class and needs \`encode\` and \`decode\``)
    above = Object.getPrototypeOf(link)
  }
  return undefined
}

function wrong(why: string): SessionError {
  return new SessionError('ERR_SESSION_TYPE', `registerType: ${why}`)
}

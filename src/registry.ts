import { types } from 'node:util'
import { isBuiltin } from './codec/value/builtins.ts'
import { fieldsOf, type ObjectSchema } from './codec/standard-schema.ts'
import {
  type ClassPlan,
  type ClassPlans,
  type Defaults,
  type Hooks,
  type Merge,
  type MergeFunction,
  Shapes,
  wrongField,
} from './codec/value/class-plan.ts'
import { privateMemberOf } from './codec/value/private-members.ts'
import { noteRegistered } from './codec/value/registered-classes.ts'
import { SessionError } from './errors.ts'
import { knownNames } from './nearest-name.ts'

/** Any class, concrete or abstract, with any constructor. */
export type Class<T extends object = object> = abstract new (...args: never[]) => T

/**
 * How instances of a class are stored.
 *
 * By default an instance is stored as its own fields, and restored with `Object.create` and these fields: **no
 * constructor runs**. Members that are `#private` (or declared with `accessor`) cannot be read or set from outside, so a
 * class that has any needs `encode` and `decode`, and is refused without. So does a subclass of a built-in class such as Map, Array or Error.
 */
export interface TypeOptions<T extends object> {
  /**
   * The name of the class in stored sessions. Default: the class's own name. Set it if your code is minified, and do not
   * change it when you rename the class.
   */
  readonly name?: string

  /**
   * The fields, as an object schema that lists them: `z.object()` of zod, `v.object()` of valibot. Instances are validated
   * when they are written and when they are read, and may have no other own fields. It only validates: the output of
   * transforms and defaults is not used. It must be synchronous.
   */
  readonly schema?: ObjectSchema

  /** The version of the fields, a whole number from 1. Increase it when their meaning changes. Default 1. */
  readonly version?: number

  /**
   * Converts the fields that an older version of the class wrote into current ones. Without it, older fields are used
   * unchanged. For a class with `encode` it gets what the older `encode` returned, and `decode` gets the result.
   */
  upgrade?(fields: Record<string, unknown>, fromVersion: number): Record<string, unknown>

  /**
   * Returns the values of fields that the class has got since instances of it were stored: an older instance gets those that it lacks,
   * after `upgrade`. Nothing is written for it until the instance is changed. It is called for each such instance, and must return new
   * objects each time: `() => ({ currency: 'EUR', tags: [] })`, or `() => new Cart()` for the fields of a new instance. Not for a
   * class with `encode`, whose `decode` sees what is missing. Default: a field that was not stored is missing.
   *
   * Instances that are written must have all of these fields.
   */
  defaults?(): Partial<T>

  /** Returns the state of an instance, as any value that can be stored. Equal instances must return equal values. */
  encode?(instance: T): unknown

  /** Creates an instance from what {@link encode} returned. */
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

/** The classes whose instances a session can store. */
export interface Registry {
  /**
   * Registers a class, so that sessions can store its instances. Instances of a subclass need their own registration.
   * Registering the same class with the same options again does nothing. Functions are the same if their source text is, and
   * schemas if they list the same fields, since a program that runs twice makes new ones.
   *
   * Of the built-in classes only `RegExp` can be registered, without options: it allows values with regular expressions,
   * whose flags may not include `v`. Anyone who can write to the store can then choose patterns that the program runs, and a
   * pattern can be made to run for hours; without it such values are refused when they are written and when they are read.
   *
   * @throws SessionError `ERR_SESSION_TYPE` if another class has the name, the class has another name or other options, the name
   *   looks minified, or the class cannot be stored with these options.
   */
  registerType<T extends object>(type: Class<T>, options?: TypeOptions<T>): void

  /** The `merge` of a value's class, if it has one. */
  mergeOf(value: unknown): Merge | undefined

  /** @internal */
  planOf(prototype: object): ClassPlan | undefined

  /** @internal */
  planNamed(name: string): ClassPlan | undefined

  /** @internal */
  readonly allowsRegExps: boolean
}

/** Creates a separate registry, for tests or for a program with several independent kinds of sessions. */
export function createRegistry(): Registry
/** @internal */
export function createRegistry(given?: never): Registry
export function createRegistry(given?: unknown): Registry {
  if (given !== undefined)
    throw new SessionError(
      'ERR_SESSION_TYPE',
      'createRegistry: takes no arguments; give each class to the registerType of what it returns',
    )
  return new ClassRegistry()
}

/** Whether a value is a registry of this copy of the package. */
export function isRegistry(value: unknown): value is Registry {
  return value instanceof ClassRegistry
}

class ClassRegistry implements Registry, ClassPlans {
  readonly #byName = new Map<string, ClassPlan>()
  readonly #byPrototype = new Map<object, ClassPlan>()
  #allowsRegExps = false

  get allowsRegExps(): boolean {
    return this.#allowsRegExps
  }

  registerType<T extends object>(type: Class<T>, options: TypeOptions<T> = {}): void {
    if (isRegExp(type)) {
      if (Object.keys(options).length > 0) throw wrong('RegExp is registered without options')
      this.#allowsRegExps = true
      return
    }
    const prototype = prototypeOf(type)
    checkTypeOptions(options)
    const name = nameOf(type, options.name)
    const known = this.#byName.get(name)
    if (known !== undefined && known.type === type) {
      const difference = differenceOf(known.options, options)
      if (difference === undefined) return
      throw wrong(`'${name}' is already registered with another \`${difference}\`; register it once`)
    }
    if (known !== undefined) throw wrong(`another class is already registered as '${name}'`)
    const other = this.#byPrototype.get(prototype)
    if (other !== undefined)
      throw wrong(`the class is already registered as '${other.name}', and now as '${name}'`)
    const plan = compile(name, type, prototype, options)
    this.#byName.set(name, plan)
    this.#byPrototype.set(prototype, plan)
    noteRegistered(prototype)
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

const FUNCTIONS = ['upgrade', 'defaults', 'encode', 'decode'] as const
const OPTIONS: Readonly<Record<keyof TypeOptions<object>, true>> = {
  name: true,
  schema: true,
  version: true,
  upgrade: true,
  defaults: true,
  encode: true,
  decode: true,
  merge: true,
}

/** For programs that are not checked by the compiler. */
function checkTypeOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw wrong("the second argument must be an object of options, such as { name: 'Cart' }")
  const given: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(options))
  for (const name of Object.keys(given))
    if (!Object.hasOwn(OPTIONS, name))
      throw wrong(`\`${name}\` is not an option${knownNames(name, Object.keys(OPTIONS))}`)
  for (const name of FUNCTIONS)
    if (given[name] !== undefined && typeof given[name] !== 'function')
      throw wrong(
        name === 'defaults'
          ? "`defaults` must be a function that returns the values, such as () => ({ currency: 'EUR' })"
          : `\`${name}\` must be a function`,
      )
}

/** The first option that differs from the one of an earlier registration. */
function differenceOf<T extends object>(
  before: TypeOptions<never>,
  now: TypeOptions<T>,
): keyof TypeOptions<T> | undefined {
  if ((before.version ?? 1) !== (now.version ?? 1)) return 'version'
  const [fields, others] = [fieldsOf(before.schema), fieldsOf(now.schema)]
  if (before.schema !== now.schema && fields?.join('\n') !== others?.join('\n')) return 'schema'
  return ([...FUNCTIONS, 'merge'] as const).find((name) => String(before[name]) !== String(now[name]))
}

const NAME = /^[^\s\p{C}"'\\]{1,64}$/u

function nameOf(type: { readonly name: unknown }, given: string | undefined): string {
  if (given !== undefined) {
    if (typeof given !== 'string' || !NAME.test(given))
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

function isRegExp(type: unknown): boolean {
  return type === RegExp
}

function prototypeOf(type: unknown): object {
  if (typeof type === 'object' && type !== null)
    throw wrong(
      'the first argument must be a class, and not an instance or a list of classes: registerType(Cart)',
    )
  if (typeof type !== 'function') throw wrong('the first argument must be a class: registerType(Cart)')
  const prototype: unknown = type.prototype
  if (typeof prototype !== 'object' || prototype === null)
    throw wrong(
      'the first argument must be a class, and not a function that makes objects: registerType(Cart)',
    )
  if (prototype === Object.prototype || isBuiltin(prototype))
    throw wrong('built-in classes cannot be registered, except RegExp')
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
  if (schema !== undefined && fields === undefined)
    throw wrong(
      `the schema of '${name}' is no object schema that lists its fields, as z.object() of zod 4 and v.object() of valibot are`,
    )
  if (!Number.isSafeInteger(version) || version < 1)
    throw wrong(`the version of '${name}' must be a whole number from 1`)
  if ('then' in prototype)
    throw wrong(`'${name}' has a method \`then\`, which \`await\` would call; rename it`)
  const hooks = hooksOf(name, type, prototype, options)
  return {
    name,
    type,
    options,
    prototype,
    version,
    schema,
    fields: fields && new Set(fields),
    hooks,
    defaults: defaultsOf(name, prototype, options, fields && new Set(fields), hooks),
    upgrade: options.upgrade?.bind(options),
    merge: mergeRuleOf(name, prototype, options, hooks),
    shapes: new Shapes(prototype, name, version),
  }
}

function hooksOf<T extends object>(
  name: string,
  type: unknown,
  prototype: object,
  options: TypeOptions<T>,
): Hooks | undefined {
  const encode = options.encode?.bind(options)
  const decode = options.decode?.bind(options)
  // The codec passes only objects with the prototype of the class.
  if (encode !== undefined && decode !== undefined) return { encode: encode as Hooks['encode'], decode }
  if (encode !== undefined || decode !== undefined)
    throw wrong(`'${name}' needs both \`encode\` and \`decode\``)
  if (ancestorsOf(prototype).some(isBuiltin))
    throw wrong(`'${name}' extends a built-in class and needs \`encode\` and \`decode\``)
  const hidden = privateMemberOf(type)
  if (hidden !== undefined)
    throw wrong(
      `'${name}' has ${hidden}, which no other code can read or set, so instances would come back without; give it \`encode\` and \`decode\`, or say private instead of #`,
    )
  return undefined
}

/** Calls `defaults` twice, so that a mistake in it is found when the application starts. */
function defaultsOf<T extends object>(
  name: string,
  prototype: object,
  options: TypeOptions<T>,
  fields: ReadonlySet<string> | undefined,
  hooks: Hooks | undefined,
): Defaults | undefined {
  const { defaults } = options
  if (defaults === undefined) return undefined
  if (hooks !== undefined)
    throw wrong(`'${name}' has a \`decode\`, which sees what is missing; leave \`defaults\` out`)
  const make = (): Readonly<Record<string, unknown>> => {
    const values: unknown = defaults.call(options)
    if (typeof values === 'object' && values !== null && !Array.isArray(values) && !types.isPromise(values))
      return values as Readonly<Record<string, unknown>> // as just checked
    throw wrong(`the \`defaults\` of '${name}' must return an object with the values of its fields`)
  }
  const [values, others] = [tried(name, make), tried(name, make)]
  const names = Object.keys(values)
  const refused = wrongField({ fields, prototype }, names)
  if (refused !== undefined)
    throw wrong(`the \`defaults\` of '${name}' have the field '${refused.name}', which ${refused.why}`)
  for (const field of names) {
    const value = values[field]
    if (typeof value === 'function' || typeof value === 'symbol')
      throw wrong(
        `the \`defaults\` of '${name}' have a ${typeof value} for '${field}', which cannot be stored`,
      )
    if (typeof value === 'object' && value !== null && value === others[field])
      throw wrong(
        `the \`defaults\` of '${name}' return one and the same object for '${field}', which all sessions would share; make a new one each time`,
      )
  }
  return { names, make }
}

function tried<T>(name: string, make: () => T): T {
  try {
    return make()
  } catch (cause) {
    if (cause instanceof SessionError) throw cause
    throw wrong(`the \`defaults\` of '${name}' threw an error, which is the cause of this one`, cause)
  }
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

function wrong(why: string, cause?: unknown): SessionError {
  return new SessionError('ERR_SESSION_TYPE', `registerType: ${why}`, cause === undefined ? {} : { cause })
}

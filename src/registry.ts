import { SessionError } from './errors.ts'

/** A class, concrete or abstract, whatever its constructor takes. */
export type Class<T extends object = object> = abstract new (...args: never[]) => T

/** How instances of a class are kept. */
export interface TypeOptions<T extends object> {
  name?: string
  schema?: unknown
  version?: number
  upgrade?(fields: Record<string, unknown>, fromVersion: number): Record<string, unknown>
  encode?(instance: T): unknown
  decode?(plain: unknown): T
  merge?(base: T | undefined, mine: T, theirs: T): T
}

/** @internal */
export interface Plan {
  readonly name: string
  readonly type: Class
  readonly prototype: object
  readonly version: number
  readonly options: TypeOptions<object>
}

export interface Registry {
  registerType<T extends object>(type: Class<T>, options?: TypeOptions<T>): void
  mergeOf(value: unknown): ((base: unknown, mine: unknown, theirs: unknown) => unknown) | undefined
  /** @internal */
  planOf(prototype: object): Plan | undefined
  /** @internal */
  planNamed(name: string): Plan | undefined
}

export function createRegistry(): Registry {
  const byName = new Map<string, Plan>()
  const byPrototype = new Map<object, Plan>()
  return {
    registerType<T extends object>(type: Class<T>, options: TypeOptions<T> = {}): void {
      const name = options.name ?? type.name
      if (name.length < 3 && options.name === undefined)
        throw new SessionError(
          'ERR_SESSION_TYPE',
          `registerType: a class named '${name}' needs an explicit name`,
        )
      const known = byName.get(name)
      if (known?.type === type) return
      const prototype: object = type.prototype
      if (known !== undefined || byPrototype.has(prototype))
        throw new SessionError('ERR_SESSION_TYPE', `registerType: '${name}' is already registered`)
      const plan: Plan = {
        name,
        type,
        prototype,
        version: options.version ?? 1,
        // Only instances whose prototype is this class's are ever handed to these functions.
        options: options as unknown as TypeOptions<object>,
      }
      byName.set(name, plan)
      byPrototype.set(prototype, plan)
    },
    mergeOf(value) {
      if (typeof value !== 'object' || value === null) return undefined
      const plan = byPrototype.get(Object.getPrototypeOf(value))
      const merge = plan?.options.merge
      // As above: the base and both sides were encoded by this plan.
      return merge as ((base: unknown, mine: unknown, theirs: unknown) => unknown) | undefined
    },
    planOf: (prototype) => byPrototype.get(prototype),
    planNamed: (name) => byName.get(name),
  }
}

export const defaultRegistry: Registry = createRegistry()

export function registerType<T extends object>(type: Class<T>, options?: TypeOptions<T>): void {
  defaultRegistry.registerType(type, options)
}

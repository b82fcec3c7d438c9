import { SessionError } from '../../errors.ts'
import type { Registry } from '../../registry.ts'
import { MOST_TYPES, type ClassPlan, type Shape, wrongField } from './class-plan.ts'
import { damaged } from './tokens.ts'

/**
 * The classes in a line that is being written, each with a list of its fields. They stand in the line once, and its
 * instances refer to them by number.
 */
export class TypeList {
  readonly #types: { readonly plan: ClassPlan; readonly shape: Shape | undefined; readonly token: string }[] =
    []

  /** The token that an instance begins with: `~0`. */
  tokenOf(plan: ClassPlan, shape: Shape | undefined): string | undefined {
    for (let i = 0; i < this.#types.length; i++) {
      const type = this.#types[i]
      if (type?.plan === plan && (type.shape === shape || isAlike(type.shape, shape))) return type.token
    }
    return undefined
  }

  /** Its token, or `undefined` if there are too many. */
  add(plan: ClassPlan, shape: Shape | undefined): string | undefined {
    if (this.#types.length === MOST_TYPES) return undefined
    const token = `~${this.#types.length}`
    this.#types.push({ plan, shape, token })
    return token
  }

  /** As it stands in the line: `[["Cart",1,["items","since"]]]`; nothing if there are none. */
  text(): string {
    if (this.#types.length === 0) return ''
    return `[${this.#types.map(({ plan, shape }) => shape?.entry ?? plan.shapes.fieldless).join(',')}]`
  }
}

/** Shapes are remembered for a while only, so there can be two of a kind. */
function isAlike(one: Shape | undefined, other: Shape | undefined): boolean {
  return one !== undefined && other !== undefined && one.matches(other.fields)
}

/** A class as a line names it. */
export interface Type {
  readonly plan: ClassPlan
  readonly version: number
  /** `undefined` if its own `encode` wrote it. */
  readonly fields: readonly string[] | undefined
  /** What gives an instance these fields; `undefined` if they are older ones, to be upgraded. */
  readonly shape: Shape | undefined
}

/** Reads the table of a line: each class by its name, which must be registered, and not in a newer version. */
export function readTypes(table: unknown, registry: Registry): readonly Type[] {
  if (!Array.isArray(table) || table.length > MOST_TYPES) throw damaged()
  return table.map((entry: unknown) => readType(entry, registry))
}

function readType(entry: unknown, registry: Registry): Type {
  if (!Array.isArray(entry) || entry.length !== 3) throw damaged()
  const [name, version, fields]: unknown[] = entry
  if (typeof name !== 'string' || typeof version !== 'number') throw damaged()
  if (!Number.isSafeInteger(version) || version < 1) throw damaged()
  if (fields !== null && !isFieldList(fields)) throw damaged()
  const plan = registry.planNamed(name)
  if (plan === undefined) throw unreadable(name, 'is not registered here')
  if (version > plan.version) throw unreadable(name, 'is of a newer version')
  if (fields === null) {
    if (plan.hooks === undefined) throw unreadable(name, 'was written by an `encode` that it no longer has')
    return { plan, version, fields: undefined, shape: undefined }
  }
  const isOlder = version < plan.version && plan.upgrade !== undefined
  if (!isOlder && plan.hooks === undefined) checkNames(plan, fields)
  return { plan, version, fields, shape: isOlder ? undefined : plan.shapes.of(fields) }
}

export function checkNames(plan: ClassPlan, names: readonly string[]): void {
  const wrong = wrongField(plan, names)
  if (wrong !== undefined) throw unreadable(plan.name, `has a field that ${wrong.why}`)
}

function isFieldList(fields: unknown): fields is string[] {
  if (!Array.isArray(fields)) return false
  if (!fields.every((field) => typeof field === 'string' && field !== '__proto__')) return false
  return new Set(fields).size === fields.length
}

const TYPE_NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$.:/-]{0,63}$/u

/** Names the class if it is named like one: the text may be forged. */
export function unreadable(name: string, why: string): SessionError {
  const type = TYPE_NAME.test(name) ? `the type '${name}'` : 'a type in it'
  return new SessionError('ERR_SESSION_DECODE', `${type} ${why}`)
}

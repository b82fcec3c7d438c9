import { SessionError } from '../../errors.ts'
import { type ClassPlan, type ClassPlans, missingField, type Shape, wrongField } from './class-plan.ts'
import { damaged } from './tokens.ts'

/** The most types, each a class with one list of fields, in one value. */
const MAX_TYPES = 500

/** The types of a line that is being written. Each stands in the line once; instances refer to it by number. */
export class TypeTable {
  /** The entries of the table, each with the token that its instances begin with. */
  readonly #tokens = new Map<string, string>()
  /** The latest type, because the instances of a list are mostly of one. */
  #latest: string | undefined
  #latestToken: string | undefined

  /** The token that instances of a type begin with, such as `~0`; `undefined` if the type was not added yet. */
  tokenOf(plan: ClassPlan, shape: Shape | undefined): string | undefined {
    const entry = entryOf(plan, shape)
    if (entry === this.#latest) return this.#latestToken
    const token = this.#tokens.get(entry)
    if (token === undefined) return undefined
    this.#latest = entry
    this.#latestToken = token
    return token
  }

  /** Adds a type and returns its token; `undefined` if there are too many. */
  add(plan: ClassPlan, shape: Shape | undefined): string | undefined {
    if (this.#tokens.size === MAX_TYPES) return undefined
    const token = `~${this.#tokens.size}`
    this.#tokens.set(entryOf(plan, shape), token)
    return token
  }

  /** The table as text, `[["Cart",1,["items","since"]]]`; empty if there are no types. */
  text(): string {
    return this.#tokens.size === 0 ? '' : `[${[...this.#tokens.keys()].join(',')}]`
  }
}

/** A type as text. It has the name of the class, so no two types have the same. */
function entryOf(plan: ClassPlan, shape: Shape | undefined): string {
  return shape?.entry ?? plan.shapes.fieldless
}

/** An entry of a line's type table. */
export interface Type {
  readonly plan: ClassPlan
  readonly version: number
  /** `undefined` if the class's own `encode` wrote the instances. */
  readonly fields: readonly string[] | undefined
  /** The shape to fill; `undefined` if the fields are of an older version and must be upgraded first. */
  readonly shape: Shape | undefined
  /** Whether instances may lack a field for which the class has a default. */
  readonly lacksFields: boolean
}

/**
 * Reads the type table of a line.
 *
 * @throws SessionError `ERR_SESSION_DECODE` if a class is not registered or of a newer version, a field is not allowed,
 *   or the table is damaged.
 */
export function readTypes(table: unknown, plans: ClassPlans): readonly Type[] {
  if (!Array.isArray(table) || table.length > MAX_TYPES) throw damaged()
  return table.map((entry: unknown) => readType(entry, plans))
}

function readType(entry: unknown, plans: ClassPlans): Type {
  if (!Array.isArray(entry) || entry.length !== 3) throw damaged()
  const [name, version, fields]: unknown[] = entry
  if (typeof name !== 'string' || typeof version !== 'number') throw damaged()
  if (!Number.isSafeInteger(version) || version < 1) throw damaged()
  if (fields !== null && !isFieldList(fields)) throw damaged()
  const plan = plans.planNamed(name)
  if (plan === undefined) throw unreadable(name, 'is not registered here')
  if (version > plan.version) throw unreadable(name, 'is of a newer version')
  if (fields === null) {
    if (plan.hooks === undefined) throw unreadable(name, 'was written by an `encode` that it no longer has')
    return { plan, version, fields: undefined, shape: undefined, lacksFields: false }
  }
  const isOlder = version < plan.version && plan.upgrade !== undefined
  if (!isOlder && plan.hooks === undefined) checkNames(plan, fields)
  const lacksFields = plan.defaults !== undefined && (isOlder || missingField(plan, fields) !== undefined)
  return { plan, version, fields, shape: isOlder ? undefined : plan.shapes.of(fields), lacksFields }
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

/** The error quotes the type's name only if it looks like the name of a class, because the text may be forged. */
export function unreadable(name: string, why: string): SessionError {
  const type = TYPE_NAME.test(name) ? `the type '${name}'` : 'a type in it'
  return new SessionError('ERR_SESSION_DECODE', `${type} ${why}`)
}

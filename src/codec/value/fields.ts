import { SessionError } from '../../errors.ts'
import { verdictOf } from '../standard-schema.ts'
import { define } from './define.ts'
import type { ClassPlan } from './class-plan.ts'
import { checkNames, unreadable } from './type-table.ts'
import { damaged } from './tokens.ts'

/** The fields of a row, by name. */
export function record(names: readonly string[], row: readonly unknown[]): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [index, name] of names.entries()) define(fields, name, row[index + 1])
  return fields
}

/** Gives an object the fields of another one. */
export function setFields(target: object, fields: object): void {
  for (const [name, field] of Object.entries(fields)) {
    if (name === '__proto__') throw damaged()
    define(target, name, field)
  }
}

/** What an older version of a class wrote, as fields of this one. */
export function upgradeFields(plan: ClassPlan, fields: unknown, version: number): Record<string, unknown> {
  const upgraded = upgrade(plan, fields, version)
  if (!isRecord(upgraded) || typeof upgraded['then'] === 'function')
    throw new SessionError('ERR_SESSION_DECODE', `the \`upgrade\` of '${plan.name}' returned no fields`)
  checkNames(plan, Object.keys(upgraded))
  return upgraded
}

/** What an older version of a class wrote, as this one understands it. */
export function upgrade(plan: ClassPlan, written: unknown, version: number): unknown {
  // A record of fields, or what an older `encode` returned: `TypeOptions.upgrade` says which.
  const fields = written as Record<string, unknown>
  return plan.upgrade === undefined
    ? written
    : attempt(plan, 'upgrade', () => plan.upgrade?.(fields, version))
}

/** Calls a function of the program's. Its error is the cause of ours. */
export function attempt(plan: ClassPlan, what: string, action: () => unknown): unknown {
  try {
    return action()
  } catch (cause) {
    throw new SessionError('ERR_SESSION_DECODE', `the \`${what}\` of '${plan.name}' failed`, { cause })
  }
}

/** Asks the schema of a class whether an instance is right. */
export function check(plan: ClassPlan, instance: object): void {
  const { schema } = plan
  if (schema === undefined || attempt(plan, 'schema', () => verdictOf(schema, instance).fits) === true) return
  throw unreadable(plan.name, 'is not what its schema asks for')
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

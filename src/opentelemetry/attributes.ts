import type { Attributes } from '@opentelemetry/api'
import { SessionError } from '../errors.ts'
import type { ManagerStatus, TracedOperation } from '../session/tracing.ts'

/** The names of metrics and attributes begin with it. */
export const PREFIX = 'koa_typed_session'

/** What OpenTelemetry calls the databases; the other stores keep their own names. */
const systems: Readonly<Record<string, string>> = { postgres: 'postgresql', memcache: 'memcached' }

/** The attributes of everything that a manager does. The same object for the same manager. */
export function attributesOf(manager: ManagerStatus | undefined): Attributes {
  return manager === undefined ? {} : withOutcome(manager, undefined)
}

/** With what an operation came to. The same object for the same manager and outcome. */
export function withOutcome(manager: ManagerStatus, outcome: TracedOperation['outcome']): Attributes {
  let ofManager = known.get(manager)
  if (ofManager === undefined) known.set(manager, (ofManager = new Map()))
  let attributes = ofManager.get(outcome)
  if (attributes === undefined) {
    const { name, store } = manager
    attributes = { 'db.system.name': systems[store] ?? store, [`${PREFIX}.manager`]: name }
    if (outcome !== undefined) attributes[`${PREFIX}.outcome`] = outcome
    ofManager.set(outcome, attributes)
  }
  return attributes
}

const known = new WeakMap<ManagerStatus, Map<TracedOperation['outcome'], Attributes>>()

/** The manager's name alone: each attribute takes as long again as the recording of a number. The same object for the same manager. */
export function nameOf(manager: ManagerStatus): Attributes {
  let attributes = names.get(manager)
  if (attributes === undefined) names.set(manager, (attributes = { [`${PREFIX}.manager`]: manager.name }))
  return attributes
}

const names = new WeakMap<ManagerStatus, Attributes>()

/** The attribute `error.type`: the code of our errors, and else the name of the error's class. */
export function errorType(error: unknown): string {
  if (error instanceof SessionError) return error.code
  return error instanceof Error ? error.name : '_OTHER'
}

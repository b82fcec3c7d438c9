export { fromConfig, type ConfigObject, type ConfigValue } from './koa/config.ts'
export { requireFresh } from './koa/require-fresh.ts'
export { session, type SessionContext, type SessionMiddleware } from './koa/middleware.ts'
export type { CookieOptions, SessionOptions } from './koa/options.ts'
export type { OpenRequestOptions } from './koa/origin.ts'
export { SessionManager } from './session/manager.ts'
export type { DeepReadonly } from './session/deep-readonly.ts'
export { Session, type SessionKey } from './session/session.ts'
export type { Committed } from './session/state.ts'
export type { SessionChange } from './session/watch.ts'
export { registerProvider, type OpenProvider, type ProviderContext } from './session/providers.ts'
export type { ManagerOptions, OpenOptions, OwnerOptions, SealOptions } from './session/options.ts'
export type { Owner, WhenFull } from './session/owners/owner.ts'
export type { ListedSession } from './session/owners/owner-records.ts'
export type { OwnerSessions } from './session/owners/owner-sessions.ts'
export type { SessionOwner, SignedIn, SignInOptions } from './session/owners/sign-in.ts'
export type { Register, RegisteredSchema, Schema, SessionValues, ValuesOf } from './session/schema.ts'
export type { PublishedEvent, SessionEvent, StoreVerb } from './session/events.ts'
export type { ManagerStatus, TracedOperation } from './session/tracing.ts'
export type { Isolation, KeyOptions } from './session/isolation.ts'
export type { Merge, MergeFunction } from './codec/value/class-plan.ts'
export type { CookieValues, Importer, OldCookie, OldSession } from './session/adopt/importer.ts'
export type { Health } from './session/backend/health.ts'
export type { BreakerState } from './session/backend/circuit-breaker.ts'
export { createRegistry, registerType, type Class, type Registry, type TypeOptions } from './registry.ts'
export { SessionError, type SessionErrorCode, type SessionErrorDetails } from './errors.ts'
export { VERSION_LENGTH } from './store.ts'
export type {
  Counting,
  Diagnosing,
  Diagnosis,
  Entry,
  Finding,
  Store,
  StoreRejection,
  StoreTraits,
  Sweeping,
  Written,
} from './store.ts'
export type { Limits } from './codec/limits.ts'
export type {
  ObjectSchema,
  StandardIssue,
  StandardResult,
  StandardSchemaV1,
} from './codec/standard-schema.ts'
export type { SealKey } from './codec/seal/key-ring.ts'

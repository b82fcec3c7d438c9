export { session, type CompatContext, type CompatMiddleware } from './middleware.ts'
export type { CompatOptions } from './options.ts'
export type { SessionCallback, SessionObject, SessionShape } from './session-object.ts'

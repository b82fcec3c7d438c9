/**
 * `import 'koa-typed-session/augment'` types `ctx.session` wherever Koa's types reach: after `app.use(session())` as a statement,
 * in routes of a plain `new Router()`, and with `Koa.Context`. It has the schema that the program adds to `Register`; without one
 * any key holds anything.
 */
import type { SessionContext } from './koa/middleware.ts'

declare module 'koa' {
  // This interface, since all contexts of requests extend it, and since its properties hide those that a left-over
  // @types/koa-session gives to BaseContext.
  interface ExtendableContext {
    readonly session: SessionContext['session']
  }
}

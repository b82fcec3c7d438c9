import type { DefaultState, Middleware, Next, ParameterizedContext } from 'koa'
import { ContextProperty } from '../koa/context-property.ts'
import { checkCall } from '../koa/options.ts'
import { session as typedSession, type SessionContext, type SessionMiddleware } from '../koa/middleware.ts'
import type { Schema } from '../session/schema.ts'
import type { Session } from '../session/session.ts'
import { ContextObjects, defineRequestProperties } from './context-objects.ts'
import { resolveCompatOptions, type CompatOptions } from './options.ts'
import { RequestObject } from './request-object.ts'
import type { SessionObject } from './session-object.ts'

/** What the middleware adds to Koa's context: `ctx.session` as an object, and the typed session, `ctx.typedSession`, beside it. */
export type CompatContext<S extends Schema | undefined = undefined, P extends string = 'typedSession'> = {
  /** `null` after `ctx.session = null`, which ends the session when the request is over. */
  get session(): SessionObject
  set session(values: object | null | undefined)
} & SessionContext<S, P>

/** A middleware that provides session objects, and access to its sessions outside of Koa requests. */
export interface CompatMiddleware<S extends Schema | undefined = undefined, P extends string = 'typedSession'>
  extends
    Middleware<DefaultState, CompatContext<S, P>>,
    Pick<SessionMiddleware<S, P>, 'manager' | 'load' | 'open'> {}

/**
 * Creates a middleware that provides `ctx.session` as the object that programs expect which were written for koa-session,
 * koa-generic-session or express-session, and the typed session of the same record beside it.
 *
 * ```ts
 * import { session } from 'koa-typed-session/compat'
 *
 * app.use(session({ provider: 'file', providerConfig: './sessions' }))
 * app.use((ctx) => {
 *   ctx.session.views = (ctx.session.views ?? 0) + 1 // as before
 *   ctx.body = ctx.typedSession.update('visits', (n = 0) => n + 1) // exact when requests overlap
 * })
 * ```
 *
 * Values are kept exactly where the typed session can, and by the rules of `JSON.stringify` where it cannot. Code that was
 * written for an object counts on it that its changes are stored whatever other requests do, so `isolation` is `'last-wins'`; a
 * session that was ended stays ended.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option which is not allowed
 */
export function session<S extends Schema | undefined = undefined, const P extends string = 'typedSession'>(
  options: CompatOptions<S, P> = {},
  another?: never,
): CompatMiddleware<S, P> {
  checkCall(options, another)
  const { settings, sessionOptions } = resolveCompatOptions(options)
  const property = (sessionOptions.property ?? 'typedSession') as P // its default is that of P
  const typed = typedSession({ ...sessionOptions, property })
  const objects = new ContextProperty('session')
  const others = new ContextObjects(settings.shape)

  async function sessionObject(ctx: ParameterizedContext, next: Next): Promise<void> {
    const outer = objects.of(ctx)
    if (outer?.manager === settings) return next() // mounted twice: the outer one opens the session and commits it
    const held = ctx as unknown as Readonly<Record<P, Session>> // as the typed middleware makes it
    const typedContext = ctx as ParameterizedContext<DefaultState, SessionContext<S, P>> // the same
    await typed(typedContext, async () => {
      const object = new RequestObject(ctx, settings, () => held[property])
      objects.set(ctx, object)
      others.set(ctx, object)
      if (settings.shape === 'express-session') defineRequestProperties(ctx.req, object)
      await object.validate()
      try {
        await next()
      } catch (error) {
        await object.fail()
        throw error
      } finally {
        if (outer !== undefined) objects.restore(ctx, outer)
      }
      await object.finish()
    })
  }

  return Object.assign(sessionObject, { manager: typed.manager, load: typed.load, open: typed.open })
}

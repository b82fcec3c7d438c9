import type { IncomingMessage } from 'node:http'
import type { DefaultState, Middleware, Next, ParameterizedContext } from 'koa'
import { SessionError, withCause } from '../errors.ts'
import { Events } from '../session/events.ts'
import { SessionManager } from '../session/manager.ts'
import type { RegisteredSchema, Schema, ValuesOf } from '../session/schema.ts'
import { abandonRequest, commitRequest, type Session } from '../session/session.ts'
import { ContextProperty, type ContextSession } from './context-property.ts'
import { Mounting } from './mounting.ts'
import { checkOpenRequestOptions, isFromOrigin, type OpenRequestOptions } from './origin.ts'
import { OldCookies } from './old-cookies.ts'
import {
  carrierOf,
  checkAdopting,
  checkCall,
  checkCarrier,
  resolveSessionOptions,
  type SessionOptions,
} from './options.ts'
import { RequestOptions, RequestSession } from './request.ts'
import { SessionResponse } from './response.ts'
import { Transport } from './transport.ts'

/** What the middleware adds to Koa's context: `ctx.session`, or the property that the option `property` names. */
export type SessionContext<S = RegisteredSchema, P extends string = 'session'> = {
  readonly [K in P]: Session<ValuesOf<S>>
}

/** A session middleware, and access to its sessions outside of Koa requests. */
export interface SessionMiddleware<
  S extends Schema | undefined = undefined,
  P extends string = 'session',
> extends Middleware<DefaultState, SessionContext<S, P>> {
  /** The manager of the sessions, for jobs and tests; `manager.close()` closes the store at shutdown. */
  readonly manager: SessionManager<S>
  /**
   * Opens the session of a request, where the option `open` has left it closed, and returns it; `ctx.session` can be used from then on.
   * Calling it again returns the same session.
   *
   * ```ts
   * const sessions = session({ open: 'lazy' })
   * app.use(sessions)
   * router.get('/cart', async (ctx) => {
   *   const { get } = await sessions.load(ctx)
   *   ctx.body = get('cart') ?? []
   * })
   * ```
   *
   * @throws SessionError `ERR_SESSION_STORE` if the store fails; `ERR_SESSION_STATE` if the middleware is not mounted
   */
  load(ctx: object): Promise<Session<ValuesOf<S>>>
  /**
   * Opens the session of a request that Koa does not handle, such as a WebSocket upgrade, or begins one. Call `commit()` on it
   * to store changes: there is no response that does so.
   *
   * A request of a page of another origin is refused, since browsers let any page open a WebSocket to any host, and may send the
   * cookies of that host with it: cross-site WebSocket hijacking. `origins` names the pages that may.
   *
   * @throws SessionError `ERR_SESSION_STATE` with status 403 if the page is of another origin; `ERR_SESSION_STORE` if the store fails
   */
  open(request: IncomingMessage, options?: OpenRequestOptions): Promise<Session<ValuesOf<S>>>
}

/**
 * Creates a middleware that provides sessions as `ctx.session`.
 *
 * Each request works on a snapshot of its session, and its changes are committed by compare-and-swap before the response is
 * sent. A request without a session that writes nothing makes no store call and sets no cookie.
 *
 * ```ts
 * app.use(session({ provider: 'file', providerConfig: './sessions' }))
 * app.use((ctx) => { ctx.body = ctx.session.update('visits', (n = 0) => n + 1) })
 * ```
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option which is not allowed
 */
export function session<S extends Schema | undefined = undefined, const P extends string = 'session'>(
  options: SessionOptions<S, P> = {},
  another?: never,
): SessionMiddleware<S, P> {
  checkCall(options, another)
  const settings = resolveSessionOptions(options)
  const { enabled, commitOnError, onStoreError, opensEagerly, hooks } = settings
  const manager = new SessionManager<S>(settings.managerOptions, carrierOf(settings.transport))
  const carriesSession = manager.traits.location === 'client'
  if (carriesSession) checkCarrier(settings.transport, options.idleTimeout)
  checkAdopting(settings.importers, manager.traits)
  const query = enabled ? settings.transport.query : undefined // an ID in a URL is none if sessions are off
  const transport = new Transport({ ...settings.transport, query }, carriesSession, options.now)
  const events = new Events(options.onEvent)
  events.ofManager(manager.status)
  const oldCookies = new OldCookies(enabled ? settings.importers : [], events)
  const { cookieName } = transport
  const property = new ContextProperty(settings.property)
  const mounting = new Mounting(`${settings.property} ${cookieName}`)
  const disabled: ContextSession = { manager, cookieName, use: throwDisabled }

  async function typedSession(ctx: ParameterizedContext, next: Next): Promise<void> {
    mounting.use(ctx)
    const outer = property.of(ctx)
    if (outer?.manager === manager) return next() // mounted twice: the outer one opens the session and commits it
    if (cookieName !== undefined && ContextProperty.withCookie(ctx, cookieName, manager) !== undefined)
      throw sameCookie(cookieName)

    const response = new SessionResponse(ctx, transport, oldCookies, events)
    const openOptions = new RequestOptions(ctx, hooks, property.expression, oldCookies)
    const credentials = enabled ? transport.read(ctx.req) : []
    const request = new RequestSession(
      manager,
      cookieName,
      credentials,
      openOptions,
      onStoreError,
      events,
      response,
    )
    property.set(ctx, enabled ? request : disabled)
    if (request.mayBeStored && opensEagerly(ctx)) await request.open()
    try {
      try {
        await next()
      } catch (error) {
        const { session: used } = request
        const finish = commitOnError(error) ? commitRequest : abandonRequest
        if (used !== undefined)
          await finish(used).catch((failure: unknown) => {
            throw withCause(failure, error)
          })
        throw error
      }
      // If the commit fails, its error becomes the response: the client must not believe that the change was saved.
      if (request.session !== undefined) await commitRequest(request.session)
    } finally {
      request.close()
      if (outer !== undefined || !enabled) property.restore(ctx, outer)
    }
  }

  async function open(
    message: IncomingMessage,
    openRequestOptions: OpenRequestOptions = {},
  ): Promise<Session<ValuesOf<S>>> {
    checkOpenRequestOptions(openRequestOptions)
    if (!isFromOrigin(message, openRequestOptions)) {
      events.emit({ type: 'origin-refused' })
      throw otherOrigin()
    }
    const openOptions = { old: oldCookies.credentialsIn(message.headers.cookie) }
    const credentials = transport.read(message)
    const request = new RequestSession(manager, cookieName, credentials, openOptions, onStoreError, events)
    await request.open()
    return request.use()
  }

  async function load(ctx: object): Promise<Session<ValuesOf<S>>> {
    const request = property.of(ctx)
    if (request?.manager !== manager) throw notMounted()
    if (request === disabled) return throwDisabled()
    return (request as RequestSession<S>).load() // as this middleware has set it
  }

  return Object.assign(typedSession, { manager, load, open })
}

function notMounted(): SessionError {
  const text = 'load(): this middleware has not seen the request; mount it with app.use() before the handler'
  return new SessionError('ERR_SESSION_STATE', text)
}

function throwDisabled(): never {
  throw new SessionError(
    'ERR_SESSION_STATE',
    'sessions are turned off: set `enabled: true` (SessionOn) to use them',
  )
}

function otherOrigin(): SessionError {
  return new SessionError(
    'ERR_SESSION_STATE',
    'the request came from a page of another origin than its host, so its session is not opened; name the pages that may open it in `origins`',
    { status: 403 },
  )
}

function sameCookie(name: string): SessionError {
  return new SessionError(
    'ERR_SESSION_OPTIONS',
    `session: name: two session() middlewares of one request use the cookie '${name}'; give one of them another name`,
  )
}

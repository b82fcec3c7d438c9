import type { IncomingMessage } from 'node:http'
import type { DefaultState, Middleware, Next, ParameterizedContext } from 'koa'
import { ContextProperty } from './context-property.ts'
import { SessionResponse } from './response.ts'
import { SessionError } from '../errors.ts'
import { Events } from '../session/events.ts'
import { SessionManager } from '../session/manager.ts'
import { splitOptions } from './options.ts'
import type { SessionOptions } from '../session/options.ts'
import type { Schema, ValuesOf } from '../session/schema.ts'
import { stateOf, type Session } from '../session/session.ts'
import { carrierOf, Transport } from './transport.ts'
import { RequestFacts, type OpenOptions } from './request.ts'

/** What the middleware adds to Koa's context: `ctx.session`, or the `property` of the settings. */
export type SessionContext<S, P extends string = 'session'> = { readonly [K in P]: Session<ValuesOf<S>> }

/** The middleware, with what an application needs beside it. */
export interface SessionMiddleware<
  S extends Schema | undefined = undefined,
  P extends string = 'session',
> extends Middleware<DefaultState, SessionContext<S, P>> {
  /** The same sessions without HTTP: for jobs and tests, and to `close()` the store at shutdown. */
  readonly manager: SessionManager<S>
  /** The session of a request that Koa does not see, a WebSocket upgrade above all; `commit()` it yourself. */
  open(request: IncomingMessage): Promise<Session<ValuesOf<S>>>
}

/**
 * Sessions for a Koa application, as `ctx.session`.
 *
 * A request works on a snapshot and commits its changes by compare-and-swap before the response leaves. A visitor who
 * writes nothing costs nothing: no store call, no record, no cookie.
 *
 * ```ts
 * app.use(session({ provider: 'file', providerConfig: './sessions' }))
 * app.use((ctx) => { ctx.body = ctx.session.update('visits', (n = 0) => n + 1) })
 * ```
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` for a wrong setting, naming the field
 */
export function session<S extends Schema | undefined = undefined, const P extends string = 'session'>(
  options: SessionOptions<S, P> = {},
): SessionMiddleware<S, P> {
  const { enabled, property, commitOnError, onStoreError, hooks, managerOptions, settled } =
    splitOptions(options)
  const manager = new SessionManager<S>(managerOptions, carrierOf(settled))
  const transport = new Transport(settled, manager.traits.location === 'client')
  const events = new Events(options.onEvent)
  const contextProperty = new ContextProperty(property)
  const { cookieName } = transport

  async function find(
    ids: readonly string[],
    openOptions?: OpenOptions,
  ): Promise<[Session<ValuesOf<S>>, string] | undefined> {
    const deadline = ids.length > 1 ? manager.openDeadline() : undefined // one, however many are tried
    for (const id of ids) {
      const found = await manager.find(id, openOptions, deadline)
      if (found !== undefined) return [found, id]
    }
    return undefined
  }

  /** Instead of a session that cannot be opened: the error, or an empty one that nobody can write. */
  function standIn(failure: unknown): Session<ValuesOf<S>> {
    const isTolerated = failure instanceof SessionError && failure.code === 'ERR_SESSION_STORE'
    if (onStoreError === 'throw' || !isTolerated) throw failure
    const empty = manager.begin()
    stateOf(empty).failedToOpen(failure)
    return empty
  }

  async function typedSession(ctx: ParameterizedContext, next: Next): Promise<void> {
    const outer = contextProperty.of(ctx)
    if (outer?.owner === manager) return next() // mounted twice: the outer one opened the session and commits it
    if (cookieName !== undefined && outer?.cookieName === cookieName) throw sameCookie(cookieName)

    const response = new SessionResponse(ctx, transport, events)
    const openOptions = new RequestFacts(ctx, hooks)
    let current: Session<ValuesOf<S>> | undefined
    let failure: unknown
    let presented: readonly string[] = []
    const use = (): Session<ValuesOf<S>> => {
      response.use()
      if (failure !== undefined) return (current ??= standIn(failure))
      if (current === undefined)
        response.follow(stateOf((current = manager.begin(openOptions))), presented[0])
      return current
    }
    contextProperty.set(ctx, { owner: manager, cookieName, use: enabled ? use : turnedOff })
    try {
      if (enabled) presented = transport.read(ctx.req)
      const found = presented.length === 0 ? undefined : await find(presented, openOptions)
      if (found !== undefined) response.follow(stateOf((current = found[0])), found[1])
    } catch (error) {
      // Thrown at the first use of the session: routes that never look are not hurt by a store that is down.
      failure = error
    }
    try {
      try {
        await next()
      } catch (error) {
        if (commitOnError(error) && current !== undefined) await manager.commit(current)
        throw error
      }
      // If the commit fails its error is the answer: the client must not take the change for kept.
      if (current !== undefined) await manager.commit(current)
      response.finish()
    } catch (error) {
      // Whatever an earlier commit put on the response goes with the error.
      response.attach()
      throw error
    } finally {
      if (current !== undefined) stateOf(current).close()
      if (outer !== undefined) contextProperty.set(ctx, outer)
    }
  }

  const open = async (request: IncomingMessage): Promise<Session<ValuesOf<S>>> => {
    const openOptions = {} // of both, so that `destroy()` also ends what is found but cannot be read
    try {
      return (await find(transport.read(request), openOptions))?.[0] ?? manager.begin(openOptions)
    } catch (error) {
      return standIn(error)
    }
  }

  return Object.assign(typedSession, { manager, open })
}

function turnedOff(): never {
  throw new SessionError(
    'ERR_SESSION_STATE',
    'sessions are turned off: set `enabled: true` (SessionOn) to use them',
  )
}

function sameCookie(name: string): SessionError {
  return new SessionError(
    'ERR_SESSION_OPTIONS',
    `session: name: two session() middlewares of one request use the cookie '${name}'; give one of them another name`,
  )
}

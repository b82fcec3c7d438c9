import type { ParameterizedContext } from 'koa'
import { SessionError } from '../errors.ts'
import type { Events } from '../session/events.ts'
import type { SessionManager } from '../session/manager.ts'
import type { OpenOptions } from '../session/options.ts'
import type { Schema, ValuesOf } from '../session/schema.ts'
import { stateOf, type Session } from '../session/session.ts'
import type { ContextSession } from './context-property.ts'
import type { SessionState } from '../session/state.ts'
import type { OldCredential } from '../session/adopt/importer.ts'
import type { OldCookies } from './old-cookies.ts'
import type { RequestHooks, SessionSettings } from './options.ts'
import type { SessionResponse } from './response.ts'

type OpenDeadline = ReturnType<SessionManager['openDeadline']>

/** The session of one request: opened from its credentials before the route, or begun when the route first uses it. */
export class RequestSession<S extends Schema | undefined> implements ContextSession {
  readonly manager: SessionManager<S>
  readonly cookieName: string | undefined
  readonly #credentials: readonly string[]
  readonly #openOptions: OpenOptions
  readonly #onStoreError: SessionSettings<S, string>['onStoreError']
  readonly #events: Events
  readonly #response: SessionResponse | undefined
  #session: Session<ValuesOf<S>> | undefined
  /** The state behind it. */
  #state: SessionState | undefined
  #failure: unknown
  #opening: Promise<void> | undefined
  #isOver = false

  /** @param response absent for a request that Koa does not handle, whose response nothing is written to */
  constructor(
    manager: SessionManager<S>,
    cookieName: string | undefined,
    credentials: readonly string[],
    openOptions: OpenOptions,
    onStoreError: SessionSettings<S, string>['onStoreError'],
    events: Events,
    response?: SessionResponse,
  ) {
    this.manager = manager
    this.cookieName = cookieName
    this.#credentials = credentials
    this.#openOptions = openOptions
    this.#onStoreError = onStoreError
    this.#events = events
    this.#response = response
  }

  /** The session, if the request had one or the route has used it. */
  get session(): Session<ValuesOf<S>> | undefined {
    return this.#session
  }

  /** Whether the request presents an ID, or the cookies of an old session. */
  get mayBeStored(): boolean {
    return this.#credentials.length > 0 || (this.#openOptions.old?.length ?? 0) > 0
  }

  /**
   * Opens the stored session of the first credential that has one, or else of the first old session. {@link use} throws the error if that fails, so a route that
   * does not use the session works while the store is down.
   */
  async open(): Promise<void> {
    await (this.#opening ??= this.#open())
  }

  /** {@link open}, and the session. */
  async load(): Promise<Session<ValuesOf<S>>> {
    await this.open()
    return this.use()
  }

  async #open(): Promise<void> {
    // One time limit for all credentials.
    let deadline = this.#credentials.length > 1 ? this.manager.openDeadline() : undefined
    try {
      for (const [at, credential] of this.#credentials.entries()) {
        const session = await this.manager.find(credential, this.#openOptions, deadline)
        if (session === undefined) continue
        this.#follow(session, credential)
        if (deadline !== undefined)
          await this.#reportOther(session, this.#credentials.slice(at + 1), deadline)
        return
      }
      for (const old of this.#openOptions.old ?? []) {
        deadline ??= this.manager.openDeadline()
        const session = await this.manager.adopt(old, this.#openOptions, deadline)
        if (session !== undefined) return this.#follow(session, undefined)
      }
    } catch (error) {
      this.#failure = error
    }
  }

  /** Reports, once, that one of the credentials opens another session than the one that was found. */
  async #reportOther(
    { handle }: Session<ValuesOf<S>>,
    credentials: readonly string[],
    deadline: OpenDeadline,
  ): Promise<void> {
    if (!this.#events.heard) return
    try {
      for (const credential of credentials) {
        const other = await this.manager.find(credential, { passive: true }, deadline)
        if (other === undefined || other.handle === handle) continue
        this.#events.emit({ type: 'several-sessions', handle, other: other.handle })
        return
      }
    } catch {
      // The session was found, and the failure of the store is an event of its own.
    }
  }

  use(): Session<ValuesOf<S>> {
    this.#response?.use()
    if (this.#session !== undefined) return this.#session
    if (this.#isOver) return (this.#session = this.#closedSession())
    if (this.#failure !== undefined) return (this.#session = this.#withoutStore(this.#failure))
    if (this.#opening === undefined && this.mayBeStored)
      throw notOpen(this.#openOptions.expression ?? 'session')
    const session = this.manager.begin(this.#openOptions)
    this.#follow(session, this.#credentials[0])
    return session
  }

  /** The request is over, whatever became of it: the session can only be read from now on, also if this is its first use. */
  close(): void {
    this.#isOver = true
    this.#state?.close()
  }

  #follow(session: Session<ValuesOf<S>>, credential: string | undefined): void {
    this.#session = session
    this.#state = stateOf(session)
    this.#response?.follow(this.#state, credential)
  }

  /** After a failure to open the session: an empty session that is read-only, if the options allow that. */
  #withoutStore(failure: unknown): Session<ValuesOf<S>> {
    const isStoreError = failure instanceof SessionError && failure.code === 'ERR_SESSION_STORE'
    if (this.#onStoreError === 'throw' || !isStoreError) throw failure
    return this.#emptySession(failure)
  }

  /** For a first use after the request: nothing can be stored, and an exception in an error listener would end the process. */
  #closedSession(): Session<ValuesOf<S>> {
    const empty =
      this.#failure === undefined ? this.manager.begin(this.#openOptions) : this.#emptySession(this.#failure)
    stateOf(empty).close()
    return empty
  }

  #emptySession(failure: unknown): Session<ValuesOf<S>> {
    const empty = this.manager.begin(this.#openOptions)
    this.#state = stateOf(empty)
    this.#state.failedToOpen(failure)
    return empty
  }
}

function notOpen(expression: string): SessionError {
  const text = `${expression} is not open in this request, as the option \`open\` says: write await sessions.load(ctx) first, where sessions is what session() has returned`
  return new SessionError('ERR_SESSION_STATE', text)
}

/** The {@link OpenOptions} of a Koa request. Each hook is called when its answer is first needed, and once. */
export class RequestOptions implements OpenOptions {
  readonly #ctx: ParameterizedContext
  readonly mayCreate: (() => boolean | Promise<boolean>) | undefined
  readonly expression: string
  readonly #isPassive: (ctx: ParameterizedContext) => boolean
  readonly #oldCookies: OldCookies
  #old: readonly OldCredential[] | undefined
  #passive: boolean | undefined

  constructor(
    ctx: ParameterizedContext,
    { passive = isPrefetch, mayCreate }: RequestHooks,
    expression: string,
    oldCookies: OldCookies,
  ) {
    this.#ctx = ctx
    this.#oldCookies = oldCookies
    this.expression = expression
    this.#isPassive = passive
    this.mayCreate = mayCreate && once(() => mayCreate(ctx))
  }

  get passive(): boolean {
    return (this.#passive ??= this.#isPassive(this.#ctx))
  }

  get old(): readonly OldCredential[] {
    return (this.#old ??= this.#oldCookies.credentialsIn(this.#ctx.req.headers.cookie))
  }

  get unseen(): boolean {
    return this.#ctx.method === 'HEAD' || isPrefetch(this.#ctx)
  }
}

/** Calls `compute` the first time only, and returns the same result each time. */
function once<T>(compute: () => T): () => T {
  let result: { readonly value: T } | undefined
  return () => (result ??= { value: compute() }).value
}

/** Whether the browser fetches a page that its user may open next (`Sec-Purpose` of the Fetch standard). */
function isPrefetch({ req }: ParameterizedContext): boolean {
  const purpose = req.headers['sec-purpose']
  return typeof purpose === 'string' && /^prefetch\b/i.test(purpose)
}

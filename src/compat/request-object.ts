import type { ParameterizedContext } from 'koa'
import { SessionError } from '../errors.ts'
import type { ContextSession } from '../koa/context-property.ts'
import { discardChanges, isChanged, reloadSession, type Session } from '../session/session.ts'
import type { Committed } from '../session/state.ts'
import type { CompatSettings } from './options.ts'
import { SessionCookie } from './session-cookie.ts'
import { createSessionObject, detach, type ObjectRequest, type SessionObject } from './session-object.ts'
import { isRefusedValue, SessionObjectValues } from './values.ts'

/** The typed session, and the values that its object shows. */
interface Opened {
  readonly session: Session
  readonly values: SessionObjectValues
}

/** The `ctx.session` of one request as an object, over its typed session. */
export class RequestObject implements ContextSession, ObjectRequest {
  readonly cookieName: undefined = undefined
  readonly #ctx: ParameterizedContext
  readonly #settings: CompatSettings
  readonly #typed: () => Session
  #session: Session | undefined
  #values: SessionObjectValues | undefined
  #object: SessionObject | undefined
  #cookie: SessionCookie | undefined
  /** `ctx.session = null`: the session is ended when the request is over, unless the program begins another one. */
  #isNull = false
  #isReplaced = false

  /** @param typed returns the typed session of the request */
  constructor(ctx: ParameterizedContext, settings: CompatSettings, typed: () => Session) {
    this.#ctx = ctx
    this.#settings = settings
    this.#typed = typed
  }

  get manager(): object {
    return this.#settings
  }

  get shape(): CompatSettings['shape'] {
    return this.#settings.shape
  }

  /** The session object, or what the library gives after the session was ended. */
  use(): SessionObject | null | undefined {
    if (this.#isNull) return this.shape === 'express-session' ? undefined : null
    return this.#current()
  }

  /** `ctx.session = null` or `= { … }`. */
  assign(value: unknown): void {
    if (value === null || value === undefined) {
      this.#isNull = true
      return
    }
    if (typeof value !== 'object') throw neitherNullNorObject()
    if (value === this.#object && !this.#isNull) return
    const entries = Object.entries(value) // read first: it may be this session's own object
    const { session, values } = this.#begin()
    session.clear()
    for (const [key, item] of entries)
      if (key !== 'cookie' || this.shape === 'koa-session') values.set(key, item)
    this.#isReplaced = true
  }

  /** `ctx.sessionOptions` of koa-session. */
  get options(): object {
    return requestOptions(this, this.#settings)
  }

  get isNew(): boolean {
    return !this.#isReplaced && this.#open().session.isNew
  }

  get id(): string {
    return this.#open().session.id
  }

  get maxAge(): number | 'session' | undefined {
    return this.#open().session.maxAge ?? this.#settings.maxAge ?? 'session'
  }

  set maxAge(maxAge: unknown) {
    const { session } = this.#open()
    if (maxAge !== 'session' && maxAge !== undefined && maxAge !== null) session.maxAge = maxAge as number // anything else is refused there
    else if (this.#settings.maxAge === undefined) session.maxAge = undefined
    else throw untilClosed()
  }

  get cookie(): SessionCookie {
    return (this.#cookie ??= new SessionCookie(this, this.#settings))
  }

  setCookie(cookie: unknown): void {
    const { maxAge, expires } = Object(cookie) as { readonly maxAge?: unknown; readonly expires?: unknown }
    if (maxAge !== undefined) this.cookie.maxAge = maxAge as number | null // anything else is refused there
    else if (expires !== undefined) this.cookie.expires = expires as Date | null // as above
  }

  async save(): Promise<void> {
    if (this.#isNull) await this.destroy()
    else if ((await this.#commit()) === 'gone') throw endedMeanwhile()
  }

  async regenerate(): Promise<void> {
    const { session } = this.#open()
    const old = this.#object
    if (this.shape !== 'koa-session') {
      if (old !== undefined) detach(old)
      session.clear()
      this.#object = undefined
      this.#values = undefined
      this.#cookie = undefined
      session.maxAge = undefined
    }
    session.regenerate()
    await this.save()
  }

  async destroy(): Promise<void> {
    const { session } = this.#open()
    this.#isNull = true
    await session.destroy()
  }

  async reload(): Promise<void> {
    const { session } = this.#open()
    this.#values = undefined
    if (this.#object !== undefined) detach(this.#object)
    this.#object = undefined
    if ((await reloadSession(session)) === 'gone') throw endedMeanwhile()
  }

  toJSON(): Record<string, unknown> {
    return this.#open().values.toObject()
  }

  /** Before the handlers: asks the application whether the stored session may be used. */
  async validate(): Promise<void> {
    const { valid, shape, name } = this.#settings
    const ctx = this.#ctx
    const tell = (event: string): void => {
      if (shape === 'koa-session') setImmediate(() => ctx.app.emit(`session:${event}`, { ctx }))
    }
    const isMissed = (): boolean => ctx.cookies.get(name, { signed: false }) !== undefined
    if (ctx.app.listenerCount('session:missed') > 0 && isMissed() && this.#open().session.isNew)
      tell('missed')
    if (valid === undefined || this.#open().session.isNew || valid(ctx, this.#current())) return
    await this.#open().session.destroy()
    tell('invalid')
  }

  /** After the handlers: stores by JSON's rules what needs them, and carries out `ctx.session = null`. */
  async finish(): Promise<void> {
    if (this.#isNull) {
      await this.#open().session.destroy()
      return
    }
    const { autoCommit } = this.#settings
    const session = this.#session
    if (session === undefined) return
    if (autoCommit) await this.#commit()
    else discardChanges(session)
  }

  /** After handlers that have failed: what is committed follows the same rules, and a session that was to end is ended. */
  async fail(): Promise<void> {
    try {
      if (this.#isNull) await this.#open().session.destroy()
      else if (this.#session !== undefined && !this.#settings.autoCommit) discardChanges(this.#session)
      else this.#values?.degradeAll()
    } catch {
      // The response is the handlers' error already, and an event tells what the store has failed at.
    }
  }

  #current(): SessionObject {
    return (this.#object ??= createSessionObject(this, this.#open().values))
  }

  #open(): Opened {
    const session = (this.#session ??= this.#typed())
    const values = (this.#values ??= new SessionObjectValues(session, this.#settings.isPrivate))
    return { session, values }
  }

  /** The object that `ctx.session = { … }` fills. One that the program holds already stays what it was. */
  #begin(): Opened {
    if (this.#object !== undefined) detach(this.#object)
    this.#object = undefined
    this.#values = undefined
    this.#isNull = false
    return this.#open()
  }

  async #commit(): Promise<Committed> {
    const { session, values } = this.#open()
    const { beforeSave } = this.#settings
    values.degradeAgain()
    if (beforeSave !== undefined && isChanged(session)) {
      beforeSave(this.#ctx, this.#current())
      values.degradeAgain()
    }
    try {
      return await session.commit()
    } catch (error) {
      if (!isRefusedValue(error) || !values.degradeRefused()) throw error
      return session.commit()
    }
  }
}

/** The options as koa-session shows them; `maxAge` is the session's own. */
function requestOptions(
  session: { maxAge: number | 'session' | undefined },
  settings: CompatSettings,
): object {
  return {
    ...settings.cookie,
    key: settings.name,
    autoCommit: settings.autoCommit,
    get maxAge() {
      return session.maxAge
    },
    set maxAge(maxAge) {
      session.maxAge = maxAge
    },
  }
}

function endedMeanwhile(): SessionError {
  const text = 'the session was ended by another request, so nothing was stored'
  return new SessionError('ERR_SESSION_STATE', text, { status: 409 })
}

function neitherNullNorObject(): SessionError {
  return new SessionError('ERR_SESSION_STATE', 'ctx.session can only be set to null or an object of values')
}

function untilClosed(): SessionError {
  const text =
    "ctx.session.maxAge = 'session' needs a cookie that lasts until the browser is closed: leave cookie.maxAge out of the options, and set the maxAge of each session that is to last longer"
  return new SessionError('ERR_SESSION_STATE', text)
}

import type { ParameterizedContext } from 'koa'
import { isSessionOption, type CookieOptions, type SessionOptions } from '../koa/options.ts'
import { nearestName } from '../nearest-name.ts'
import { isBoolean, isFunction, oneOf, optionError, type Check } from '../session/check-options.ts'
import type { Schema } from '../session/schema.ts'
import type { SessionObject, SessionShape } from './session-object.ts'

/**
 * Options of the middleware that gives `ctx.session` as an object: those of `session()`, of which `property` names the typed
 * session beside it (`'typedSession'` by default) and `isolation` is `'last-wins'` by default, and these.
 */
export interface CompatOptions<
  S extends Schema | undefined = Schema | undefined,
  P extends string = string,
> extends SessionOptions<S, P> {
  /**
   * The library whose `ctx.session` the program expects. `'koa-session'`: `regenerate()` keeps the data, keys that begin with `_` are
   * not stored. `'koa-generic-session'`: also `session.cookie`, `ctx.sessionId`, `ctx.regenerateSession()` and `ctx.saveSession()`.
   * `'express-session'`, for middleware of Express through koa-connect: also `req.session` and `req.sessionID`. Default: `'koa-session'`.
   */
  readonly shape?: SessionShape

  /**
   * Whether changes are stored when the request is over; `false`: only by `save()` and its like. What the typed session of a request has
   * changed is dropped then too, where the request has used `ctx.session`. Default: `true`.
   */
  readonly autoCommit?: boolean

  /**
   * Returns whether a stored session may be used; one that may not is ended, and the request begins without a session. `koa-session`:
   * with the event `session:invalid` of the application. Default: it may.
   */
  readonly valid?: (ctx: ParameterizedContext, session: SessionObject) => boolean

  /** Called before changes are stored, and may change the session. Default: none. */
  readonly beforeSave?: (ctx: ParameterizedContext, session: SessionObject) => void
}

/** The checked options of a session object, with their defaults. */
export interface CompatSettings {
  /** The name of the cookie. */
  readonly name: string
  readonly shape: SessionShape
  readonly autoCommit: boolean
  readonly valid: CompatOptions['valid']
  readonly beforeSave: CompatOptions['beforeSave']
  readonly cookie: CookieOptions
  /** The life of a session's cookie where the session has none of its own, in ms; `undefined`: until the browser is closed. */
  readonly maxAge: number | undefined
  readonly now: () => number
  /** Whether the library keeps the value in the request only. */
  readonly isPrivate: (key: string, value: unknown) => boolean
}

const SHAPES: readonly SessionShape[] = ['koa-session', 'koa-generic-session', 'express-session']

const checks: Readonly<Record<string, Check>> = {
  shape: oneOf(`must be one of ${SHAPES.join(', ')}`, SHAPES),
  autoCommit: isBoolean,
  valid: isFunction,
  beforeSave: isFunction,
}

/**
 * Divides the options into those of the session object and those of the typed session.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option
 */
export function resolveCompatOptions<S extends Schema | undefined, P extends string>(
  options: CompatOptions<S, P>,
): { readonly settings: CompatSettings; readonly sessionOptions: SessionOptions<S, P> } {
  checkNames(options)
  const { shape = 'koa-session', autoCommit = true, valid, beforeSave, ...given } = options
  for (const [name, check] of Object.entries(checks)) {
    const value = (options as Readonly<Record<string, unknown>>)[name]
    if (value !== undefined) check(value, name)
  }
  if (given.property === 'session')
    throw optionError('property', "names the typed session beside ctx.session, so it cannot be 'session'")
  const cookie = given.cookie === false ? {} : (given.cookie ?? {})
  const settings = {
    name: given.name ?? 'sid',
    shape,
    autoCommit,
    valid,
    beforeSave,
    cookie,
    maxAge: cookie.maxAge,
    now: given.now ?? Date.now,
    isPrivate: shape === 'koa-session' ? isPrivateOfKoaSession : isFunctionValue,
  }
  return { settings, sessionOptions: { isolation: 'last-wins', ...given } }
}

/** The typed session refuses all other names, without a word on those that only the object has. */
function checkNames(options: object): void {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(checks, name) || isSessionOption(name)) continue
    const near = nearestName(name, Object.keys(checks))
    if (near !== undefined) throw optionError(name, `is not a setting; did you mean ${near}?`)
  }
}

function isFunctionValue(_key: string, value: unknown): boolean {
  return typeof value === 'function'
}

function isPrivateOfKoaSession(key: string, value: unknown): boolean {
  return key.startsWith('_') || isFunctionValue(key, value)
}

import type { ParameterizedContext } from 'koa'
import type { CookieOptions, SessionOptions } from '../koa/options.ts'
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

  /** Whether changes are stored when the request is over; `false`: only by `save()` and its like. Default: `true`. */
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

/** What the other libraries' options are here. */
const elsewhere: Readonly<Record<string, string>> = {
  key: 'is `name` here',
  maxAge: 'is `cookie.maxAge` for the browser and `idleTimeout` for the store',
  maxage: 'is `cookie.maxAge` for the browser and `idleTimeout` for the store',
  ttl: 'is `idleTimeout` here',
  httpOnly: 'is `cookie.httpOnly` here',
  secure: 'is `cookie.secure` here',
  sameSite: 'is `cookie.sameSite` here',
  domain: 'is `cookie.domain` here',
  path: 'is `cookie.path` here',
  partitioned: 'is `cookie.partitioned` here',
  overwrite: 'is always so: leave it out',
  rolling: 'is always so: a cookie with a life of its own is renewed while the session is used; leave it out',
  renew: 'is always so: a cookie with a life of its own is renewed while the session is used; leave it out',
  signed: 'is not needed: the cookie holds 256 random bits; leave it out',
  secret: 'is not needed: the cookie holds 256 random bits; leave it out',
  keys: 'is the isolation of single keys here, and no list of signing keys: the cookie holds 256 random bits',
  genid: 'is `idPrefix` here; an ID is always 256 random bits',
  genSid: 'is `idPrefix` here; an ID is always 256 random bits',
  externalKey: 'is `header` or `query` here',
  sessionIdStore: 'is `header` or `query` here',
  ContextStore: 'is `store` here: a store of koa-typed-session',
  encode: 'is not needed: values keep their types, and classes are registered with registerType',
  decode: 'is not needed: values keep their types, and classes are registered with registerType',
  resave: 'is always false: leave it out',
  saveUninitialized: 'is always false: leave it out',
  unset: "is always 'destroy': leave it out",
  proxy: 'is `app.proxy` of Koa',
  allowEmpty: 'is `keepEmpty` here',
  defer: 'is not needed: a request that has no session makes no store call',
  errorHandler: 'is `onStoreError` here',
}

/**
 * Divides the options into those of the session object and those of the typed session.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option
 */
export function resolveCompatOptions<S extends Schema | undefined, P extends string>(
  options: CompatOptions<S, P>,
): { readonly settings: CompatSettings; readonly sessionOptions: SessionOptions<S, P> } {
  checkElsewhere(options)
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

function checkElsewhere(options: object): void {
  if ('use' in options && typeof options.use === 'function')
    throw optionError('options', 'must be an object of settings, without the application: session({ … })')
  for (const [name, value] of Object.entries(options)) {
    // Our own `keys` is an object.
    if (name === 'keys' && !Array.isArray(value)) continue
    if (Object.hasOwn(elsewhere, name)) throw optionError(name, elsewhere[name] ?? '')
    if (name === 'store' && value !== undefined && typeof Object(value).create !== 'function')
      throw optionError(
        'store',
        'must be a store of koa-typed-session; sessions of the old one are taken over by `adopt`',
      )
  }
}

function isFunctionValue(_key: string, value: unknown): boolean {
  return typeof value === 'function'
}

function isPrivateOfKoaSession(key: string, value: unknown): boolean {
  return key.startsWith('_') || isFunctionValue(key, value)
}

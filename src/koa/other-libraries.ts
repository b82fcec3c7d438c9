import type { Hints } from '../session/check-options.ts'

/** What the options of koa-session, koa-generic-session and express-session are here. */
export const ofOtherLibraries: Hints = {
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
  expires: 'is `idleTimeout` for the store and `cookie.maxAge` for the browser',
}

/** The same for the attributes of their cookies. */
export const ofOtherCookies: Hints = {
  expires: 'is `cookie.maxAge` here, in ms',
  signed: 'is not needed: the cookie holds 256 random bits; leave it out',
  overwrite: 'is always so: leave it out',
  originalMaxAge: 'is `cookie.maxAge` here',
  name: 'is the option `name`, beside `cookie`',
  key: 'is the option `name`, beside `cookie`',
  encode: 'is not needed: an ID has only letters, digits, - and _',
  priority: 'is not supported; leave it out',
}

/** Options of `session()` of koa-typed-session/compat. */
export const ofCompat: Hints = Object.fromEntries(
  ['shape', 'autoCommit', 'valid', 'beforeSave'].map((name) => [
    name,
    'is an option of session() of koa-typed-session/compat, for code that expects ctx.session as an object',
  ]),
)

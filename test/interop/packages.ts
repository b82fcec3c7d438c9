// The packages whose code expects `ctx.session` as an object. They have no types of their own, or types of other versions.
import { createRequire } from 'node:module'
import type { Context, Middleware } from 'koa'
import type Koa from 'koa'

/** A middleware of Express. */
export type Connect = (req: ConnectRequest, res: unknown, next: (error?: unknown) => void) => void

/** What such a middleware has added to the request. */
export interface ConnectRequest {
  session?: unknown
  flash: (type: string, message?: string) => unknown
  [property: string]: unknown
}

type Verify = (...args: never[]) => void

/** A Passport for Koa, version 4 or 6. */
export interface Passport {
  use(strategy: object): void
  serializeUser(serialize: (user: { name: string }, done: (error: null, key: string) => void) => void): void
  deserializeUser(deserialize: (key: string, done: (error: null, user: object) => void) => void): void
  initialize(): Middleware
  session(): Middleware
  authenticate(strategy: string, options?: object): Middleware
}

/** What it adds to the context. */
export interface PassportContext extends Context {
  login(user: object): Promise<void>
  logout(): Promise<void> | void
  isAuthenticated(): boolean
}

const load = createRequire(import.meta.url)

export const createKoaSession = (
  load('koa-session') as { default: (options: object, app: Koa) => Middleware }
).default
export const bodyParser = load('koa-bodyparser') as () => Middleware
export const newPassport = {
  6: () => new (load('koa-passport') as { KoaPassport: new () => Passport }).KoaPassport(),
  4: () => new (load('koa-passport-4') as { KoaPassport: new () => Passport }).KoaPassport(),
} as const
export const LocalStrategy = (load('passport-local') as { Strategy: new (verify: Verify) => object }).Strategy
export const OAuth2Strategy = load('passport-oauth2') as new (options: object, verify: Verify) => object
export const OpenIdStrategy = load('passport-openidconnect') as new (
  options: object,
  verify: Verify,
) => object
export const grant = (load('grant') as { koa: () => (config: object) => Middleware }).koa()
export const Csrf = load('koa-csrf') as new (options?: object) => Middleware
export const koaFlash = load('koa-better-flash') as () => Middleware
export const connect = load('koa-connect') as (middleware: Connect) => Middleware
export const connectFlash = load('connect-flash') as () => Connect
export const { csrfSync } = load('csrf-sync') as {
  csrfSync: (options?: object) => {
    csrfSynchronisedProtection: Connect
    generateToken: (req: object) => string
  }
}

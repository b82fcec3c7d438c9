import type { ParameterizedContext } from 'koa'
import type { Limits } from '../codec/limits.ts'
import type { SessionEvent } from './events.ts'
import type { Registry } from '../registry.ts'
import type { Schema } from './schema.ts'
import type { SealOptions } from './backend/sealed-store.ts'
import type { Store } from '../store.ts'

/** How long an unused session lives by default, in ms. */
export const IDLE_TIMEOUT: number = 60 * 60 * 1000

/** The settings of a `SessionManager`. Times are in ms. */
export interface ManagerOptions<S extends Schema | undefined = Schema | undefined> {
  /** A store that you made. Give either this or `provider`. */
  readonly store?: Store
  /** The name of an engine: `memory`, `file`, or one of `registerProvider`. Default `memory`. */
  readonly provider?: string
  /** The engine's config string, beego's or a URL. Default `''`. */
  readonly providerConfig?: string
  /** Seals what the store keeps: `{ keys: ['…'] }`. Whoever reads or writes the backend can then read and forge nothing. */
  readonly seal?: SealOptions
  /** A session that nobody uses for so long ends. Default 1 hour. */
  readonly idleTimeout?: number
  /** A session ends that long after it began, however it is used; `regenerate` does not extend it. Default 7 days. */
  readonly absoluteTimeout?: number
  /**
   * A session is opened within so many ms, or not at all: 503. A little more than the 5 s that a store gives one call, so that
   * the store can tell what is wrong. Default 6 seconds.
   */
  readonly openTimeout?: number
  /** The same for a commit, with all its tries. A write that is cut off may still arrive, once. Default 12 seconds. */
  readonly commitTimeout?: number
  /** So many calls may wait for the store; more fail at once. `destroy()` may always. Default 1,000. */
  readonly maxPending?: number
  /**
   * A session whose ID is older than that gets a new one, with the next response that can carry it: a stolen ID is of use
   * for so long. Not for IDs in the query string, WebSockets and jobs. Default: never.
   */
  readonly rotateAfter?: number
  /**
   * For so long after that the old ID still leads to the session, for requests that were under way. Whoever comes with it
   * later is a stranger, and the event `retired-id` tells. Default 30 seconds.
   */
  readonly rotateGrace?: number
  /** How an ID is hashed into the key that the store sees; any of `crypto.getHashes()` with 160 bits or more. Default `sha256`. */
  readonly hash?: string
  /** Put before every session ID: letters, digits, `-` and `_`. Default `''`. */
  readonly idPrefix?: string
  /** Keep a stored session that was emptied, instead of removing it. Default `false`. */
  readonly keepEmpty?: boolean
  /** What each key may hold, in zod's words. It types the session, and `set` refuses what does not fit. */
  readonly schema?: S
  /** The registered classes. Default: the registry of `registerType`. */
  readonly registry?: Registry
  /** How much a session may hold. */
  readonly limits?: Partial<Limits>
  /** How often expired sessions are removed where the backend does not do so itself; 0 turns it off. Default 1 minute. */
  readonly sweepInterval?: number
  /** Told what happens: counts and durations, no IDs, no values. */
  readonly onEvent?: (event: SessionEvent) => void
  /** The clock. Default `Date.now`. */
  readonly now?: () => number
  /** How a commit waits, so many ms, between two tries against other processes. Default: by a timer. For tests, like `now`. */
  readonly pause?: (ms: number) => Promise<void>
}

/** How the cookie is sent; names and meanings are those of `Set-Cookie`. */
export interface CookieOptions {
  /**
   * How long the browser keeps it, in ms, up to 400 days. It is sent again when the session is used; of a request that only reads,
   * after one more look into the store, whether the session has not ended or got a new ID meanwhile. Default: until the browser closes.
   */
  readonly maxAge?: number
  readonly domain?: string
  /** Default `/`. */
  readonly path?: string
  /** Default `lax`. `none` needs `secure: true`. */
  readonly sameSite?: 'lax' | 'strict' | 'none'
  /** Default `true`. */
  readonly httpOnly?: boolean
  /** `auto`: when the request came by HTTPS, behind a proxy by Koa's `app.proxy`. Default `auto`. */
  readonly secure?: boolean | 'auto'
  /** A cookie per top-level site (CHIPS). Needs `secure: true`. Default `false`. */
  readonly partitioned?: boolean
}

/** The settings of the middleware: those of the manager, and where the ID travels. */
export interface SessionOptions<
  S extends Schema | undefined = Schema | undefined,
  P extends string = string,
> extends ManagerOptions<S> {
  /** `false` turns sessions off: using `ctx.session` then throws a sentence that says so. Default `true`. */
  readonly enabled?: boolean
  /** The cookie's name. Default `sid`. */
  readonly name?: string
  /** The cookie's attributes; `false` if the ID does not travel in a cookie. */
  readonly cookie?: CookieOptions | false
  /** The HTTP header in which the ID travels, both ways. Default: none. */
  readonly header?: string
  /** The query parameter in which the ID may come. IDs in URLs end up in logs. Default: none. */
  readonly query?: string
  /** Where the session stands on `ctx`, for a second one in the same application. Default `session`. */
  readonly property?: P
  /**
   * Whether changes are kept when the handler throws. Default: for HTTP errors that Koa shows to the client (4xx), and
   * for nothing else.
   */
  readonly commitOnError?: boolean | ((error: unknown) => boolean)
  /**
   * Whether a request is no sign of life, a page's polling for instance: then it does not extend the session's. Default:
   * a prefetch is none (`Sec-Purpose: prefetch`), every other request is one, `HEAD` and `OPTIONS` too.
   */
  readonly passive?: (ctx: ParameterizedContext) => boolean
  /**
   * Whether a visitor who has no session may have one now: the place for a limit by address. It is asked once per request,
   * before anything is stored; `false` answers 429, or it throws an error of its own. Default: everybody may.
   */
  readonly mayCreate?: (ctx: ParameterizedContext) => boolean | Promise<boolean>
  /**
   * What a route gets whose session cannot be opened because the store fails. `throw`: the error, 503, where it first uses
   * `ctx.session`. `anonymous`: an empty session that `isReadOnly`. A commit that fails always throws. Default `throw`.
   */
  readonly onStoreError?: 'throw' | 'anonymous'
}

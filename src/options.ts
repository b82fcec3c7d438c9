import { setTimeout as delay } from 'node:timers/promises'
import type { ParameterizedContext } from 'koa'
import { defaultLimits, type Limits } from './codec/limits.ts'
import { Events, type SessionEvent } from './events.ts'
import { checkManagerOptions, checkSessionOptions, wrong } from './options-check.ts'
import { cookieWishes, openProvider } from './providers.ts'
import { defaultRegistry, type Registry } from './registry.ts'
import { SessionSchema, type Schema } from './schema.ts'
import { SealedStore, type SealOptions } from './sealed-store.ts'
import type { ManagerSettings } from './settings.ts'
import type { Store } from './store.ts'

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
  readonly renewAfter?: number
  /**
   * For so long after that the old ID still leads to the session, for requests that were under way. Whoever comes with it
   * later is a stranger, and the event `retired-id` tells. Default 30 seconds.
   */
  readonly renewGrace?: number
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

/** Checks the middleware's options, and parts them by who needs what. */
export function splitOptions<S extends Schema | undefined, P extends string>(
  given: SessionOptions<S, P>,
): {
  enabled: boolean
  property: P | 'session'
  commitOnError: (error: unknown) => boolean
  hooks: Pick<SessionOptions, 'passive' | 'mayCreate'>
  onStoreError: 'throw' | 'anonymous'
  managerOptions: ManagerOptions<S>
  /** All of them, with what the engine's config string adds. */
  settled: SessionOptions
} {
  checkSessionOptions(given)
  const options = withWishes(given)
  checkSessionOptions(options)
  checkCookie(options)
  const {
    enabled = true,
    property = 'session',
    commitOnError = isExposed,
    onStoreError = 'throw',
    ...rest
  } = options
  const { name: _name, cookie: _cookie, header: _header, query: _query, ...others } = rest
  const { passive, mayCreate, ...managerOptions } = others
  const hooks = { ...(passive && { passive }), ...(mayCreate && { mayCreate }) }
  const decide = typeof commitOnError === 'function' ? commitOnError : (): boolean => commitOnError
  const settled = options
  return { enabled, property, commitOnError: decide, onStoreError, hooks, managerOptions, settled }
}

/** The options, and what the engine's config string says about the cookie where they say nothing. */
function withWishes<S extends Schema | undefined, P extends string>(
  options: SessionOptions<S, P>,
): SessionOptions<S, P> {
  const { provider, providerConfig, name, cookie = {} } = options
  if (cookie === false) return options
  const wishes = cookieWishes(provider, providerConfig)
  const { secure, maxAge } = wishes
  agree('name', name, 'cookieName', wishes.name)
  agree('cookie.secure', cookie.secure, 'secure', secure)
  agree('cookie.maxAge', cookie.maxAge, 'maxage', maxAge)
  return {
    ...options,
    ...(wishes.name !== undefined && { name: wishes.name }),
    cookie: { ...cookie, ...(secure !== undefined && { secure }), ...(maxAge !== undefined && { maxAge }) },
  }
}

function agree<T>(field: string, ours: T | undefined, theirField: string, theirs: T | undefined): void {
  if (ours === undefined || theirs === undefined || ours === theirs) return
  throw wrong(field, `is not what ${theirField} in providerConfig says; leave one of the two out`)
}

/** Koa shows such an error to the client: the handler meant to answer with it. */
function isExposed(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'expose' in error && error.expose === true
}

function checkCookie({ cookie, header, query, name = 'sid' }: SessionOptions): void {
  if (cookie === false && header === undefined && query === undefined) {
    throw wrong('cookie', 'is false, and neither header nor query says how the ID travels')
  }
  const prefix = /^__(host|secure)-/i.exec(name)?.[0]
  if (cookie === false || prefix === undefined) return
  if (cookie?.secure !== true) throw wrong('name', `begins with ${prefix}, which needs cookie.secure: true`)
  const elsewhere = cookie.domain !== undefined || (cookie.path ?? '/') !== '/'
  if (elsewhere && prefix.toLowerCase() === '__host-') {
    throw wrong('name', `begins with ${prefix}, which allows no cookie.domain and no cookie.path but /`)
  }
}

/** Checks a manager's options and fills in the defaults. */
export function resolveOptions(options: ManagerOptions, carrier?: string): ManagerSettings {
  checkManagerOptions(options)
  const { store, provider, providerConfig } = options
  if (store !== undefined && (provider !== undefined || providerConfig !== undefined)) {
    throw wrong('store', 'cannot be given together with provider or providerConfig')
  }
  if (store !== undefined && typeof store.traits !== 'object')
    throw wrong('store', 'is no store: it has no traits')
  const now = options.now ?? Date.now
  const idleTimeout = options.idleTimeout ?? IDLE_TIMEOUT
  const absoluteTimeout = options.absoluteTimeout ?? Math.max(7 * 24 * 60 * 60 * 1000, idleTimeout)
  if (idleTimeout > absoluteTimeout) throw wrong('idleTimeout', 'is longer than absoluteTimeout')
  const opened = store ?? openProvider(provider ?? 'memory', providerConfig ?? '', { now })
  const { renewAfter, renewGrace = 30_000 } = options
  if (renewAfter !== undefined && renewGrace >= renewAfter) {
    throw wrong('renewGrace', 'is not shorter than renewAfter')
  }
  return {
    store: prepared(opened, options.seal, carrier, now),
    idleTimeout,
    absoluteTimeout,
    openTimeout: options.openTimeout ?? 6_000,
    commitTimeout: options.commitTimeout ?? 12_000,
    maxPending: options.maxPending ?? 1_000,
    renewAfter,
    renewGrace,
    hash: options.hash ?? 'sha256',
    idPrefix: options.idPrefix ?? '',
    keepEmpty: options.keepEmpty ?? false,
    registry: options.registry ?? defaultRegistry,
    limits: { ...defaultLimits, ...options.limits },
    schema: options.schema === undefined ? undefined : new SessionSchema(options.schema),
    sweepInterval: options.sweepInterval ?? 60_000,
    events: new Events(options.onEvent),
    now,
    pause: options.pause ?? delay,
  }
}

/** The store as the manager uses it: bound to its carrier where it is on the client, sealed where it is asked to be. */
function prepared(
  store: Store,
  seal: SealOptions | undefined,
  carrier: string | undefined,
  now: () => number,
): Store {
  if (store.traits.location === 'client') {
    if (seal !== undefined)
      throw wrong('seal', 'is for stores on a server; what this one hands out is sealed already')
    return (carrier === undefined ? undefined : store.bind?.(carrier)) ?? store
  }
  return seal === undefined ? store : new SealedStore(store, seal, now)
}

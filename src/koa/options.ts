import type { ParameterizedContext } from 'koa'
import {
  between,
  checkOptionsObject,
  both,
  type Checks,
  isBoolean,
  isFunction,
  isMs,
  isName,
  managerChecks,
  matches,
  must,
  ofParts,
  oneOf,
  optionError,
  optionsOf,
} from '../session/check-options.ts'
import type { Importer } from '../session/adopt/importer.ts'
import { DAYS_400 } from '../session/expiry.ts'
import { IDLE_TIMEOUT, type ManagerOptions } from '../session/options.ts'
import { cookieSettings } from '../session/providers.ts'
import type { Schema } from '../session/schema.ts'
import { warnOfOutliving, warnOfSeconds } from '../session/suspicious-times.ts'
import type { StoreTraits } from '../store.ts'
import { ofCompat, ofOtherCookies, ofOtherLibraries } from './other-libraries.ts'

/** Attributes of the session cookie, named as in `Set-Cookie`. */
export interface CookieOptions {
  /**
   * How long the browser keeps the cookie, in ms, at most 400 days. The cookie is sent again when the session is used, by
   * each process at most once in a tenth of this time; for a request that only reads, this takes a second store call, which checks that
   * the session still has this ID. Default: until the browser is closed.
   */
  readonly maxAge?: number

  /** The host whose subdomains receive the cookie too, such as `'example.org'`. Default: only the host of the request. */
  readonly domain?: string

  /** The path below which the cookie is sent. Default: `'/'`. */
  readonly path?: string

  /** Whether requests from other sites carry the cookie. `'none'` needs `secure: true`. Default: `'lax'`. */
  readonly sameSite?: 'lax' | 'strict' | 'none'

  /** Hides the cookie from scripts in the page. Default: `true`. */
  readonly httpOnly?: boolean

  /**
   * Sends the cookie over HTTPS only. `'auto'`: if the request came over HTTPS, for which Koa trusts a proxy only with
   * `app.proxy = true`. Default: `'auto'`.
   */
  readonly secure?: boolean | 'auto'

  /** Keeps a separate cookie for each top-level site (CHIPS). Needs `secure: true`. Default: `false`. */
  readonly partitioned?: boolean
}

/** Options of the middleware: those of the manager, and how the session ID travels. All times are in milliseconds. */
export interface SessionOptions<
  S extends Schema | undefined = Schema | undefined,
  P extends string = string,
> extends ManagerOptions<S> {
  /** `false` turns sessions off: any use of `ctx.session` throws `ERR_SESSION_STATE`. Default: `true`. */
  readonly enabled?: boolean

  /** The name of the cookie, such as `'__Host-sid'`. Default: `'sid'`. */
  readonly name?: string

  /** The attributes of the cookie; `false` if the ID does not travel in a cookie. Default: those of {@link CookieOptions}. */
  readonly cookie?: CookieOptions | false

  /**
   * The HTTP header that carries the ID in requests and responses, such as `'X-Session'`. Scripts of the page can read it, so beside
   * a cookie it shows them the ID that `httpOnly` hides: use it with `cookie: false`, for clients that are no browsers. Default: none.
   */
  readonly header?: string

  /**
   * The query parameter that carries the ID in requests whose cookies open no session. URLs, and so the IDs, end up in logs, and
   * a link can bring its reader into the session of its author. So an ID from a URL is never written to a cookie or header, and such
   * responses have `Cache-Control: no-store` and `Referrer-Policy: no-referrer`. Not for stores that keep the session in the client.
   * Default: none.
   */
  readonly query?: string

  /**
   * What a browser forgets when the route calls `session.destroy()`, by the header `Clear-Site-Data`: `['cache', 'storage']` removes
   * pages and scripts' data of this origin; `'cookies'` removes all cookies of the registrable domain, those of other applications
   * and subdomains too. Browsers obey over HTTPS only. Not sent if the route begins a new session afterwards. Default: nothing.
   */
  readonly clearSiteData?: readonly ('cache' | 'cookies' | 'storage' | '*')[]

  /**
   * The libraries whose sessions are taken over, such as `[koaSession({ keys, store })]` of `koa-typed-session/migrate`: the first request with an old cookie
   * gets a session with the values of the old one. What is stored of the old session and its cookies stay as they are until a logout, so that the old program finds them
   * after a rollback; so `name` must not be that of an old cookie. For stores on a server that evict nothing. Default: none.
   */
  readonly adopt?: readonly Importer[]

  /** The property of `ctx` that holds the session; a second middleware needs another one. Default: `'session'`. */
  readonly property?: P

  /**
   * Whether changes are committed when a later middleware throws: always, never, or as a function of the error decides.
   * Default: only for errors that Koa shows to the client (`expose`), which are those with a 4xx status.
   */
  readonly commitOnError?: boolean | ((error: unknown) => boolean)

  /**
   * When the session of a request is opened, which takes a call to the store: `'eager'` before the handlers; `'lazy'` when a handler
   * asks for it by `await sessions.load(ctx)`, where `sessions` is the middleware; or as a function of the request decides, which
   * returns `true` for eager: `(ctx) => !ctx.path.startsWith('/assets/')`. Until a session is open, `ctx.session` throws
   * `ERR_SESSION_STATE`; a request that presents no ID needs no opening. Default: `'eager'`.
   */
  readonly open?: 'eager' | 'lazy' | ((ctx: ParameterizedContext) => boolean)

  /**
   * Returns `true` for a request that must not extend the session, such as polling by a page: `(ctx) => ctx.path === '/poll'`.
   * Default: only prefetches (`Sec-Purpose: prefetch`) do not extend it.
   */
  readonly passive?: (ctx: ParameterizedContext) => boolean

  /**
   * Returns whether a new session may be stored for this request, for example after checking a rate limit for `ctx.ip`. Called
   * at most once per request, before the first store call. `false` answers with status 429; an error that it throws becomes the
   * answer. Default: always.
   */
  readonly mayCreate?: (ctx: ParameterizedContext) => boolean | Promise<boolean>

  /**
   * What `ctx.session` does if the store fails while the session is opened. `'throw'`: throws `ERR_SESSION_STORE`, status 503.
   * `'anonymous'`: returns an empty session that `isReadOnly`. A commit that fails always throws. Default: `'throw'`.
   */
  readonly onStoreError?: 'throw' | 'anonymous'
}

/** How the credential travels: the ID or, for a `'client'` store, the sealed session. */
export interface TransportSettings {
  readonly name: string
  readonly cookie: CookieOptions | false
  readonly header: string | undefined
  readonly query: string | undefined
  readonly clearSiteData: readonly string[]
}

/** The options that decide about one request. */
export type RequestHooks = Pick<SessionOptions, 'passive' | 'mayCreate'>

/** Whether the session of a request is opened before the handlers. */
export type OpensEagerly = (ctx: ParameterizedContext) => boolean

/** The checked options of a middleware with their defaults. */
export interface SessionSettings<S extends Schema | undefined, P extends string> {
  readonly enabled: boolean
  readonly property: P | 'session'
  readonly commitOnError: (error: unknown) => boolean
  readonly onStoreError: 'throw' | 'anonymous'
  readonly opensEagerly: OpensEagerly
  readonly hooks: RequestHooks
  readonly transport: TransportSettings
  readonly importers: readonly Importer[]
  /** The options of the manager, which checks them again. */
  readonly managerOptions: ManagerOptions<S>
}

const SITE_DATA: ReadonlySet<unknown> = new Set(['cache', 'cookies', 'storage', '*'])

const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~\w]+$/

const isToken = matches(COOKIE_NAME, 'must be a name of letters, digits and -_. only')

const cookieChecks: Checks<CookieOptions> = {
  maxAge: both(isMs, between(1, DAYS_400, 'must be at most 400 days: browsers keep no cookie longer')),
  domain: matches(/^\.?[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i, 'must be a host name'),
  path: matches(/^\/[\x21-\x3a\x3c-\x7e]*$/, 'must begin with / and hold no space or ;'),
  sameSite: oneOf("must be 'lax', 'strict' or 'none'", ['lax', 'strict', 'none']),
  httpOnly: isBoolean,
  secure: oneOf("must be true, false or 'auto'", [true, false, 'auto']),
  partitioned: isBoolean,
}

const sessionChecks: Checks<SessionOptions> = {
  ...managerChecks,
  enabled: isBoolean,
  name: isToken,
  cookie: (value, field) => value === false || checkCookie(value, field),
  header: isToken,
  query: isName,
  clearSiteData: must(
    "must be a list of 'cache', 'cookies', 'storage' and '*'",
    (value) => Array.isArray(value) && value.length > 0 && value.every((part) => SITE_DATA.has(part)),
  ),
  adopt: checkImporters,
  property: isName,
  commitOnError: must(
    'must be true, false or a function',
    (value) => typeof value === 'boolean' || typeof value === 'function',
  ),
  open: must(
    "must be 'eager', 'lazy' or a function",
    (value) => value === 'eager' || value === 'lazy' || typeof value === 'function',
  ),
  passive: isFunction,
  mayCreate: isFunction,
  onStoreError: oneOf("must be 'throw' or 'anonymous'", ['throw', 'anonymous']),
}

const isImporter = must(
  'must be an importer, such as koaSession({ keys, store }) of koa-typed-session/migrate: an object with name, cookies, find and read',
  (value) => {
    const { name, cookies, find, read, destroy }: Partial<Record<keyof Importer, unknown>> = Object(value)
    const hasNames =
      typeof name === 'string' &&
      Array.isArray(cookies) &&
      cookies.every((cookie) => isCookieName(Object(cookie)['name']))
    const isComplete = typeof find === 'function' && typeof read === 'function'
    return hasNames && isComplete && (destroy === undefined || typeof destroy === 'function')
  },
)

function isCookieName(name: unknown): boolean {
  return typeof name === 'string' && COOKIE_NAME.test(name)
}

function checkImporters(value: unknown, field: string): void {
  must('must be a list of importers', Array.isArray)(value, field)
  const importers = value as readonly Importer[] // each is checked next
  for (const [at, importer] of importers.entries()) {
    isImporter(importer, `${field}[${at}]`)
    if (importers.findIndex(({ name }) => name === importer.name) < at)
      throw optionError(`${field}[${at}]`, `is a second importer with the name '${importer.name}'`)
  }
}

const checkOptions = optionsOf(sessionChecks, {
  hints: { ...ofParts, ...ofOtherLibraries, ...ofCompat },
})
const checkCookieOptions = optionsOf(cookieChecks, { hints: ofOtherCookies })

/** Whether `session()` has an option of that name. */
export function isSessionOption(name: string): boolean {
  return Object.hasOwn(sessionChecks, name)
}

/**
 * Checks how `session()` was called: with one object of settings.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS`
 */
export function checkCall(options: unknown, another: unknown): void {
  checkOptionsObject(options, 'session')
  if (another !== undefined)
    throw optionError(
      'options',
      'is the only argument: app.use(session({ … })) mounts what session() returns',
    )
}

/**
 * Checks the options of a middleware and fills in the defaults.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option
 */
export function resolveSessionOptions<S extends Schema | undefined, P extends string>(
  given: SessionOptions<S, P>,
): SessionSettings<S, P> {
  checkOptions(given, '')
  const options = withProviderConfig(given)
  checkOptions(options, '')
  const {
    enabled = true,
    property = 'session',
    commitOnError = isExposed,
    onStoreError = 'throw',
    name = 'sid',
    cookie = {},
    header,
    query,
    clearSiteData = [],
    open = 'eager',
    adopt = [],
    passive,
    mayCreate,
    ...managerOptions
  } = options
  const transport = { name, cookie, header, query, clearSiteData }
  checkTransport(transport)
  checkOldNames(transport, adopt)
  if (options.now === undefined && cookie !== false) {
    warnOfSeconds({ 'cookie.maxAge': cookie.maxAge })
    warnOfOutliving(cookie.maxAge, options.idleTimeout ?? IDLE_TIMEOUT)
  }
  return {
    enabled,
    property,
    commitOnError: typeof commitOnError === 'function' ? commitOnError : () => commitOnError,
    onStoreError,
    opensEagerly: typeof open === 'function' ? open : () => open === 'eager',
    hooks: { ...(passive && { passive }), ...(mayCreate && { mayCreate }) },
    transport,
    importers: adopt,
    managerOptions,
  }
}

/** Adds what the provider's config string says about the cookie. */
function withProviderConfig<S extends Schema | undefined, P extends string>(
  options: SessionOptions<S, P>,
): SessionOptions<S, P> {
  const { provider, providerConfig, name, cookie = {} } = options
  if (cookie === false) return options
  const { name: cookieName, secure, maxAge } = cookieSettings(provider, providerConfig)
  checkAgreement('name', name, 'cookieName', cookieName)
  checkAgreement('cookie.secure', cookie.secure, 'secure', secure)
  checkAgreement('cookie.maxAge', cookie.maxAge, 'maxage', maxAge)
  return {
    ...options,
    ...(cookieName !== undefined && { name: cookieName }),
    cookie: { ...cookie, ...(secure !== undefined && { secure }), ...(maxAge !== undefined && { maxAge }) },
  }
}

function checkAgreement(field: string, option: unknown, configField: string, configured: unknown): void {
  if (option === undefined || configured === undefined || option === configured) return
  throw optionError(field, `differs from ${configField} in providerConfig; leave one of the two out`)
}

/** Whether Koa shows the error to the client: then the application answered with it on purpose. */
function isExposed(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'expose' in error && error.expose === true
}

function checkCookie(value: unknown, field: string): void {
  must(
    'must be false or an object of settings, such as { secure: true }',
    (given) => typeof given === 'object' && given !== null && !Array.isArray(given),
  )(value, field)
  checkCookieOptions(value, field)
  const { sameSite, partitioned, secure } = value as CookieOptions // as just checked
  if (sameSite === 'none' && secure !== true)
    throw optionError(`${field}.sameSite`, "sameSite 'none' needs cookie.secure: true")
  if (partitioned === true && secure !== true)
    throw optionError(`${field}.partitioned`, 'partitioned needs cookie.secure: true')
}

function checkTransport({ cookie, header, query, name }: TransportSettings): void {
  if (cookie === false && header === undefined && query === undefined)
    throw optionError('cookie', 'is false, and neither header nor query says how the ID travels')
  const prefix = /^__(host|secure)-/i.exec(name)?.[0]
  if (cookie === false || prefix === undefined) return
  if (cookie.secure !== true)
    throw optionError('name', `begins with ${prefix}, which needs cookie.secure: true`)
  const isNarrowed = cookie.domain !== undefined || (cookie.path ?? '/') !== '/'
  if (isNarrowed && prefix.toLowerCase() === '__host-')
    throw optionError('name', `begins with ${prefix}, which allows no cookie.domain and no cookie.path but /`)
}

/** Under the name of an old cookie ours would replace it, and a rollback would log everybody out. */
function checkOldNames({ cookie, name }: TransportSettings, importers: readonly Importer[]): void {
  if (cookie === false) return
  for (const importer of importers)
    if (importer.cookies.some((old) => old.name === name))
      throw optionError(
        'name',
        `is also the name of a cookie of adopt's ${importer.name}; choose another one, so that the old cookies stay as they are and a rollback logs no user out`,
      )
}

/** Checks that the store can remember which old sessions have ended. */
export function checkAdopting(importers: readonly Importer[], { name, location, evicts }: StoreTraits): void {
  if (importers.length === 0) return
  if (location === 'client')
    throw optionError(
      'adopt',
      `cannot be used: the ${name} store keeps sessions in the client and cannot remember which old sessions have ended, so a logout would not last`,
    )
  if (evicts === true)
    throw optionError(
      'adopt',
      `cannot be used: the ${name} store may forget entries to make room, and then ended sessions would be taken over again; use a store that keeps each until its time`,
    )
}

/** What carries the credential in requests and responses: the name of the cookie or of the header, if there is either. */
export function carrierOf({ cookie, name, header }: TransportSettings): string | undefined {
  return cookie === false ? header?.toLowerCase() : name
}

/** Checks that the client can hold whole sessions and send them back. */
export function checkCarrier(transport: TransportSettings, idleTimeout: number = IDLE_TIMEOUT): void {
  const { cookie, name, query } = transport
  if (carrierOf(transport) === undefined)
    throw optionError(
      'cookie',
      'is false, but this store keeps the session in the client, which needs a cookie or a header',
    )
  if (query !== undefined)
    throw optionError(
      'query',
      'cannot be used: this store keeps the session in the client, and a link would plant one',
    )
  if (cookie === false) return
  if ((cookie.maxAge ?? Infinity) < idleTimeout)
    throw optionError(
      'cookie.maxAge',
      'is less than idleTimeout; this store keeps the session in the cookie, so lower idleTimeout instead',
    )
  if (name.length > 100)
    throw optionError('name', 'is longer than 100 characters, which leaves too little room in its cookies')
}

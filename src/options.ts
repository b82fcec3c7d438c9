import { getHashes } from 'node:crypto'
import { z } from 'zod'
import { defaultLimits, type Limits } from './codec/limits.ts'
import { SessionError } from './errors.ts'
import { Events, type SessionEvent } from './events.ts'
import { openProvider } from './providers.ts'
import { defaultRegistry, type Registry } from './registry.ts'
import { SessionSchema, type Schema } from './schema.ts'
import type { ManagerSettings } from './settings.ts'
import type { Store } from './store.ts'

/** The settings of a `SessionManager`. Times are in ms. */
export interface ManagerOptions<S extends Schema | undefined = Schema | undefined> {
  /** A store that you made. Give either this or `provider`. */
  readonly store?: Store
  /** The name of an engine: `memory`, `file`, or one of `registerProvider`. Default `memory`. */
  readonly provider?: string
  /** The engine's config string, beego's or a URL. Default `''`. */
  readonly providerConfig?: string
  /** A session that nobody uses for so long ends. Default 1 hour. */
  readonly idleTimeout?: number
  /** A session ends that long after it began, however it is used; `regenerate` does not extend it. Default 7 days. */
  readonly absoluteTimeout?: number
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
}

/** How the cookie is sent; names and meanings are those of `Set-Cookie`. */
export interface CookieOptions {
  /** How long the browser keeps it, in ms, up to 400 days. Default: until the browser closes. */
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
}

const ms = z.int('must be a whole number of ms').positive('must be more than 0 ms')
const DAYS_400 = 400 * 24 * 60 * 60 * 1000
const functionType = <T>(): z.ZodType<T> =>
  z.custom<T>((value) => typeof value === 'function', 'must be a function')
const objectType = <T>(what: string): z.ZodType<T> =>
  z.custom<T>((value) => typeof value === 'object' && value !== null, `must be ${what}`)
const token = z.string().regex(/^[!#$%&'*+\-.^_`|~\w]+$/, 'must be a name of letters, digits and -_. only')
const hashes = new Set(getHashes().map((name) => name.toLowerCase()))

const limits: z.ZodType<Partial<Limits>> = z.strictObject({
  bytes: z.int().positive().exactOptional(),
  keyBytes: z.int().positive().exactOptional(),
  keys: z.int().positive().exactOptional(),
  keyLength: z.int().positive().exactOptional(),
  depth: z.int().positive().max(256, 'must be at most 256').exactOptional(),
  bigintDigits: z.int().positive().exactOptional(),
  nodes: z.int().positive().exactOptional(),
})

const managerShape = {
  store: objectType<Store>('a store').exactOptional(),
  provider: z.string().min(1).exactOptional(),
  providerConfig: z.string().exactOptional(),
  idleTimeout: ms.exactOptional(),
  absoluteTimeout: ms.exactOptional(),
  hash: z
    .string()
    .refine(
      (name) => hashes.has(name.toLowerCase()) && !/^md|shake/i.test(name),
      'must name a hash of node:crypto, such as sha256',
    )
    .exactOptional(),
  idPrefix: z
    .string()
    .max(64)
    .regex(/^[\w-]*$/, 'must be letters, digits, - and _')
    .exactOptional(),
  keepEmpty: z.boolean().exactOptional(),
  schema: objectType<Schema>('an object of zod types').optional(),
  registry: objectType<Registry>('a registry of createRegistry()').exactOptional(),
  limits: limits.exactOptional(),
  sweepInterval: z.int().nonnegative().max(2_147_483_647).exactOptional(),
  onEvent: functionType<(event: SessionEvent) => void>().exactOptional(),
  now: functionType<() => number>().exactOptional(),
}

const cookieType: z.ZodType<CookieOptions> = z
  .strictObject({
    maxAge: ms.max(DAYS_400, 'must be at most 400 days: browsers keep no cookie longer').exactOptional(),
    domain: z
      .string()
      .regex(/^\.?[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i, 'must be a host name')
      .exactOptional(),
    path: z
      .string()
      .regex(/^\/[\x21-\x3a\x3c-\x7e]*$/, 'must begin with / and hold no space or ;')
      .exactOptional(),
    sameSite: z.enum(['lax', 'strict', 'none']).exactOptional(),
    httpOnly: z.boolean().exactOptional(),
    secure: z.union([z.boolean(), z.literal('auto')], "must be true, false or 'auto'").exactOptional(),
    partitioned: z.boolean().exactOptional(),
  })
  .refine(({ sameSite, secure }) => sameSite !== 'none' || secure === true, {
    path: ['sameSite'],
    message: "sameSite 'none' needs cookie.secure: true",
  })
  .refine(({ partitioned, secure }) => partitioned !== true || secure === true, {
    path: ['partitioned'],
    message: 'partitioned needs cookie.secure: true',
  })

const managerType: z.ZodType<ManagerOptions> = z.strictObject(managerShape)
const sessionType: z.ZodType<SessionOptions> = z.strictObject({
  ...managerShape,
  enabled: z.boolean().exactOptional(),
  name: token.exactOptional(),
  cookie: z.union([cookieType, z.literal(false)]).exactOptional(),
  header: token.exactOptional(),
  query: z.string().min(1).exactOptional(),
  property: z.string().min(1).exactOptional(),
  commitOnError: z
    .union([z.boolean(), functionType<(error: unknown) => boolean>()], 'must be true, false or a function')
    .exactOptional(),
})

/** Checks the middleware's options, and parts them by who needs what. */
export function splitOptions<S extends Schema | undefined, P extends string>(
  options: SessionOptions<S, P>,
): {
  enabled: boolean
  property: P | 'session'
  commitOnError: (error: unknown) => boolean
  managerOptions: ManagerOptions<S>
} {
  check(sessionType, options)
  checkCookie(options)
  const { enabled = true, property = 'session', commitOnError = isExposed, ...rest } = options
  const { name: _name, cookie: _cookie, header: _header, query: _query, ...managerOptions } = rest
  const decide = typeof commitOnError === 'function' ? commitOnError : (): boolean => commitOnError
  return { enabled, property, commitOnError: decide, managerOptions }
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
export function resolveOptions(options: ManagerOptions): ManagerSettings {
  check(managerType, options)
  const { store, provider, providerConfig } = options
  if (store !== undefined && (provider !== undefined || providerConfig !== undefined)) {
    throw wrong('store', 'cannot be given together with provider or providerConfig')
  }
  if (store !== undefined && typeof store.traits !== 'object')
    throw wrong('store', 'is no store: it has no traits')
  const now = options.now ?? Date.now
  const idleTimeout = options.idleTimeout ?? 60 * 60 * 1000
  const absoluteTimeout = options.absoluteTimeout ?? Math.max(7 * 24 * 60 * 60 * 1000, idleTimeout)
  if (idleTimeout > absoluteTimeout) throw wrong('idleTimeout', 'is longer than absoluteTimeout')
  return {
    store: store ?? openProvider(provider ?? 'memory', providerConfig ?? '', { now }),
    idleTimeout,
    absoluteTimeout,
    hash: options.hash ?? 'sha256',
    idPrefix: options.idPrefix ?? '',
    keepEmpty: options.keepEmpty ?? false,
    registry: options.registry ?? defaultRegistry,
    limits: { ...defaultLimits, ...options.limits },
    schema: options.schema === undefined ? undefined : new SessionSchema(options.schema),
    sweepInterval: options.sweepInterval ?? 60_000,
    events: new Events(options.onEvent),
    now,
  }
}

function check<T>(type: z.ZodType<T>, options: T): void {
  const result = type.safeParse(options)
  if (result.success) return
  const [first] = result.error.issues
  if (first === undefined) throw wrong('options', 'are wrong')
  const { issue, path } = deepest(first, [])
  if (issue.code === 'unrecognized_keys') throw wrong([...path, issue.keys[0]].join('.'), 'is not a setting')
  throw wrong(path.length === 0 ? 'options' : path.join('.'), issue.message)
}

type Issue = z.core.$ZodIssue
type Path = readonly PropertyKey[]

/** Of alternatives that all failed, the one that came farthest says what is wrong. */
function deepest(issue: Issue, above: Path): { issue: Issue; path: Path } {
  const path = [...above, ...issue.path]
  if (issue.code !== 'invalid_union') return { issue, path }
  const inside = issue.errors.flat().map((inner) => deepest(inner, path))
  return inside.reduce((best, next) => (next.path.length > best.path.length ? next : best), { issue, path })
}

function wrong(field: string, text: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `session: ${field}: ${text}`)
}

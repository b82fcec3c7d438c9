import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { stringifySetCookie } from 'cookie'
import { cookieValues } from './cookie-header.ts'
import { wrong } from '../session/check-options.ts'
import { IDLE_TIMEOUT, type SessionOptions } from '../session/options.ts'
import { CookieChunks } from './cookie-chunks.ts'

/** How many cookies of our name are tried: a neighbouring subdomain can plant some beside the real one. */
const MAX_COOKIES = 3

/** What of a request the transport looks at; Node's and Koa's both fit. */
export interface Incoming {
  readonly headers: IncomingHttpHeaders
  readonly url?: string | undefined
}

/** Where the session ID travels: in a cookie, an HTTP header or the query string, as far as the settings allow. */
export class Transport {
  /** The cookie's name, or `undefined` if there is none. */
  readonly cookieName: string | undefined
  /** Whether the browser keeps the cookie for a time of its own, which a response may renew. */
  readonly renewable: boolean
  /** The request headers that an answer depends on once the session was looked at. */
  readonly vary: string[]
  /** Whether what travels is the session itself, sealed, and not its ID. */
  readonly carriesSession: boolean
  /** Where the credential can be too long for one cookie. */
  readonly #chunks: CookieChunks | undefined
  readonly #header: string | undefined
  readonly #query: string | undefined
  readonly #secure: boolean | 'auto'
  /** What follows the credential in `Set-Cookie`, when it is set for as many ms and when it is removed. */
  readonly #attributes: (maxAge: number | undefined) => string
  readonly #removal: string

  constructor(options: SessionOptions, carriesSession = false) {
    const { cookie = {}, name = 'sid', header, query } = options
    if (carriesSession) checkCarrier(options)
    this.carriesSession = carriesSession
    this.#chunks = carriesSession && cookie !== false ? new CookieChunks(name) : undefined
    this.cookieName = cookie === false ? undefined : name
    this.#header = header?.toLowerCase()
    this.#query = query
    this.vary = [...(cookie === false ? [] : ['Cookie']), ...(header === undefined ? [] : [header])]
    const { maxAge, secure = 'auto', path = '/', sameSite = 'lax', httpOnly = true, ...rest } = cookie || {}
    this.renewable = maxAge !== undefined
    this.#secure = secure
    const attributes = { ...rest, path, sameSite, httpOnly, secure: secure === true }
    const spell = (life: { maxAge?: number; expires?: Date } = {}): string =>
      stringifySetCookie({ name: 'x', value: '', ...attributes, ...life }).slice('x='.length)
    // In whole seconds, and rather one too many: when the session ends is for the server to say.
    const lasting = (ms: number): string => spell({ maxAge: Math.ceil(ms / 1000) })
    const usual = maxAge === undefined ? spell() : lasting(maxAge)
    this.#attributes = (own) => (own === undefined ? usual : lasting(own))
    this.#removal = spell({ maxAge: 0, expires: new Date(0) })
  }

  /** The IDs that the client presents, in the order in which they are to be tried: cookie, query, header. */
  read({ headers, url }: Incoming): readonly string[] {
    const cookies = this.#cookies(headers.cookie)
    if (cookies.length > 0) return cookies
    const inQuery = this.#query === undefined ? undefined : queryValue(url, this.#query)
    if (inQuery !== undefined) return [inQuery]
    const inHeader = this.#header === undefined ? undefined : headers[this.#header]
    return typeof inHeader === 'string' && inHeader !== '' ? [inHeader] : none
  }

  /** Whether this ID came in a cookie or header, which a response can replace; whoever follows a link keeps the old one. */
  answers({ headers }: Incoming, id: string): boolean {
    if (
      this.cookieName !== undefined &&
      cookieValues(headers.cookie, this.cookieName, MAX_COOKIES).includes(id)
    )
      return true
    return this.#header !== undefined && headers[this.#header] === id
  }

  /** Why a cookie cannot be put on this response, if so. */
  obstacle(response: ServerResponse, secure: boolean): 'headers-sent' | 'not-secure' | undefined {
    if (response.headersSent) return 'headers-sent'
    if (this.cookieName !== undefined && this.#secure === true && !secure) return 'not-secure'
    return undefined
  }

  /**
   * Puts the credential on the response, or removes it from the client with `undefined`. `maxAge` is the session's own, in ms.
   *
   * @returns the `Set-Cookie` lines, for an error whose answer Koa builds from scratch
   * @throws SessionError `ERR_SESSION_LIMIT` if the credential is too long for the cookies that may carry it
   */
  write(
    response: ServerResponse,
    credential: string | undefined,
    secure: boolean,
    maxAge?: number,
  ): readonly string[] {
    if (this.#header !== undefined && credential !== undefined) response.setHeader(this.#header, credential)
    response.setHeader('cache-control', 'no-store')
    const { cookieName } = this
    if (cookieName === undefined) return none
    const attributes = this.#attributes(maxAge)
    const upgrade = secure && this.#secure === 'auto' ? '; Secure' : ''
    const lines = this.#values(response, cookieName, credential).map(
      ([name, value]) =>
        `${name}=${value ?? ''}${value === undefined ? this.#removal : attributes}${upgrade}`,
    )
    const names = this.#chunks?.names ?? [cookieName]
    response.setHeader('set-cookie', [...otherCookies(response, names), ...lines])
    return lines
  }

  #cookies(header: string | undefined): readonly string[] {
    if (this.cookieName === undefined) return none
    return this.#chunks?.join(header) ?? cookieValues(header, this.cookieName, MAX_COOKIES)
  }

  /** Name and value of each cookie that is to be set, and without a value of each that is to go. */
  #values(
    { req }: ServerResponse,
    cookieName: string,
    credential: string | undefined,
  ): readonly (readonly [string, string | undefined])[] {
    const chunks = this.#chunks
    if (chunks === undefined) return [[cookieName, credential]]
    const values = credential === undefined ? none : chunks.cut(credential)
    const held = new Set(chunks.heldIn(req.headers.cookie))
    return chunks.names
      .map((name, at) => [name, values[at]] as const)
      .filter(([name, value], at) => at === 0 || value !== undefined || held.has(name))
  }
}

/** What carries the credential, if anything does in both directions: the name of the cookie, or of the header. */
export function carrierOf({ cookie, name = 'sid', header }: SessionOptions): string | undefined {
  return cookie === false ? header?.toLowerCase() : name
}

/** A session that travels whole must find its way back, and its cookies must be long enough. */
function checkCarrier(options: SessionOptions): void {
  if (carrierOf(options) === undefined)
    throw wrong(
      'cookie',
      'is false, but this store keeps the session in the client, which needs a cookie or a header',
    )
  const { cookie, name = '', idleTimeout = IDLE_TIMEOUT } = options
  if (cookie !== false && (cookie?.maxAge ?? Infinity) < idleTimeout)
    throw wrong(
      'cookie.maxAge',
      'is less than idleTimeout; where the session is in the cookie, lower that one instead',
    )
  if (cookie !== false && name.length > 100)
    throw wrong('name', 'is longer than 100 characters, which leaves its cookies too little room')
}

const none: readonly string[] = []

function queryValue(url: string | undefined, name: string): string | undefined {
  const at = url?.indexOf('?') ?? -1
  if (url === undefined || at === -1) return undefined
  return new URLSearchParams(url.slice(at + 1)).get(name) ?? undefined
}

/** The cookies on the response that are not ours: one Set-Cookie per name. */
function otherCookies(response: ServerResponse, names: readonly string[]): string[] {
  const present = response.getHeader('set-cookie')
  if (present === undefined) return []
  const lines = Array.isArray(present) ? present : [String(present)]
  return lines.filter((line) => !names.some((name) => line.startsWith(`${name}=`)))
}

import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { stringifySetCookie } from 'cookie'
import { CookieChunks } from './cookie-chunks.ts'
import { cookieValues } from './cookie-header.ts'
import type { TransportSettings } from './options.ts'

/** The part of a request that carries a credential; Node's and Koa's requests both have it. */
export interface Incoming {
  readonly headers: IncomingHttpHeaders
  readonly url?: string | undefined
}

/** How often in its life a cookie is sent again. */
const REPEATS = 10
/** Of how many sessions it is known when their cookie was sent. */
const MOST_REPEATED = 10_000

/** Reads the credential from requests and writes it to responses: in a cookie, an HTTP header or the query string. */
export class Transport {
  /** The cookie's name, or `undefined` if the credential does not travel in a cookie. */
  readonly cookieName: string | undefined
  /** The `Max-Age` of the cookie in ms, if it has one, which responses extend. */
  readonly #maxAge: number | undefined
  /** The request headers that a response depends on after the session was used. */
  readonly vary: string[]
  /** The value of `Clear-Site-Data` after a logout, if it is to be sent. */
  readonly clearSiteData: string | undefined
  /** Whether the credential is the sealed session instead of its ID. */
  readonly carriesSession: boolean
  /** For a credential that may be too long for one cookie. */
  readonly #chunks: CookieChunks | undefined
  readonly #header: string | undefined
  readonly #query: string | undefined
  readonly #secure: boolean | 'auto'
  /** The part of `Set-Cookie` after the credential, for a cookie that lasts this many ms. */
  readonly #attributes: (maxAge: number | undefined) => string
  /** The same for a cookie that is removed. */
  readonly #removal: string
  readonly #now: () => number
  /** When the cookie of each session was last sent, and for how long, by its handle; the oldest first. */
  readonly #repeated = new Map<string, { readonly at: number; readonly maxAge: number | undefined }>()
  #hasWarned = false

  constructor(settings: TransportSettings, carriesSession: boolean, now: () => number = Date.now) {
    this.#now = now
    const { name, cookie, header, query, clearSiteData } = settings
    this.carriesSession = carriesSession
    this.#chunks = carriesSession && cookie !== false ? new CookieChunks(name) : undefined
    this.cookieName = cookie === false ? undefined : name
    this.#header = header?.toLowerCase()
    this.#query = query
    this.clearSiteData = clearSiteData.map((part) => `"${part}"`).join(', ') || undefined
    this.vary = [...(cookie === false ? [] : ['Cookie']), ...(header === undefined ? [] : [header])]
    const { maxAge, secure = 'auto', path = '/', sameSite = 'lax', httpOnly = true, ...rest } = cookie || {}
    this.#maxAge = maxAge
    this.#secure = secure
    const attributes = { ...rest, path, sameSite, httpOnly, secure: secure === true }
    const spell = (life: { maxAge?: number; expires?: Date } = {}): string =>
      stringifySetCookie({ name: 'x', value: '', ...attributes, ...life }).slice('x='.length)
    // Rounded up to whole seconds: the server decides when the session ends, so the cookie must not end before it.
    const lasting = (ms: number): string => spell({ maxAge: Math.ceil(ms / 1000) })
    const usual = maxAge === undefined ? spell() : lasting(maxAge)
    this.#attributes = (own) => (own === undefined ? usual : lasting(own))
    this.#removal = spell({ maxAge: 0, expires: new Date(0) })
  }

  /**
   * The credentials in a request, in the order in which they are tried: those of the cookies, of the query, of the header. What
   * cannot be one is left out, so that it hides none.
   */
  read({ headers, url }: Incoming): readonly string[] {
    const inUrl = this.#query === undefined ? undefined : this.inUrl({ url })
    const inHeader = this.#header === undefined ? undefined : headers[this.#header]
    const cookies = this.#cookies(headers.cookie)
    if (inUrl === undefined && inHeader === undefined) return cookies
    const all = [...cookies, inUrl, inHeader].filter((value) => typeof value === 'string' && value !== '')
    return this.carriesSession ? (all as string[]) : idsIn(all as string[]) // as just filtered
  }

  /** The ID in the query string, if the ID may travel there. The author of the link knows it, so it is never put into a cookie. */
  inUrl({ url }: Pick<Incoming, 'url'>): string | undefined {
    return this.#query === undefined ? undefined : queryValue(url, this.#query)
  }

  /** Whether the ID came in a cookie or header, which the response can replace; an ID in the query string stays in its links. */
  canReplace({ headers }: Incoming, id: string): boolean {
    if (this.cookieName !== undefined && cookieValues(headers.cookie, this.cookieName, Infinity).includes(id))
      return true
    return this.#header !== undefined && headers[this.#header] === id
  }

  /** The reason why this response cannot carry a cookie, if there is one. */
  obstacle(
    response: ServerResponse | undefined,
    secure: boolean,
  ): 'no-response' | 'headers-sent' | 'not-secure' | undefined {
    if (response === undefined) return 'no-response'
    if (response.headersSent) return 'headers-sent'
    if (this.cookieName !== undefined && this.#secure === true && !secure) return 'not-secure'
    return undefined
  }

  /**
   * The `Set-Cookie` lines that give the client a credential, or with `undefined` remove it. `maxAge` is the session's own, in ms.
   *
   * @throws SessionError `ERR_SESSION_LIMIT` if the credential is too long for its cookies
   */
  cookieLines(
    request: IncomingMessage,
    credential: string | undefined,
    secure: boolean,
    maxAge?: number,
  ): readonly string[] {
    const { cookieName } = this
    if (cookieName === undefined) return none
    const attributes = this.#attributes(maxAge)
    const upgrade = secure && this.#secure === 'auto' ? '; Secure' : ''
    return this.#values(request, cookieName, credential).map(
      ([name, value]) =>
        `${name}=${value ?? ''}${value === undefined ? this.#removal : attributes}${upgrade}`,
    )
  }

  /** Writes a credential and the lines of its cookies to a response whose headers are about to be sent. */
  write(response: ServerResponse, credential: string | undefined, lines: readonly string[]): void {
    if (this.#header !== undefined && credential !== undefined) response.setHeader(this.#header, credential)
    const { cookieName } = this
    if (cookieName === undefined) return
    const names = this.#chunks?.names ?? [cookieName]
    response.setHeader('set-cookie', [...otherCookies(response, names), ...lines])
  }

  /** Whether a cookie with a life of its own is sent again: at most once for each tenth of that life, and by each process. */
  mayRepeat(handle: string, maxAge: number | undefined = this.#maxAge): boolean {
    if (maxAge === undefined || this.cookieName === undefined) return false
    const before = this.#repeated.get(handle)
    return before?.maxAge !== maxAge || Math.abs(this.#now() - before.at) >= maxAge / REPEATS
  }

  /** The cookie of the session with this handle is sent. `maxAge` is the session's own, in ms. */
  repeated(handle: string, maxAge: number | undefined = this.#maxAge): void {
    if (this.cookieName === undefined) return
    this.#repeated.delete(handle)
    this.#repeated.set(handle, { at: this.#now(), maxAge })
    const [oldest] = this.#repeated.keys()
    if (this.#repeated.size > MOST_REPEATED && oldest !== undefined) this.#repeated.delete(oldest)
  }

  /** Warns once if a cookie with a credential was sent without `Secure` in production because HTTPS was not seen. */
  warnIfPlain(secure: boolean, env: string): void {
    if (secure || env !== 'production' || this.#hasWarned) return
    if (this.#secure !== 'auto' || this.cookieName === undefined) return
    this.#hasWarned = true
    process.emitWarning(
      'The session cookie was sent without Secure, because the request did not come over HTTPS as far as Koa can see. ' +
        'If a proxy ends HTTPS, set app.proxy = true and make it set X-Forwarded-Proto. With HTTPS everywhere set ' +
        'cookie.secure to true; set it to false to send the cookie over plain HTTP.',
      { type: 'SessionWarning', code: 'KTS_COOKIE_NOT_SECURE' },
    )
  }

  #cookies(header: string | undefined): readonly string[] {
    if (this.cookieName === undefined) return none
    return this.#chunks?.join(header) ?? idsIn(cookieValues(header, this.cookieName, Infinity))
  }

  /** The name and value of each cookie to set; the value is `undefined` for a cookie to remove. */
  #values(
    request: IncomingMessage,
    cookieName: string,
    credential: string | undefined,
  ): readonly (readonly [string, string | undefined])[] {
    const chunks = this.#chunks
    if (chunks === undefined) return [[cookieName, credential]]
    const values = credential === undefined ? none : chunks.cut(credential)
    const held = new Set(chunks.heldIn(request.headers.cookie))
    return chunks.names
      .map((name, at) => [name, values[at]] as const)
      .filter(([name, value], at) => at === 0 || value !== undefined || held.has(name))
  }
}

const none: readonly string[] = []

/** Each of these costs a read of the store. */
const MAX_IDS = 3
/** What may be an ID, with a prefix of its own: anything else costs no read. */
const ID_LIKE = /^[\w-]{43,107}$/

/** The first IDs of several cookies of one name, each once. What cannot be one does not count, as the cookie of another program. */
function idsIn(values: readonly string[]): readonly string[] {
  if (values.length < 2) return values
  return [...new Set(values)].filter((value) => ID_LIKE.test(value)).slice(0, MAX_IDS)
}

function queryValue(url: string | undefined, name: string): string | undefined {
  const at = url?.indexOf('?') ?? -1
  if (url === undefined || at === -1) return undefined
  return new URLSearchParams(url.slice(at + 1)).get(name) || undefined
}

/** The `Set-Cookie` lines of other cookies, so that each of ours is set once. */
function otherCookies(response: ServerResponse, names: readonly string[]): string[] {
  const present = response.getHeader('set-cookie')
  if (present === undefined) return []
  const lines = Array.isArray(present) ? present : [String(present)]
  return lines.filter((line) => !names.some((name) => line.startsWith(`${name}=`)))
}

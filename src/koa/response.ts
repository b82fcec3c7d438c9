import { types } from 'node:util'
import type { ParameterizedContext } from 'koa'
import { SessionError } from '../errors.ts'
import type { Events } from '../session/events.ts'
import { maxAgeOf } from '../session/expiry.ts'
import type { ClientResponse, SessionState } from '../session/state.ts'
import type { OldCookies } from './old-cookies.ts'
import type { Transport } from './transport.ts'

/** For responses to a URL with an ID: its page is not cached, and its links do not tell the URL to other sites. */
const forIdInUrl = { 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' } as const

/** Headers, by names in lower case. */
type Headers = Readonly<Record<string, unknown>>

/** Writes the session's headers to one response, and reports where that is not possible. */
export class SessionResponse implements ClientResponse {
  readonly #ctx: ParameterizedContext
  readonly #transport: Transport
  readonly #oldCookies: OldCookies
  readonly #events: Events
  /** The ID in the URL of the request. */
  readonly #idInUrl: string | undefined
  #state: SessionState | undefined
  /** The ID that the session was opened with. */
  #openedWith: string | undefined
  /** The credential that the client holds: what it sent, or what this response has set. */
  #credential: string | undefined
  /** The payload that belongs to {@link #credential}. */
  #payload: string | undefined
  /** The session's own `maxAge` that the client's cookie has. */
  #maxAge: number | undefined
  #isWritten = false
  #isUsed = false
  #isAttached = false
  #clearsSite = false
  #lines: readonly string[] = []
  /** The lines that remove the cookies of other libraries after a logout. */
  #removals: readonly string[] = []

  constructor(ctx: ParameterizedContext, transport: Transport, oldCookies: OldCookies, events: Events) {
    this.#ctx = ctx
    this.#transport = transport
    this.#oldCookies = oldCookies
    this.#events = events
    this.#idInUrl = transport.inUrl(ctx.req)
    if (this.#idInUrl !== undefined) ctx.set(forIdInUrl)
  }

  /** Makes each commit of this session write its headers. `id` is the credential it was opened with, if it was stored. */
  follow(state: SessionState, id?: string): void {
    this.#state = state
    this.#openedWith = id
    this.#credential = id
    this.#payload = state.entry?.payload
    if (id !== undefined) this.#maxAge = maxAgeOf(state.draft)
    state.respondBy(this)
  }

  update(): void {
    const state = this.#state
    if (state !== undefined) this.#clearSite(state.isDestroyed && state.status !== 'stored')
    if (state?.isDestroyed === true) this.#removeOld()
    // The ID was rotated by another request, whose response sets the new one: the client must not get the old one again.
    if (state === undefined || (state.isRedirected && state.status === 'stored')) return
    if (state.status === 'stored')
      this.#write(
        state.credential ?? state.id,
        state.entry?.payload,
        maxAgeOf(state.draft),
        state.openOptions.passive,
      )
    else if (state.status === 'new' && state.ended) this.#write(undefined)
  }

  isDisconnected(): boolean {
    const { res } = this.#ctx
    // An HTTP/2 response has no `destroyed` of its own.
    const isClosed =
      'stream' in res ? (res as { stream?: { destroyed?: boolean } }).stream?.destroyed : res.destroyed
    return isClosed === true && !res.writableFinished
  }

  canRotate(): boolean {
    const id = this.#openedWith
    const { req, res, secure, writable } = this.#ctx
    if (id === undefined || !writable) return false
    return this.#transport.canReplace(req, id) && this.#transport.obstacle(res, secure) === undefined
  }

  repeats(): boolean {
    const state = this.#state
    if (state === undefined || (state.id !== undefined && state.id === this.#idInUrl)) return false
    return this.#extendsCookie(maxAgeOf(state.draft), state.openOptions.passive)
  }

  /** The route uses the session, so no shared cache may store its response, unless the route sets `Cache-Control` itself. */
  use(): void {
    if (this.#isUsed) return
    this.#isUsed = true
    const { res } = this.#ctx
    if (res.headersSent) return
    const [first, ...others] = this.#transport.vary
    if (first !== undefined && others.length === 0 && !res.hasHeader('vary')) res.setHeader('Vary', first)
    else this.#ctx.vary(this.#transport.vary)
    if (!res.hasHeader('cache-control')) res.setHeader('cache-control', 'private')
  }

  /**
   * A response that carries a credential is never cached, whatever the route has set, and neither is one whose URL has an ID: nor
   * does the browser tell that URL to other sites.
   */
  finish(): void {
    const { res } = this.#ctx
    const isInUrl = this.#idInUrl !== undefined
    const hasCookies = this.#isWritten || this.#removals.length > 0
    if ((!hasCookies && !isInUrl) || res.headersSent) return
    if (!isNoStore(res.getHeader('cache-control'))) res.setHeader('cache-control', 'no-store')
    if (isInUrl) res.setHeader('referrer-policy', 'no-referrer')
  }

  /** Koa drops all headers from an error response except those of the error, so the session's are added to these. */
  attach(): void {
    const isNeeded = this.#isUsed || this.#setCookies.length > 0 || this.#idInUrl !== undefined
    if (this.#isAttached || !isNeeded) return
    this.#isAttached = true
    const ctx = this.#ctx
    const respond = ctx.onerror
    const onerror = (error: Error): void => {
      const isSent = respondWith(
        error,
        (own) => this.#withSession(own),
        () => respond.call(ctx, error),
      )
      const thrown: unknown = error // any value that was thrown, or `null` after the response was sent
      if (isSent || thrown === null || this.#setCookies.length === 0) return
      this.#events.emit({ type: 'cookie-not-sent', handle: this.#state?.handle, reason: 'not-an-error' })
    }
    Object.assign(ctx, { onerror })
  }

  #withSession(own: Headers): Headers {
    const lines = this.#setCookies
    const vary = [own['vary'] ?? [], this.#transport.vary].flat().map(String)
    const cookies = [own['set-cookie'] ?? [], lines].flat()
    return {
      'cache-control': 'private',
      ...(this.#clearsSite && { 'clear-site-data': this.#transport.clearSiteData }),
      ...own,
      ...(vary.length > 0 && { vary: vary.join(', ') }),
      ...(cookies.length > 0 && { 'set-cookie': cookies }),
      ...(lines.length > 0 && { 'cache-control': 'no-store' }),
      ...(this.#idInUrl !== undefined && forIdInUrl),
    }
  }

  get #setCookies(): readonly string[] {
    return this.#removals.length === 0 ? this.#lines : [...this.#removals, ...this.#lines]
  }

  /** Removes the cookies of other libraries that the request has. */
  #removeOld(): void {
    if (this.#removals.length > 0) return
    const { req, res, secure } = this.#ctx
    const lines = this.#oldCookies.removals(req.headers.cookie, secure)
    if (lines.length === 0) return
    if (res.headersSent) return this.#report('headers-sent')
    const present = res.getHeader('set-cookie') ?? []
    res.setHeader('set-cookie', [...[present].flat().map(String), ...lines])
    res.setHeader('cache-control', 'no-store')
    this.#removals = lines
  }

  /** Sends `Clear-Site-Data`, or no longer does: it could also remove the cookie of a new session. */
  #clearSite(clears: boolean): void {
    const { clearSiteData } = this.#transport
    const { res } = this.#ctx
    if (clears === this.#clearsSite || clearSiteData === undefined || res.headersSent) return
    this.#clearsSite = clears
    if (clears) res.setHeader('clear-site-data', clearSiteData)
    else res.removeHeader('clear-site-data')
  }

  #write(credential: string | undefined, payload?: string, maxAge?: number, passive = false): void {
    if (credential !== undefined && credential === this.#idInUrl) return
    const extendsCookie =
      credential !== undefined && (this.#extendsCookie(maxAge, passive) || maxAge !== this.#maxAge)
    if (credential === this.#credential && !extendsCookie) return
    const { res, secure } = this.#ctx
    const obstacle = this.#transport.obstacle(res, secure)
    if (obstacle !== undefined) {
      // A credential that was only sealed again, with the same payload, can wait for the next response.
      const isLost =
        credential !== this.#credential && (credential === undefined || payload !== this.#payload)
      if (isLost) this.#report(obstacle)
      return
    }
    this.#credential = credential
    this.#maxAge = maxAge
    this.#isWritten = true
    this.#payload = payload
    this.#lines = this.#transport.write(res, credential, secure, maxAge)
    if (credential !== undefined) this.#transport.warnIfPlain(secure, this.#ctx.app.env)
  }

  /** Whether the cookie is sent again with the same credential, so that its `Max-Age` starts again. */
  #extendsCookie(maxAge: number | undefined, passive = false): boolean {
    const { hasMaxAge, carriesSession } = this.#transport
    // The credential of a `'client'` store is not sent again: another response may have set a newer one meanwhile.
    return !carriesSession && (maxAge !== undefined || hasMaxAge) && !passive && !this.#isWritten
  }

  #report(reason: 'headers-sent' | 'not-secure'): void {
    this.#events.emit({ type: 'cookie-not-sent', handle: this.#state?.handle, reason })
    const text =
      reason === 'headers-sent'
        ? 'the session is saved, but the response headers were already sent, so the client does not get its ID; call commit() before writing the response'
        : 'the session is saved, but cookie.secure is true and this connection is not HTTPS, so its cookie was not sent; behind a proxy set app.proxy'
    this.#ctx.app.emit('error', new SessionError('ERR_SESSION_STATE', text), this.#ctx)
  }
}

function isNoStore(cacheControl: string | number | string[] | undefined): boolean {
  return [cacheControl].flat().some((each) => /(?:^|,)\s*no-store\s*(?:,|$)/i.test(String(each)))
}

/**
 * Adds headers to an error while Koa responds with it. `respond` must be synchronous: the same error object may be thrown to
 * another client, or be logged, and must not carry this client's cookie then.
 *
 * @returns whether the headers could be added
 */
function respondWith(error: unknown, add: (own: Headers) => Headers, respond: () => void): boolean {
  const isError = types.isNativeError(error) || error instanceof Error
  const before = isError ? Object.getOwnPropertyDescriptor(error, 'headers') : undefined
  let headers = isError ? add(headersOf(error)) : {}
  // Not enumerable, so that a logger which prints the error does not print the cookie.
  const during = { configurable: true, get: () => headers, set: (value: Headers) => (headers = value) }
  if (!isError || !Reflect.defineProperty(error, 'headers', during)) {
    respond()
    return false
  }
  try {
    respond()
  } finally {
    if (before === undefined) Reflect.deleteProperty(error, 'headers')
    else Reflect.defineProperty(error, 'headers', before)
  }
  return true
}

function headersOf(error: object): Headers {
  const headers: unknown = 'headers' in error ? error.headers : undefined
  if (typeof headers !== 'object' || headers === null) return {}
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

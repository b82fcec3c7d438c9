import type { ServerResponse } from 'node:http'
import type { ParameterizedContext } from 'koa'
import onHeaders from 'on-headers'
import { SessionError } from '../errors.ts'
import type { Events } from '../session/events.ts'
import { maxAgeOf } from '../session/expiry.ts'
import type { ClientResponse, SessionState } from '../session/state.ts'
import type { OldCookies } from './old-cookies.ts'
import type { Transport } from './transport.ts'

/** What a response tells its client: to hold a credential, or with `undefined` to forget the one it has. */
interface Message {
  readonly credential: string | undefined
  /** The lines of `Set-Cookie`. */
  readonly lines: readonly string[]
}

/**
 * The session's headers of one response, and reports where they cannot be sent. They are written when the headers are sent: so
 * they are there on every answer, errors and streams too, whatever the handlers have set or removed before.
 */
export class SessionResponse implements ClientResponse {
  readonly #ctx: ParameterizedContext
  readonly #transport: Transport
  readonly #oldCookies: OldCookies
  readonly #events: Events
  /** The ID in the URL of the request. */
  readonly #idInUrl: string | undefined
  /** Absent for a context that another program has made, such as that of a WebSocket. */
  readonly #res: ServerResponse | undefined
  /** Whether the request came over HTTPS. Known as long as its connection is open. */
  #isSecure: boolean | undefined
  #state: SessionState | undefined
  /** The ID that the session was opened with. */
  #openedWith: string | undefined
  /** The credential that the client holds: what it sent, or what this response tells it. */
  #credential: string | undefined
  /** The payload that belongs to {@link #credential}. */
  #payload: string | undefined
  /** The session's own `maxAge` that the client's cookie has. */
  #maxAge: number | undefined
  #message: Message | undefined
  /** The lines that remove the cookies of other libraries after a logout. */
  #removals: readonly string[] = []
  #isUsed = false
  #clearsSite = false
  #isHooked = false

  constructor(ctx: ParameterizedContext, transport: Transport, oldCookies: OldCookies, events: Events) {
    this.#ctx = ctx
    this.#transport = transport
    this.#oldCookies = oldCookies
    this.#events = events
    this.#idInUrl = transport.inUrl(ctx.req)
    const { res }: { readonly res: ServerResponse | undefined } = ctx
    this.#res = res
    if (this.#idInUrl !== undefined) this.#hook()
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
      this.#tell(
        state.credential ?? state.id,
        state.entry?.payload,
        maxAgeOf(state.draft),
        state.openOptions.passive,
      )
    else if (state.status === 'new' && state.ended) this.#tell(undefined)
  }

  isDisconnected(): boolean {
    const res = this.#res
    if (res === undefined) return false
    // An HTTP/2 response has no `destroyed` of its own.
    const isClosed =
      'stream' in res ? (res as { stream?: { destroyed?: boolean } }).stream?.destroyed : res.destroyed
    return isClosed === true && !res.writableFinished
  }

  canRotate(): boolean {
    const id = this.#openedWith
    const { req, writable } = this.#ctx
    if (id === undefined || this.#res === undefined || !writable) return false
    return this.#transport.canReplace(req, id) && this.#obstacle() === undefined
  }

  repeats(): boolean {
    const state = this.#state
    if (state === undefined || (state.id !== undefined && state.id === this.#idInUrl)) return false
    return this.#extendsCookie(state, maxAgeOf(state.draft), state.openOptions.passive)
  }

  /** The route uses the session, so no shared cache may store its response, unless the route sets `Cache-Control` itself. */
  use(): void {
    if (this.#isUsed) return
    this.#isUsed = true
    this.#secure()
    this.#hook()
  }

  /** Has the headers written just before they are sent. */
  #hook(): void {
    const res = this.#res
    if (this.#isHooked || res === undefined || res.headersSent) return
    this.#isHooked = true
    onHeaders(res, () => this.#write(res))
  }

  /** A response with a credential is never cached, and neither is one whose URL has an ID: nor is that URL told to other sites. */
  #write(res: ServerResponse): void {
    const isInUrl = this.#idInUrl !== undefined
    if (this.#isUsed) for (const name of this.#transport.vary) addVary(res, name)
    if (this.#message !== undefined) this.#transport.write(res, this.#message.credential, this.#message.lines)
    for (const line of this.#removals) res.appendHeader('set-cookie', line)
    const caching = res.getHeader('cache-control')
    if (this.#message !== undefined || this.#removals.length > 0 || isInUrl) {
      if (!isNoStore(caching)) res.setHeader('cache-control', 'no-store')
    } else if (caching === undefined) res.setHeader('cache-control', 'private')
    if (isInUrl) res.setHeader('referrer-policy', 'no-referrer')
    const { clearSiteData } = this.#transport
    if (this.#clearsSite && clearSiteData !== undefined && !res.hasHeader('clear-site-data'))
      res.setHeader('clear-site-data', clearSiteData)
  }

  /** Removes the cookies of other libraries that the request has. */
  #removeOld(): void {
    if (this.#removals.length > 0) return
    const lines = this.#oldCookies.removals(this.#ctx.req.headers.cookie, this.#secure())
    if (lines.length === 0) return
    const res = this.#res
    if (res === undefined || res.headersSent)
      return this.#report(res === undefined ? 'no-response' : 'headers-sent')
    this.#removals = lines
    this.#hook()
  }

  /** Sends `Clear-Site-Data`, or no longer does: it could also remove the cookie of a new session. */
  #clearSite(clears: boolean): void {
    this.#clearsSite = clears
    if (clears) this.#hook()
  }

  #tell(credential: string | undefined, payload?: string, maxAge?: number, passive = false): void {
    const state = this.#state
    if (state === undefined || (credential !== undefined && credential === this.#idInUrl)) return
    const extendsCookie =
      credential !== undefined && (this.#extendsCookie(state, maxAge, passive) || maxAge !== this.#maxAge)
    if (credential === this.#credential && !extendsCookie) return
    const obstacle = this.#obstacle()
    if (obstacle !== undefined) {
      // A credential that was only sealed again, with the same payload, can wait for the next response.
      const isLost =
        credential !== this.#credential && (credential === undefined || payload !== this.#payload)
      if (isLost) this.#report(obstacle)
      return
    }
    const isSecure = this.#secure()
    // Before anything else: it may be too long for its cookies.
    const lines = this.#transport.cookieLines(this.#ctx.req, credential, isSecure, maxAge)
    this.#message = { credential, lines }
    this.#credential = credential
    this.#maxAge = maxAge
    this.#payload = payload
    this.#hook()
    if (credential === undefined) return
    this.#transport.repeated(state.handle, maxAge)
    this.#transport.warnIfPlain(isSecure, this.#ctx.app.env)
  }

  /** Whether the cookie is sent again with the same credential, so that its `Max-Age` starts again. */
  #extendsCookie({ handle }: SessionState, maxAge: number | undefined, passive = false): boolean {
    const { carriesSession } = this.#transport
    // The credential of a `'client'` store is not sent again: another response may have set a newer one meanwhile.
    if (carriesSession || passive || this.#message !== undefined || !this.#isUsed) return false
    return this.#transport.mayRepeat(handle, maxAge)
  }

  #obstacle(): ReturnType<Transport['obstacle']> {
    return this.#transport.obstacle(this.#res, this.#secure())
  }

  #secure(): boolean {
    return (this.#isSecure ??= this.#ctx.secure)
  }

  #report(reason: 'no-response' | 'headers-sent' | 'not-secure'): void {
    this.#events.emit({ type: 'cookie-not-sent', handle: this.#state?.handle, reason })
    this.#ctx.app.emit('error', new SessionError('ERR_SESSION_STATE', untold[reason]), this.#ctx)
  }
}

/** Why a client was not told its ID, and what to do. */
const untold = {
  'no-response':
    'the session is saved, but this context has no response, so the client does not get its ID; begin the session in an ordinary request',
  'headers-sent':
    'the session is saved, but the response headers were already sent, so the client does not get its ID; call commit() before writing the response',
  'not-secure':
    'the session is saved, but cookie.secure is true and this connection is not HTTPS, so its cookie was not sent; behind a proxy set app.proxy',
} as const

function addVary(res: ServerResponse, name: string): void {
  const given = res.getHeader('vary')
  if (given === undefined) {
    res.setHeader('Vary', name)
    return
  }
  const present = [given].flat().map(String).join(', ')
  const has = present.split(',').some((each) => ['*', name.toLowerCase()].includes(each.trim().toLowerCase()))
  if (!has) res.setHeader('Vary', present === '' ? name : `${present}, ${name}`)
}

function isNoStore(cacheControl: string | number | string[] | undefined): boolean {
  return [cacheControl].flat().some((each) => /(?:^|,)\s*no-store\s*(?:,|$)/i.test(String(each)))
}

import type { ParameterizedContext } from 'koa'
import { answerWith } from './error-headers.ts'
import { SessionError } from '../errors.ts'
import type { Events } from '../session/events.ts'
import { maxAgeOf } from '../session/expiry.ts'
import type { ClientResponse, SessionState } from '../session/state.ts'
import type { Transport } from './transport.ts'

/** Tells the client, on one response, which ID it holds from now on; and the program, where that is not possible. */
export class SessionResponse implements ClientResponse {
  readonly #ctx: ParameterizedContext
  readonly #transport: Transport
  readonly #events: Events
  #state: SessionState | undefined
  /** The ID that the session was opened with. */
  #presented: string | undefined
  /** What the client holds as far as we know: what it sent, or what we have put on this response. */
  #held: string | undefined
  /** The payload that stands behind that. */
  #payload: string | undefined
  /** The session's own `maxAge` as the client's cookie has it. */
  #maxAge: number | undefined
  #renewed = false
  #used = false
  #attached = false
  #lines: readonly string[] = []

  constructor(ctx: ParameterizedContext, transport: Transport, events: Events) {
    this.#ctx = ctx
    this.#transport = transport
    this.#events = events
  }

  /** From now on the response says what the session's commits make of it. `held` is the ID it was opened with. */
  follow(state: SessionState, held?: string): void {
    this.#state = state
    this.#presented = held
    this.#held = held
    this.#payload = state.entry?.payload
    if (held !== undefined) this.#maxAge = maxAgeOf(state.draft)
    state.respondBy(this)
  }

  update(): void {
    const state = this.#state
    // The request that renewed the ID has told the client, who must not be told the old one again.
    if (state === undefined || (state.isRedirected && state.status === 'stored')) return
    if (state.status === 'stored')
      this.#deliver(
        state.credential ?? state.id,
        state.entry?.payload,
        maxAgeOf(state.draft),
        state.openOptions.passive,
      )
    else if (state.status === 'new' && state.ended) this.#deliver(undefined)
  }

  canRotate(): boolean {
    return this.#presented !== undefined && this.#canCarry(this.#presented)
  }

  repeats(): boolean {
    const state = this.#state
    return state !== undefined && this.#repeats(maxAgeOf(state.draft), state.openOptions.passive)
  }

  /**
   * The handler looks at the session, so what it answers is for this client: caches are told, as Django tells them. A
   * handler that says more of its own about caching is believed.
   */
  use(): void {
    if (this.#used) return
    this.#used = true
    const { res } = this.#ctx
    if (res.headersSent) return
    const [first, ...others] = this.#transport.vary
    if (first !== undefined && others.length === 0 && !res.hasHeader('vary')) res.setHeader('Vary', first)
    else this.#ctx.vary(this.#transport.vary)
    if (!res.hasHeader('cache-control')) res.setHeader('cache-control', 'private')
  }

  /** What carries an ID is kept by no cache, whatever the handler has said since an early commit put it there. */
  finish(): void {
    const { res } = this.#ctx
    if (this.#renewed && !res.headersSent) res.setHeader('cache-control', 'no-store')
  }

  /** Koa answers an error with no header but the error's own, so what this response says goes along with that. */
  attach(): void {
    if (this.#attached || (!this.#used && this.#lines.length === 0)) return
    this.#attached = true
    const ctx = this.#ctx
    const koas = ctx.onerror
    const onerror = (error: Error): void => {
      const isTold = answerWith(
        error,
        (own) => this.#besides(own),
        () => koas.call(ctx, error),
      )
      const thrown: unknown = error // whatever a handler throws, and `null` when a response has gone out
      if (isTold || thrown === null || this.#lines.length === 0) return
      this.#events.emit({ type: 'cookie-not-sent', reason: 'not-an-error' })
    }
    Object.assign(ctx, { onerror })
  }

  #besides(own: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    const lines = this.#lines
    const vary = [own['vary'] ?? [], this.#transport.vary].flat().map(String)
    const cookies = [own['set-cookie'] ?? [], lines].flat()
    return {
      'cache-control': 'private',
      ...own,
      ...(vary.length > 0 && { vary: vary.join(', ') }),
      ...(cookies.length > 0 && { 'set-cookie': cookies }),
      ...(lines.length > 0 && { 'cache-control': 'no-store' }),
    }
  }

  #deliver(credential: string | undefined, payload?: string, maxAge?: number, passive = false): void {
    const renewal = credential !== undefined && (this.#repeats(maxAge, passive) || maxAge !== this.#maxAge)
    if (credential === this.#held && !renewal) return
    const { res, secure } = this.#ctx
    const obstacle = this.#transport.obstacle(res, secure)
    if (obstacle !== undefined) {
      // A credential that was only written anew, with the same in it, can wait for the next response.
      const news = credential !== this.#held && (credential === undefined || payload !== this.#payload)
      if (news) this.#report(obstacle)
      return
    }
    this.#held = credential
    this.#maxAge = maxAge
    this.#renewed = true
    this.#payload = payload
    this.#lines = this.#transport.write(res, credential, secure, maxAge)
  }

  /** Whether a cookie that lasts is to be sent again though nothing in it is new. */
  #repeats(maxAge: number | undefined, passive = false): boolean {
    const { renewable, carriesSession } = this.#transport
    // A session that travels whole is renewed by sealing it anew alone: the one that came may be older than another answer's.
    return !carriesSession && (maxAge !== undefined || renewable) && !passive && !this.#renewed
  }

  /** Whether the response reaches who holds this ID, and takes a new one along. */
  #canCarry(id: string): boolean {
    const { req, res, secure, writable } = this.#ctx
    return writable && this.#transport.answers(req, id) && this.#transport.obstacle(res, secure) === undefined
  }

  #report(reason: 'headers-sent' | 'not-secure'): void {
    this.#events.emit({ type: 'cookie-not-sent', reason })
    const text =
      reason === 'headers-sent'
        ? 'the session is saved, but the response had begun, so the client cannot learn its ID; commit() before writing'
        : 'the session is saved, but cookie.secure is true and this connection is not HTTPS, so its cookie was not sent; behind a proxy set app.proxy'
    this.#ctx.app.emit('error', new SessionError('ERR_SESSION_STATE', text), this.#ctx)
  }
}

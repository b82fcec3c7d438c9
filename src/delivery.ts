import type { ParameterizedContext } from 'koa'
import { SessionError } from './errors.ts'
import type { Events } from './events.ts'
import type { SessionState } from './session.ts'
import type { Transport } from './transport.ts'

/** Tells the client, on one response, which ID it holds from now on; and the program, where that is not possible. */
export class Delivery {
  readonly #ctx: ParameterizedContext
  readonly #transport: Transport
  readonly #events: Events
  /** What the client holds as far as we know: what it sent, or what we have put on this response. */
  #held: string | undefined
  #renewed = false
  #line: string | undefined

  constructor(ctx: ParameterizedContext, transport: Transport, events: Events) {
    this.#ctx = ctx
    this.#transport = transport
    this.#events = events
  }

  /** From now on the response says what the session's commits make of it. `held` is the ID it was opened with. */
  follow(state: SessionState, held?: string): void {
    this.#held = held
    state.onCommit = () => {
      if (state.status === 'stored') this.#deliver(state.handle ?? state.id)
      else if (state.status === 'new' && state.ended) this.#deliver(undefined)
    }
  }

  /** Koa answers an error with no header but the error's own, so the cookie travels there too. */
  attach(error: unknown): void {
    if (this.#line === undefined) return
    if (typeof error !== 'object' || error === null || !Object.isExtensible(error)) {
      this.#events.emit({ type: 'cookie-not-sent', reason: 'not-an-error' })
      return
    }
    const headers: unknown = 'headers' in error ? error.headers : undefined
    const cookies = { 'set-cookie': [this.#line], 'cache-control': 'no-store' }
    Object.assign(error, { headers: { ...(typeof headers === 'object' ? headers : {}), ...cookies } })
  }

  #deliver(handle: string | undefined): void {
    const renewal = handle !== undefined && this.#transport.renewable && !this.#renewed
    if (handle === this.#held && !renewal) return
    const { res, secure } = this.#ctx
    const obstacle = this.#transport.obstacle(res, secure)
    if (obstacle !== undefined) {
      if (handle !== this.#held) this.#report(obstacle)
      return
    }
    this.#held = handle
    this.#renewed = true
    this.#line = this.#transport.write(res, handle, secure)
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

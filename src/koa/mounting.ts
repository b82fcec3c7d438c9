import { SessionError } from '../errors.ts'
import type { KoaContext } from './context-property.ts'

/** So many requests in a row, each with a middleware of its own, are no accident. */
const SUSPICIOUS = 5

/** For each `app.context` and place of a session: how many middlewares in a row were used for the first time. */
const firstUses = new WeakMap<object, Map<string, number>>()
let hasWarned = false

/** Looks at the first uses of one middleware: whether it is called by Koa, and whether it was made for one request only. */
export class Mounting {
  readonly #place: string
  #uses = 0

  /** @param place what two middlewares of one application that are to exist side by side do not share */
  constructor(place: string) {
    this.#place = place
  }

  /**
   * A middleware that is used again was not made for one request. So many that are new, without one that is used again in
   * between, were: an application that makes its middlewares for each tenant, once, uses some of them again.
   *
   * @throws SessionError `ERR_SESSION_STATE` if this is no context of Koa
   */
  use(ctx: unknown): void {
    if (this.#uses > 1) return
    if (!isKoaContext(ctx)) throw notKoa()
    this.#uses += 1
    const { context } = ctx.app
    let places = firstUses.get(context)
    if (places === undefined) firstUses.set(context, (places = new Map()))
    const inARow = this.#uses > 1 ? 0 : (places.get(this.#place) ?? 0) + 1
    places.set(this.#place, inARow)
    if (inARow === SUSPICIOUS) warnOfEachRequest()
  }
}

function isKoaContext(ctx: unknown): ctx is KoaContext {
  const { app }: { readonly app?: unknown } = Object(ctx)
  const { context }: { readonly context?: unknown } = Object(app)
  return typeof context === 'object' && context !== null
}

function notKoa(): SessionError {
  return new SessionError(
    'ERR_SESSION_STATE',
    'the middleware of session() was called without a context of Koa: mount it in a Koa application, app.use(session({ … })), and not in one of Express or another framework',
  )
}

function warnOfEachRequest(): void {
  if (hasWarned) return
  hasWarned = true
  process.emitWarning(
    `session() was called anew for each of the last ${SUSPICIOUS} requests, and each call opens a store of its own: call it once, when the application starts, and mount what it returns: app.use(session({ … })).`,
    { type: 'SessionWarning', code: 'KTS_SESSION_PER_REQUEST' },
  )
}

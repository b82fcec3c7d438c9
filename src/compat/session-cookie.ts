import type { CookieOptions } from '../koa/options.ts'

/** What the cookie of a session object asks of its session. */
interface CookieSession {
  maxAge: number | 'session' | undefined
}

/**
 * `session.cookie` of express-session and koa-generic-session. Its life can be changed, its attributes are those of the options.
 */
export class SessionCookie {
  readonly #session: CookieSession
  readonly #now: () => number
  /** What the life was when the cookie was first asked for. */
  readonly originalMaxAge: number | null
  readonly path: string
  readonly httpOnly: boolean
  readonly secure: boolean | 'auto'
  readonly sameSite: 'lax' | 'strict' | 'none'
  readonly domain: string | undefined

  constructor(
    session: CookieSession,
    settings: { readonly cookie: CookieOptions; readonly now: () => number },
  ) {
    const { path = '/', httpOnly = true, secure = 'auto', sameSite = 'lax', domain } = settings.cookie
    this.#session = session
    this.#now = settings.now
    this.originalMaxAge = this.maxAge
    this.path = path
    this.httpOnly = httpOnly
    this.secure = secure
    this.sameSite = sameSite
    this.domain = domain
  }

  /** In ms; `null`: until the browser is closed. */
  get maxAge(): number | null {
    const { maxAge } = this.#session
    return typeof maxAge === 'number' ? maxAge : null
  }

  set maxAge(ms: number | null | false | undefined) {
    this.#session.maxAge = typeof ms === 'number' ? ms : 'session'
  }

  get expires(): Date | null {
    const { maxAge } = this
    return maxAge === null ? null : new Date(this.#now() + maxAge)
  }

  set expires(date: Date | null | false | undefined) {
    this.maxAge = date instanceof Date ? date.getTime() - this.#now() : null
  }
}

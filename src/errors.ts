/**
 * The codes of all errors that this library throws. The set is closed, so a `switch` over it can be exhaustive.
 *
 * - `ERR_SESSION_OPTIONS` – an option is not allowed. Correct the one that the message names.
 * - `ERR_SESSION_TYPE` – `registerType` was called with a class or name that is taken, minified or not supported. Correct the
 *   call as the message says.
 * - `ERR_SESSION_VALUE` – a value cannot be stored and read back unchanged, or does not fit the schema. The message contains its
 *   path; store another value, or register its class.
 * - `ERR_SESSION_DECODE` – this program cannot decode one key of a stored session, whose text stays as it is. Register the
 *   missing class, or delete the key.
 * - `ERR_SESSION_PAYLOAD` – a whole stored session is damaged, sealed with an unknown key, or of a newer format. A client that
 *   presents its ID gets a new session; the stored one stays as it is.
 * - `ERR_SESSION_LIMIT` – a limit was exceeded: one of `limits`, the size that the store allows, or `mayCreate` (429). Store
 *   less, or raise the limit.
 * - `ERR_SESSION_STORE` – the store refused, failed or did not respond in time; `answered` says which. The driver's error is the
 *   `cause`; try again later. If the cause is a `TypeError` or another mistake in a program, correct that.
 * - `ERR_SESSION_CONFLICT` – another request changed the session, so that this one's changes cannot be stored beside it; or it
 *   got a new ID or expired. Nothing was stored. Status 409. Repeat the request, or change the value by `update`.
 * - `ERR_SESSION_STATE` – the session or the manager cannot do this, or not now: sessions have no such property, an `await` is
 *   missing, sessions are off, the request is over, the page that sent it is of another origin (status 403), the session belongs
 *   to another owner, the manager is closed, or the response headers were already sent. Correct the call, or the order of the
 *   calls.
 */
export type SessionErrorCode =
  | 'ERR_SESSION_OPTIONS'
  | 'ERR_SESSION_TYPE'
  | 'ERR_SESSION_VALUE'
  | 'ERR_SESSION_DECODE'
  | 'ERR_SESSION_PAYLOAD'
  | 'ERR_SESSION_LIMIT'
  | 'ERR_SESSION_STORE'
  | 'ERR_SESSION_CONFLICT'
  | 'ERR_SESSION_STATE'

/** Optional properties of a {@link SessionError}. */
export interface SessionErrorDetails {
  /** The original error, such as a driver's. For logs only: it may contain addresses or other details of the server. */
  readonly cause?: unknown
  /**
   * The HTTP status of Koa's response if the error is not caught. Default: 503 for `ERR_SESSION_STORE`, 409 for
   * `ERR_SESSION_CONFLICT`, otherwise 500.
   */
  readonly status?: number
  /** For `ERR_SESSION_STORE`: see {@link SessionError.answered}. Default: `false`. */
  readonly answered?: boolean
}

/** The mark of all errors of this library, whichever copy of the package has made them. */
const MARK = Symbol.for('koa-typed-session.SessionError')

/**
 * The only error class of this library; `code` says which kind of error it is.
 *
 * The message is one sentence for developers. It contains no session ID, value, payload or password. `expose` is `false`, so
 * Koa does not send it to the client.
 *
 * ```ts
 * try {
 *   await ctx.session.commit()
 * } catch (error) {
 *   if (error instanceof SessionError && error.code === 'ERR_SESSION_CONFLICT') return retryLater(ctx)
 *   throw error
 * }
 * ```
 */
export class SessionError extends Error {
  override readonly name = 'SessionError'
  readonly code: SessionErrorCode
  readonly status: number
  readonly expose = false
  /**
   * Whether the store has answered, and refused: it is full or read-only, or does not allow this. Nothing of the call is applied
   * afterwards, and the store does not count as down. `false` means silence, such as a refused connection or a timeout, and is
   * the value of all other codes.
   */
  readonly answered: boolean

  static {
    Object.defineProperty(this.prototype, MARK, { value: true })
  }

  /** @internal A store may come from another copy of the package than the manager, as beside a bundle or a transpiler. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // A subclass of a program has instances of its own.
    if (this !== SessionError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return typeof value === 'object' && value !== null && MARK in value
  }

  constructor(code: SessionErrorCode, message: string, details: SessionErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.code = code
    this.answered = details.answered ?? false
    this.status =
      details.status ?? (code === 'ERR_SESSION_STORE' ? 503 : code === 'ERR_SESSION_CONFLICT' ? 409 : 500)
  }
}

/**
 * The error `failure` with what had failed before it, `earlier`, as its cause; the cause that it has already is kept beside, in an
 * `AggregateError`. A copy: a store may reject several calls with the same error.
 */
export function withCause(failure: unknown, earlier: unknown): unknown {
  if (!(failure instanceof SessionError)) return failure
  const { code, message, status, answered, stack } = failure
  const cause =
    failure.cause === undefined
      ? earlier
      : new AggregateError([failure.cause, earlier], 'the commit failed, after the handler had failed')
  const copy = new SessionError(code, message, { cause, status, answered })
  if (stack !== undefined) copy.stack = stack
  return copy
}

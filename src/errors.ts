/**
 * Every way this library says no. A closed set: a `switch` over it can be exhaustive.
 *
 * - `ERR_SESSION_OPTIONS` – a setting is wrong; the text names the field.
 * - `ERR_SESSION_TYPE` – `registerType` was used wrongly: a clash of names, a minified name, a class that needs `encode`.
 * - `ERR_SESSION_VALUE` – a value cannot be kept exactly; the text holds its path.
 * - `ERR_SESSION_DECODE` – one key of a stored session cannot be decoded here; its text stays as it is.
 * - `ERR_SESSION_PAYLOAD` – a whole stored payload is not ours, damaged, or of a newer format.
 * - `ERR_SESSION_LIMIT` – a budget was exceeded: bytes, depth, keys, the store's own limit, new sessions (`mayCreate`, 429).
 * - `ERR_SESSION_STORE` – the backend failed; the driver's error is the `cause`.
 * - `ERR_SESSION_CONFLICT` – other requests kept changing this session; the bounded number of tries is used up.
 * - `ERR_SESSION_STATE` – the session cannot do that now: off, not mounted, ended, or the response has gone out.
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

/** What else a {@link SessionError} can carry. */
export interface SessionErrorDetails {
  /** The error underneath, a driver's for example. It is for logs, never for a client. */
  readonly cause?: unknown
  /** The HTTP status Koa answers with when nobody catches the error: 500, 503 when the store is in trouble, 429 by `mayCreate`. */
  readonly status?: number
}

/**
 * The one error class of this library. Its text is written for the developer and never holds a session ID, a value,
 * a payload or a password; `expose` is false, so Koa never sends it to a client.
 */
export class SessionError extends Error {
  override readonly name = 'SessionError'
  readonly code: SessionErrorCode
  readonly status: number
  readonly expose = false

  constructor(code: SessionErrorCode, message: string, details: SessionErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.code = code
    this.status =
      details.status ?? (code === 'ERR_SESSION_STORE' || code === 'ERR_SESSION_CONFLICT' ? 503 : 500)
  }
}

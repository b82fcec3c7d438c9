import { SessionError } from '../../errors.ts'
import type { Deadline } from './deadlines.ts'

/** An `ERR_SESSION_STORE` of the store with this name. */
export function storeError(store: string, problem: string, cause?: unknown): SessionError {
  return new SessionError('ERR_SESSION_STORE', `${store}: ${problem}`, cause === undefined ? {} : { cause })
}

/** An `ERR_SESSION_STORE` for an answer of the backend, which refuses. See `answered` in {@link SessionError}. */
export function refusedError(store: string, problem: string, cause?: unknown): SessionError {
  const details = { answered: true, ...(cause !== undefined && { cause }) }
  return new SessionError('ERR_SESSION_STORE', `${store}: ${problem}`, details)
}

/** An answer of the backend that refuses, inside of a store; a `SessionError` is made of it. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly answered = true
}

/** The error of a verb that was called after `close`. */
export function closedError(store: string, verb: string): SessionError {
  return storeError(store, `${verb} after close`)
}

/** The error of a verb that the backend did not answer before the deadline. */
export function lateError(store: string, verb: string, deadline: Deadline): SessionError {
  return storeError(store, `${verb} failed: ${noAnswer(deadline)}`)
}

/** What error messages say when a deadline has passed. */
export function noAnswer({ ms }: Deadline): string {
  return `no answer within ${ms} ms`
}

/** The text in an error's `code`, such as `ECONNREFUSED`; `''` if it has none. */
export function errnoOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

/** The errors of a mistake in a program. `SyntaxError` is none of them: JSON that a server has sent throws it too. */
const MISTAKES: ReadonlySet<string> = new Set(['TypeError', 'RangeError', 'ReferenceError', 'AssertionError'])

/** Codes of the network, of TLS and of undici, the library behind `fetch`. */
const TROUBLE =
  /^(?:E(?!RR_)[A-Z]|UND_ERR_|ERR_(?:TLS|SSL|SOCKET_CONNECTION|HTTP2)_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/

/**
 * Whether an error is a mistake in a program, such as a `TypeError` in a client that was handed over, instead of trouble of the
 * backend or the network. Such an error is not tried again, and does not count as silence. A `TypeError` that carries trouble as its
 * cause, as those of `fetch` do, is none; an error of a store is one if its cause is.
 */
export function isMistake(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof SessionError) return error.code === 'ERR_SESSION_STORE' && isMistake(error.cause)
  const isOne =
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    MISTAKES.has(error.name)
  return isOne && !isTrouble(error)
}

function isTrouble(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 4) return false
  if (TROUBLE.test(errnoOf(error))) return true
  const within: readonly unknown[] = error instanceof AggregateError ? error.errors : []
  return [error.cause, ...within].some((each) => isTrouble(each, depth + 1))
}

/** An `ERR_SESSION_STORE` for a mistake in a program, see {@link isMistake}. Its text says only what kind it is. */
export function mistakeError(store: string, what: string, cause: unknown): SessionError {
  const name = cause instanceof Error && /^\w{2,40}$/.test(cause.name) ? cause.name : 'error'
  const text = `${what}: a ${name} in the store, its client or driver, which is a mistake in a program and not trouble of the network: see its cause`
  return storeError(store, text, cause)
}

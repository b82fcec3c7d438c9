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

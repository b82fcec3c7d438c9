import { SessionError } from '../../errors.ts'

/**
 * How often a request tries to write. While eight processes do nothing but write to one session, one in eight attempts
 * succeeds; a hundred failures in a row are then less likely than one in a hundred thousand.
 */
export const MAX_TRIES = 100
const MAX_BACKOFF_MS = 50

/** How long to wait after so many tries, in ms. Random, so that requests which met once do not meet again. */
export function backoff(tries: number): number {
  return Math.random() * Math.min(2 ** tries, MAX_BACKOFF_MS)
}

/** What another request does at the same time does not allow this one's change, and nothing was stored. */
export function conflict(text: string): SessionError {
  return new SessionError('ERR_SESSION_CONFLICT', text)
}

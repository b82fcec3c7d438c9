import type { Draft } from './draft.ts'
import { SessionError } from '../errors.ts'
import type { ManagerSettings } from './resolve-options.ts'
import type { SessionState } from './state.ts'

/** Longer than that no browser keeps a cookie (RFC 6265bis). */
export const DAYS_400: number = 400 * 24 * 60 * 60 * 1000

/** The header attribute that holds a session's own `maxAge`, in ms. */
const MAX_AGE = 'age'
/** The one that tells when the session got its ID, in ms since the epoch, if that was not when it began. */
const ISSUED_AT = 'issued'
const MS = /^[1-9]\d{0,15}$/

/** A session's own `maxAge` in ms, if it has one; it stands in the header of the payload. */
export function maxAgeOf(draft: Draft): number | undefined {
  const text = draft.attributes.get(MAX_AGE)
  return text !== undefined && MS.test(text) ? Math.min(Number(text), DAYS_400) : undefined
}

/** When the session got the ID that it has, in ms since the epoch. */
export function issuedAtOf({ draft, createdAt }: SessionState): number {
  const text = draft.attributes.get(ISSUED_AT)
  return text !== undefined && MS.test(text) ? Number(text) : createdAt
}

/** What the header of a session says that gets its ID now. */
export function issuedAt(now: number): readonly [name: string, value: string] {
  return [ISSUED_AT, String(now)]
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if no session can live that long, or no cookie */
export function setMaxAge(
  { draft }: SessionState,
  maxAge: number | undefined,
  { absoluteTimeout }: ManagerSettings,
): void {
  if (maxAge !== undefined) {
    const why = refusal(maxAge, absoluteTimeout)
    if (why !== undefined) throw new SessionError('ERR_SESSION_OPTIONS', `session.maxAge: ${why}`)
  }
  draft.attributes.set(MAX_AGE, maxAge === undefined ? undefined : String(maxAge))
}

function refusal(maxAge: number, absoluteTimeout: number): string | undefined {
  if (!Number.isSafeInteger(maxAge) || maxAge <= 0) {
    return 'must be a whole number of ms above 0, or undefined for what the settings say'
  }
  if (maxAge > DAYS_400) return 'must be at most 400 days: browsers keep no cookie longer'
  if (maxAge > absoluteTimeout)
    return 'is longer than absoluteTimeout, which no session outlives; raise that one too'
  return undefined
}

/** How long a session lives after it was last used. */
export function idleTimeoutOf(draft: Draft, { idleTimeout }: ManagerSettings): number {
  return Math.max(idleTimeout, maxAgeOf(draft) ?? 0)
}

import { SessionError } from '../errors.ts'
import type { Entry } from '../store.ts'
import type { Draft } from './draft.ts'
import type { ManagerSettings } from './options.ts'
import type { SessionState } from './state.ts'

/** No browser keeps a cookie longer (RFC 6265bis). In ms. */
export const DAYS_400: number = 400 * 24 * 60 * 60 * 1000

/** The header attribute that holds a session's own `maxAge`, in ms. */
const MAX_AGE = 'age'
/** The header attribute that holds when the session got its ID, in ms since the epoch, if that was after it began. */
const ISSUED_AT = 'issued'
const MS = /^[1-9]\d{0,15}$/

type Timeouts = Pick<ManagerSettings, 'now' | 'idleTimeout' | 'absoluteTimeout'>

/** When the session expires if it is committed or touched now, in ms since the epoch. */
export function expiresAt(state: SessionState, timeouts: Timeouts): number {
  const { entry, openOptions, draft } = state
  const isPassive = entry !== undefined && openOptions.passive === true
  const idleEnd = isPassive
    ? entry.expiresAt
    : timeouts.now() + Math.max(timeouts.idleTimeout, maxAgeOf(draft) ?? 0)
  return Math.min(idleEnd, state.createdAt + timeouts.absoluteTimeout)
}

/** When the session expires whatever is done with it, in ms since the epoch. */
export function absoluteEnd(
  { createdAt }: SessionState,
  { absoluteTimeout }: Pick<ManagerSettings, 'absoluteTimeout'>,
): number {
  return createdAt + absoluteTimeout
}

/**
 * Whether the stored expiry should be moved: it would gain more than a tenth of the idle timeout, or of `lifetime` where
 * that is shorter.
 */
export function isTouchDue(
  state: SessionState,
  base: Entry,
  timeouts: Timeouts,
  lifetime: number = Infinity,
): boolean {
  return expiresAt(state, timeouts) - base.expiresAt > Math.min(timeouts.idleTimeout, lifetime) / 10
}

/** The session's own `maxAge` in ms, if it has one. It is kept in the header of the payload. */
export function maxAgeOf({ attributes }: Draft): number | undefined {
  const text = attributes.get(MAX_AGE)
  return text !== undefined && MS.test(text) ? Math.min(Number(text), DAYS_400) : undefined
}

/** When the session got its present ID, in ms since the epoch. */
export function issuedAtOf({ draft, createdAt }: SessionState): number {
  const text = draft.attributes.get(ISSUED_AT)
  return text !== undefined && MS.test(text) ? Number(text) : createdAt
}

/** The header attribute of a session that gets its ID at `now`. */
export function issuedAt(now: number): readonly [name: string, value: string] {
  return [ISSUED_AT, String(now)]
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if it is longer than a session or a cookie can live */
export function setMaxAge(
  { draft }: SessionState,
  maxAge: number | undefined,
  { absoluteTimeout }: Pick<ManagerSettings, 'absoluteTimeout'>,
): void {
  const reason = maxAge === undefined ? undefined : refusal(maxAge, absoluteTimeout)
  if (reason !== undefined) throw new SessionError('ERR_SESSION_OPTIONS', `session.maxAge: ${reason}`)
  draft.attributes.set(MAX_AGE, maxAge === undefined ? undefined : String(maxAge))
}

function refusal(maxAge: number, absoluteTimeout: number): string | undefined {
  if (!Number.isSafeInteger(maxAge) || maxAge <= 0)
    return 'must be a whole number of ms above 0, or undefined for what the settings say'
  if (maxAge > DAYS_400) return 'must be at most 400 days: browsers keep no cookie longer'
  if (maxAge > absoluteTimeout)
    return 'is longer than absoluteTimeout, which no session outlives; raise that one too'
  return undefined
}

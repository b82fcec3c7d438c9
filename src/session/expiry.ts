import { SessionError } from '../errors.ts'
import type { Entry } from '../store.ts'
import type { Draft } from './draft.ts'
import type { ManagerSettings } from './options.ts'
import type { SessionState } from './state.ts'
import { warnOfSeconds } from './suspicious-times.ts'

/** No browser keeps a cookie longer (RFC 6265bis). In ms. */
export const DAYS_400: number = 400 * 24 * 60 * 60 * 1000

/** The header attribute that holds a session's own `maxAge`, in ms. */
const MAX_AGE = 'age'
/** The header attribute that holds when the session got its ID, in ms since the epoch, if that was after it began. */
const ISSUED_AT = 'issued'
/**
 * The header attribute that holds when the session ends unless it is used again, in ms since the epoch, if its own `maxAge` is
 * shorter than the idle timeout. Stores extend a session's life by the idle timeout while they read it, before its `maxAge` is known.
 */
const ENDS_AT = 'ends'
const MS = /^[1-9]\d{0,15}$/

type Timeouts = Pick<ManagerSettings, 'now' | 'idleTimeout' | 'absoluteTimeout'>
type EndTimeouts = Timeouts & Pick<ManagerSettings, 'store'>

/** When the session expires if it is committed or touched now, in ms since the epoch. */
export function expiresAt(state: SessionState, timeouts: Timeouts): number {
  const { entry, openOptions, draft } = state
  const isPassive = entry !== undefined && openOptions.passive === true
  const idleEnd = isPassive ? storedEnd(state) : timeouts.now() + (maxAgeOf(draft) ?? timeouts.idleTimeout)
  return Math.min(idleEnd, state.createdAt + timeouts.absoluteTimeout)
}

/** When the stored session expires unless it is used again, in ms since the epoch; `Infinity` if none is stored. */
export function storedEnd({ entry, draft }: SessionState): number {
  return Math.min(entry?.expiresAt ?? Infinity, endIn(draft.attributes) ?? Infinity)
}

/** When a session whose own `maxAge` is shorter than the idle timeout ends, by the header of its payload. */
export function endIn(attributes: { get(name: string): string | undefined }): number | undefined {
  const text = attributes.get(ENDS_AT)
  return text !== undefined && MS.test(text) ? Number(text) : undefined
}

/** The header attribute that says when the session ends, for the next payload; `undefined` if there is nothing to say. */
export function endInHeader(
  state: SessionState,
  timeouts: EndTimeouts,
): ReadonlyMap<string, string | undefined> | undefined {
  if (isShort(state, timeouts)) return new Map([[ENDS_AT, String(expiresAt(state, timeouts))]])
  return endIn(state.draft.attributes) === undefined ? undefined : new Map([[ENDS_AT, undefined]])
}

/**
 * Whether the payload must be written to move the end that stands in its header: it would gain more than a tenth of the session's own
 * `maxAge`, or the header is to have none any more.
 */
export function isEndDue(state: SessionState, timeouts: EndTimeouts): boolean {
  const { draft, openOptions } = state
  if (openOptions.passive === true) return false
  const end = endIn(draft.attributes)
  if (!isShort(state, timeouts)) return end !== undefined
  const maxAge = maxAgeOf(draft) ?? timeouts.idleTimeout
  return expiresAt(state, timeouts) - (end ?? -Infinity) > maxAge / 10
}

/** A store on the client does not extend a life, so its own expiry is exact. */
function isShort({ draft }: SessionState, { idleTimeout, store }: EndTimeouts): boolean {
  return (maxAgeOf(draft) ?? idleTimeout) < idleTimeout && store.traits.location === 'server'
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
  { absoluteTimeout, now }: Pick<ManagerSettings, 'absoluteTimeout' | 'now'>,
): void {
  const reason = maxAge === undefined ? undefined : refusal(maxAge, absoluteTimeout)
  if (reason !== undefined) throw new SessionError('ERR_SESSION_OPTIONS', `session.maxAge: ${reason}`)
  if (now === Date.now) warnOfSeconds({ 'session.maxAge': maxAge })
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

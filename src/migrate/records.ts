import { SessionError } from '../errors.ts'

/** An old session as it was stored. */
export type OldRecord = Readonly<Record<string, unknown>>

/** What the new session holds of an old one: a value for each key. */
export type ValuesOption<T = OldRecord> = (old: T) => Readonly<Record<string, unknown>>

/** The longest record that is read, in UTF-16 units. */
const MAX_LENGTH = 1_048_576

/**
 * An old session that was stored as JSON.
 *
 * @param importer the name of the importer, for errors
 * @throws SessionError `ERR_SESSION_DECODE` if it is none
 */
export function parseRecord(importer: string, text: string): OldRecord {
  if (text.length > MAX_LENGTH) throw unreadable(importer, 'is longer than 1 MiB')
  let record: unknown
  try {
    record = JSON.parse(text)
  } catch {
    throw unreadable(importer, 'is not JSON') // the reason would quote it
  }
  return checkRecord(importer, record)
}

/** @throws SessionError `ERR_SESSION_DECODE` if the old session is no object */
export function checkRecord(importer: string, record: unknown): OldRecord {
  if (typeof record !== 'object' || record === null || Array.isArray(record))
    throw unreadable(importer, 'is no object')
  return record as OldRecord // as just checked
}

/** All of a record but the library's own keys. */
export function without(record: OldRecord, own: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !own.includes(key)))
}

/**
 * Calls the program's function that maps values.
 *
 * @throws SessionError `ERR_SESSION_DECODE` if it throws: that says nothing about the old store
 */
export function mapValues<T>(
  importer: string,
  values: ValuesOption<T>,
  old: T,
): Readonly<Record<string, unknown>> {
  try {
    return values(old)
  } catch (cause) {
    if (cause instanceof SessionError) throw cause
    throw unreadable(importer, 'could not be mapped by the option values', cause)
  }
}

/** A time in ms since the epoch, if it is one. */
export function timeIn(value: unknown): number | undefined {
  const time = typeof value === 'string' ? Date.parse(value) : value instanceof Date ? value.getTime() : value
  return typeof time === 'number' && Number.isFinite(time) ? time : undefined
}

/** The earlier of two times, of which each may be missing. */
export function earlier(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)
}

/** The error for a session that is there, and cannot be taken over. */
export function unreadable(importer: string, why: string, cause?: unknown): SessionError {
  const text = `${importer}: a session ${why}, so it is not taken over`
  return new SessionError('ERR_SESSION_DECODE', text, cause === undefined ? {} : { cause })
}

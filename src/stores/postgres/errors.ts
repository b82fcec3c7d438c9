import { SessionError } from '../../errors.ts'
import { errnoOf } from '../shared/errno.ts'

/**
 * The classes of SQLSTATE whose messages speak of connections, rights, names and resources. Messages of the others, and the
 * details of all of them, may quote what was to be stored.
 */
const TELLING = /^(?:08|25|28|3D|3F|40|42|53|54|55|57|58|XX)/

/** What to do about it, where the server's own words do not say. */
const ADVICE: Readonly<Record<string, string>> = {
  '25006': 'this server takes no writes',
  '26000': 'behind a transaction pooler prepare must be false',
  '42P05': 'behind a transaction pooler prepare must be false',
  '42501': 'create the table as docs/stores.md shows, and grant SELECT, INSERT, UPDATE and DELETE on it',
}

/** The SQLSTATE that a server has answered with; `''` for everything that happened on this side of the wire. */
export function sqlStateOf(error: unknown): string {
  return error instanceof Error && 'severity' in error ? errnoOf(error) : ''
}

/** The statement was rolled back to make way for another one; to try again is safe, whatever it was. */
export function isRolledBack(error: unknown): boolean {
  return ['40001', '40P01'].includes(sqlStateOf(error))
}

/** The connection ended before the answer came. Whether the statement was carried out is unknown. */
export function isLost(error: unknown): boolean {
  return !(error instanceof SessionError) && /^(?:$|08|57P0)/.test(sqlStateOf(error))
}

/** The server refused the statement and waits for the next one. Where it takes no writes, a new connection may find one that does. */
export function leavesConnectionUsable(error: unknown): boolean {
  return /^(?:22|23|40|42|53[12]|54|55|57014)/.test(sqlStateOf(error))
}

/** The table is not there any more, or not as it was: what a {@link postgresError} tells by its cause. */
export function isOfTable(trouble: unknown): boolean {
  const code = trouble instanceof SessionError ? errnoOf(trouble.cause) : ''
  return ['42P01', '42703', '42804', '42883', '42P10'].includes(code)
}

/** The server, or a pooler before it, knows no such parameter in the packet that opens a connection. */
export function isRefusedParameter(error: unknown): boolean {
  return ['08P01', '42704'].includes(sqlStateOf(error))
}

/** The server does not speak TLS, or insists on it: another way to encrypt may do. */
export function isRefusedEncryption(error: unknown): boolean {
  if (sqlStateOf(error) === '28000') return true
  return (
    error instanceof Error &&
    /does not support SSL|establishing an SSL|secure TLS connection/.test(error.message)
  )
}

/** The failure of a verb. Of the driver's error only code and words without content are kept, in the cause too. */
export function postgresError(verb: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error
  const code = sqlStateOf(error) || errnoOf(error)
  const reason = reasonOf(error, code)
  const advice = ADVICE[code]
  const text = `postgres: ${verb} failed: ${reason}${advice === undefined ? '' : `; ${advice}`}`
  return new SessionError('ERR_SESSION_STORE', text, { cause: Object.assign(new Error(reason), { code }) })
}

function reasonOf(error: unknown, code: string): string {
  const said = error instanceof Error ? error.message : ''
  if (sqlStateOf(error) === '') return said || code || 'unknown error'
  return TELLING.test(code) ? `${said} (${code})` : `the server refused the statement (${code})`
}

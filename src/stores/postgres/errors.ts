import { SessionError } from '../../errors.ts'
import { errnoOf, storeError } from '../shared/errors.ts'

/**
 * The classes of SQLSTATE whose messages are about connections, rights, names and resources. Messages of other classes, and
 * the details of all messages, may quote stored values.
 */
const TELLING = /^(?:08|25|28|3D|3F|40|42|53|54|55|57|58|XX)/

/** What to do about an error, if the message of the server does not say it. */
const ADVICE: Readonly<Record<string, string>> = {
  '25006': 'this server accepts no writes',
  '26000': 'behind a transaction pooler prepare must be false',
  '42P05': 'behind a transaction pooler prepare must be false',
  '42501': 'create the table as docs/stores.md shows, and grant SELECT, INSERT, UPDATE and DELETE on it',
}

/** The SQLSTATE in an error of the server; `''` for other errors. */
export function sqlStateOf(error: unknown): string {
  return error instanceof Error && 'severity' in error ? errnoOf(error) : ''
}

/** Whether the statement was rolled back because of another one, so that any verb may be repeated. */
export function wasNotApplied(error: unknown): boolean {
  return ['40001', '40P01'].includes(sqlStateOf(error))
}

/** Whether the connection ended before the answer came, so that the outcome is unknown. */
export function wasLost(error: unknown): boolean {
  return !(error instanceof SessionError) && /^(?:$|08|57P0)/.test(sqlStateOf(error))
}

/**
 * Whether the connection must not be used again. It can be if the server refused only the statement; but a read-only server is
 * left, since a new connection may find the primary.
 */
export function breaksConnection(error: unknown): boolean {
  return !/^(?:22|23|40|42|53[12]|54|55|57014)/.test(sqlStateOf(error))
}

/** Whether a {@link postgresError} says that the table was dropped or changed. */
export function outdatesTable(trouble: unknown): boolean {
  const code = trouble instanceof SessionError ? errnoOf(trouble.cause) : ''
  return ['42P01', '42703', '42804', '42883', '42P10'].includes(code)
}

/** Whether the server, or a pooler before it, refused a parameter of the connection. */
export function isRefusedParameter(error: unknown): boolean {
  return ['08P01', '42704'].includes(sqlStateOf(error))
}

/** Whether the server has no TLS, or requires it, so that another way to connect may work. */
export function isRefusedEncryption(error: unknown): boolean {
  if (sqlStateOf(error) === '28000') return true
  return (
    error instanceof Error &&
    /does not support SSL|establishing an SSL|secure TLS connection/.test(error.message)
  )
}

/** The `SessionError` for a failure of a verb. Of the driver's error it keeps the code, and a message without stored values. */
export function postgresError(verb: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error
  const code = sqlStateOf(error) || errnoOf(error)
  const reason = reasonOf(error, code)
  const advice = ADVICE[code]
  const text = `${verb} failed: ${reason}${advice === undefined ? '' : `; ${advice}`}`
  return storeError('postgres', text, Object.assign(new Error(reason), { code }))
}

function reasonOf(error: unknown, code: string): string {
  const said = error instanceof Error ? error.message : ''
  if (sqlStateOf(error) === '') return said || code || 'unknown error'
  return TELLING.test(code) ? `${said} (${code})` : `the server refused the statement (${code})`
}

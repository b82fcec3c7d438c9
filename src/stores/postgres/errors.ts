import { SessionError } from '../../errors.ts'
import { errnoOf, Refusal, refusedError, storeError } from '../shared/errors.ts'

/**
 * The classes of SQLSTATE whose messages are about connections, rights, names and resources. Messages of other classes, and
 * the details of all messages, may quote stored values.
 */
const TELLING = /^(?:08|25|28|3D|3F|40|42|53|54|55|57|58|XX)/

/** What to do about an error, if the message of the server does not say it. */
const ADVICE: Readonly<Record<string, string>> = {
  '25006': 'this server accepts no writes',
  '53100': 'there is no room on the disk of the server',
  '53300': 'the server accepts no more connections',
  '26000': 'behind a transaction pooler prepare must be false',
  '42P05': 'behind a transaction pooler prepare must be false',
  '42501': 'create the table as docs/stores.md shows, and grant SELECT, INSERT, UPDATE and DELETE on it',
}

/** The SQLSTATE in an error of the server; `''` for other errors. */
export function sqlStateOf(error: unknown): string {
  return error instanceof Error && 'severity' in error ? errnoOf(error) : ''
}

/** The statement was rolled back because of another transaction. 40003 is none of them: there the outcome is unknown. */
const ROLLED_BACK: ReadonlySet<string> = new Set(['40000', '40001', '40002', '40P01'])

/** The server has too many connections (53300, 53400), or no memory for one (53200), or starts or stops (57P01 to 57P03). */
const REFUSED_CONNECTION: ReadonlySet<string> = new Set([
  '53200',
  '53300',
  '53400',
  '57P01',
  '57P02',
  '57P03',
])

/** Whether the statement was rolled back because of another one, or never begun, so that any verb may be repeated. */
export function wasNotApplied(error: unknown): boolean {
  // A server answers with the latter two before it accepts a statement, never after.
  return ROLLED_BACK.has(sqlStateOf(error)) || ['53300', '57P03'].includes(sqlStateOf(error))
}

/** Whether the server refused a connection for a reason that may be over in a moment. */
export function wasRefusedConnection(error: unknown): boolean {
  return REFUSED_CONNECTION.has(sqlStateOf(error))
}

/** Whether the server has answered with a refusal. It has not if it was cut off, or gave up a statement after its time. */
function wasAnswered(error: unknown): boolean {
  if (error instanceof Refusal || isPoolersAnswer(error)) return true
  return !/^(?:$|08|40003|57014|57P0[1245])/.test(sqlStateOf(error))
}

/** Whether the connection ended before the answer came, so that the outcome is unknown. */
export function wasLost(error: unknown): boolean {
  return !(error instanceof SessionError) && /^(?:$|08|57P0)/.test(sqlStateOf(error))
}

/** Whether the server refuses writes. */
export function isReadOnly(error: unknown): boolean {
  return sqlStateOf(error) === '25006'
}

/** Whether the connection must not be used again. It can be if the server refused only the statement. */
export function breaksConnection(error: unknown): boolean {
  return !/^(?:22|23|25006|40|42|53[12]|54|55|57014)/.test(sqlStateOf(error))
}

/** Whether a {@link postgresError} says that the table was dropped or changed. */
export function outdatesTable(trouble: unknown): boolean {
  const code = trouble instanceof SessionError ? errnoOf(trouble.cause) : ''
  return ['42P01', '42703', '42804', '42883', '42P10'].includes(code)
}

/** Whether another way to connect may work: the server has no TLS, or requires it, or refuses a parameter. */
export function isRefusedConnection(error: unknown): boolean {
  const isRefused = ['08P01', '28000', '42704'].includes(sqlStateOf(error))
  return (isRefused && !isPoolersAnswer(error)) || isWithoutTls(error)
}

/** Of the refusals of a server, in the order of the ways to connect, the one that says most about the cause. */
export function mostTelling(refusals: readonly unknown[]): unknown {
  return (
    refusals.find((error) => !isRefusedParameter(error) && !isWithoutTls(error)) ??
    refusals.find((error) => isRefusedParameter(error)) ??
    refusals[0]
  )
}

/** Whether the server, or a pooler before it, refused a parameter of the connection. */
function isRefusedParameter(error: unknown): boolean {
  const code = sqlStateOf(error)
  return code === '42704' || (code === '08P01' && error instanceof Error && /parameter/.test(error.message))
}

/** Whether a pooler refused the user or the database. PgBouncer has one code, 08P01, for this and for all trouble. */
function isPoolersAnswer(error: unknown): boolean {
  if (sqlStateOf(error) !== '08P01' || !(error instanceof Error)) return false
  return /authentication failed|no such (?:user|database)|does not exist/.test(error.message)
}

function isWithoutTls(error: unknown): boolean {
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
  const failure = wasAnswered(error) ? refusedError : storeError
  return failure('postgres', text, Object.assign(new Error(reason), { code }))
}

function reasonOf(error: unknown, code: string): string {
  const said = error instanceof Error ? error.message : ''
  if (sqlStateOf(error) === '') return said || code || 'unknown error'
  return TELLING.test(code) ? `${said} (${code})` : `the server refused the statement (${code})`
}

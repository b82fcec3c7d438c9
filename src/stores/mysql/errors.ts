import { SessionError } from '../../errors.ts'
import { refusedError, storeError } from '../shared/errors.ts'

/** The parts of a driver's error that are used. Its text may contain a key or a user name, so it is only kept as the cause. */
interface DriverError {
  readonly code: string
  readonly errno: number
  readonly sqlState: string
  readonly fatal: boolean
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'no server listens at this address'],
  ['ENOTFOUND', 'the name of the host cannot be resolved'],
  ['EAI_AGAIN', 'the name of the host cannot be resolved'],
  ['EHOSTUNREACH', 'the host cannot be reached'],
  ['ENETUNREACH', 'the host cannot be reached'],
  ['ENOENT', 'there is no socket at this path'],
  ['ETIMEDOUT', 'the server did not answer in time'],
  ['ECONNRESET', 'the connection was lost'],
  ['EPIPE', 'the connection was lost'],
  ['PROTOCOL_CONNECTION_LOST', 'the connection was lost'],
  ['HANDSHAKE_NO_SSL_SUPPORT', 'the server does not offer TLS'],
  ['HANDSHAKE_SSL_ERROR', 'no TLS connection; the certificate may not be trusted'],
  ['ER_SECURE_TRANSPORT_REQUIRED', 'the server accepts only TLS connections'],
  // MariaDB also uses this code for a user who must connect by TLS.
  ['ER_ACCESS_DENIED_ERROR', 'the server refuses this user or password, or requires TLS'],
  ['ER_ACCESS_DENIED_NO_PASSWORD_ERROR', 'the server refuses this user without a password'],
  ['ER_DBACCESS_DENIED_ERROR', 'this user may not use the database'],
  ['ER_BAD_DB_ERROR', 'there is no such database'],
  ['ER_NO_DB_ERROR', 'no database is selected'],
  ['ER_NO_SUCH_TABLE', 'the table does not exist any more'],
  ['ER_BAD_FIELD_ERROR', 'a column of the table does not exist any more'],
  ['ER_NO_DEFAULT_FOR_FIELD', 'the table has another column without a default'],
  ['ER_TABLEACCESS_DENIED_ERROR', 'this user has no right to do this with the table'],
  ['ER_CON_COUNT_ERROR', 'the server has too many connections'],
  ['ER_TOO_MANY_USER_CONNECTIONS', 'this user has too many connections'],
  ['ER_USER_LIMIT_REACHED', 'this user has too many connections or queries'],
  ['ER_LOCK_DEADLOCK', 'deadlocks, several times in a row'],
  ['ER_LOCK_WAIT_TIMEOUT', 'another transaction holds a lock on the row'],
  ['ER_OPTION_PREVENTS_STATEMENT', 'the server is read-only'],
  ['ER_READ_ONLY_MODE', 'the server is read-only'],
  ['ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION', 'the server is read-only'],
  ['ER_SERVER_SHUTDOWN', 'the server is shutting down'],
  ['ER_DISK_FULL', 'there is no room on the disk of the server'],
  ['ER_RECORD_FILE_FULL', 'the table is full'],
  ['ER_ERROR_ON_WRITE', 'the server cannot write to its disk'],
  ['ER_UNKNOWN_COM_ERROR', 'this node of the cluster accepts no statements now'],
  ['ER_TRANSACTION_ROLLBACK_DURING_COMMIT', 'the cluster rolled the change back, several times in a row'],
  ['ER_ERROR_DURING_COMMIT', 'the server failed to commit'],
])

/**
 * The server did not apply the statement, or rolled it back: because of another transaction (1020, 1205, and SQLSTATE class 40,
 * such as 1213 and 3101), too many connections (1040, 1203, 1226), a node of Galera that is not in its cluster (1047), or a
 * statement that must be prepared again (1615).
 */
const NOT_APPLIED: ReadonlySet<number> = new Set([1020, 1040, 1047, 1203, 1205, 1226, 1615])

/** A commit that failed (1180) was rolled back where the storage engine says that another transaction is the reason. */
const COMMIT_FAILED = 1180
const ROLLED_BACK = /\b149\b/ // HA_ERR_LOCK_DEADLOCK

/** The server has too many connections, or is shutting down. */
const REFUSED_CONNECTION: ReadonlySet<number> = new Set([1040, 1047, 1053, 1203, 1226])

const TOO_MANY_PREPARED = 1461

/** The connection ends after these, although the driver does not say so: shutdown, killed, idle for too long. */
const LAST_WORDS: ReadonlySet<number> = new Set([1053, 1927, 4031])

/** Errors of the server that are no answer to the statement: it was cut off (1152 to 1161, 1184), or took too long (1969, 3024). */
const CUT_OFF: ReadonlySet<number> = new Set([...LAST_WORDS, 1152, 1158, 1159, 1160, 1161, 1184, 1969, 3024])

/** The server is read-only, since it became a replica: a new connection may find the primary. */
const READ_ONLY: ReadonlySet<number> = new Set([1290, 1792, 1836])

/** This node of Galera is not in its cluster. It serves nothing, and a new connection may find another node. */
const NOT_READY = 1047

const PACKET_TOO_LARGE = 1153
const DATA_TOO_LONG = 1406
const DUPLICATE_KEY = 1062

/** The table has changed: dropped (1146), a column dropped (1054), a column without a default added (1364). */
const CHANGED_TABLE: ReadonlySet<number> = new Set([1054, 1146, 1364])

/** The `SessionError` for a failure of a verb. Its text contains no key, payload, user name or password. */
export function mysqlError(verb: string, cause: unknown): SessionError {
  if (cause instanceof SessionError) return cause
  const { code, errno } = driverErrorOf(cause)
  if (errno === PACKET_TOO_LARGE || errno === DATA_TOO_LONG) {
    const text = `mysql: ${verb} refused, the payload exceeds what the server accepts (${code})`
    return new SessionError('ERR_SESSION_LIMIT', text, { cause })
  }
  const known = REASONS.get(code)
  const reason = known === undefined ? code : `${known} (${code})`
  const failure = wasAnswered(cause) ? refusedError : storeError
  return failure('mysql', `${verb} failed: ${reason}`, cause)
}

/** Whether the server has answered with a refusal. Only its own errors have a SQLSTATE. */
function wasAnswered(error: unknown): boolean {
  const { errno, sqlState } = driverErrorOf(error)
  return sqlState !== '' && !CUT_OFF.has(errno)
}

/** Whether nothing was applied, so that any verb may be repeated. */
export function wasNotApplied(error: unknown): boolean {
  const { errno, sqlState } = driverErrorOf(error)
  if (errno === COMMIT_FAILED) return error instanceof Error && ROLLED_BACK.test(error.message)
  return NOT_APPLIED.has(errno) || sqlState.startsWith('40')
}

/** Whether the server refused a connection for a reason that may be over in a moment. */
export function wasRefusedConnection(error: unknown): boolean {
  return REFUSED_CONNECTION.has(driverErrorOf(error).errno)
}

/** Whether the server keeps so many prepared statements that it accepts no more. */
export function hasTooManyPrepared(error: unknown): boolean {
  return driverErrorOf(error).errno === TOO_MANY_PREPARED
}

/** Whether the connection was lost, so that the outcome is unknown. */
export function wasLost(error: unknown): boolean {
  const { errno, fatal } = driverErrorOf(error)
  return fatal || LAST_WORDS.has(errno)
}

/** Whether the server does not offer TLS. */
export function lacksTls(error: unknown): boolean {
  return driverErrorOf(error).code === 'HANDSHAKE_NO_SSL_SUPPORT'
}

/** Whether the server refuses writes. */
export function isReadOnly(error: unknown): boolean {
  return READ_ONLY.has(driverErrorOf(error).errno)
}

/** Whether the connection must not be used again. */
export function breaksConnection(error: unknown): boolean {
  return wasLost(error) || driverErrorOf(error).errno === NOT_READY
}

/** Whether there is a row with this key already. */
export function isDuplicateKey(error: unknown): boolean {
  return driverErrorOf(error).errno === DUPLICATE_KEY
}

/** Whether the table may have changed, by a statement or because another server answers after a lost connection. */
export function outdatesTable(error: unknown): boolean {
  const cause = error instanceof SessionError ? error.cause : error
  return CHANGED_TABLE.has(driverErrorOf(cause).errno) || wasLost(cause)
}

function driverErrorOf(error: unknown): DriverError {
  const { code, errno, sqlState, fatal }: Partial<Record<keyof DriverError, unknown>> = Object(error)
  const number = typeof errno === 'number' ? errno : 0
  // The driver has no name for some codes of MariaDB. A code is printed only if it looks like one.
  const named = typeof code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(code)
  return {
    code: named ? code : `error ${number}`,
    errno: number,
    sqlState: typeof sqlState === 'string' ? sqlState : '',
    fatal: fatal === true,
  }
}

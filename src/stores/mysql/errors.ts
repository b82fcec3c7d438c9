import { SessionError } from '../../errors.ts'

/** The parts of a driver's error that are used. Its text may contain a key or a user name, so it is only kept as the cause. */
interface DriverError {
  readonly code: string
  readonly errno: number
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
])

/**
 * The server did not apply the statement, or rolled it back: because of another transaction (1020, 1205, 1213), too many
 * connections (1040, 1203, 1226), or a statement that must be prepared again (1615).
 */
const NOT_APPLIED: ReadonlySet<number> = new Set([1020, 1040, 1203, 1205, 1213, 1226, 1615])

/** The connection ends after these, although the driver does not say so: shutdown, killed, idle for too long. */
const LAST_WORDS: ReadonlySet<number> = new Set([1053, 1927, 4031])

/** The server is read-only, since it became a replica: a new connection may find the primary. */
const READ_ONLY: ReadonlySet<number> = new Set([1290, 1792, 1836])

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
  return new SessionError('ERR_SESSION_STORE', `mysql: ${verb} failed: ${reason}`, { cause })
}

/** Whether nothing was applied, so that any verb may be repeated. */
export function wasNotApplied(error: unknown): boolean {
  return NOT_APPLIED.has(driverErrorOf(error).errno)
}

/** Whether the connection was lost, so that the outcome is unknown. */
export function wasLost(error: unknown): boolean {
  const { errno, fatal } = driverErrorOf(error)
  return fatal || LAST_WORDS.has(errno)
}

/** Whether the connection must not be used again. */
export function breaksConnection(error: unknown): boolean {
  return wasLost(error) || READ_ONLY.has(driverErrorOf(error).errno)
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
  const { code, errno, fatal }: Partial<Record<keyof DriverError, unknown>> = Object(error)
  const number = typeof errno === 'number' ? errno : 0
  // The driver has no name for some codes of MariaDB. A code is printed only if it looks like one.
  const named = typeof code === 'string' && /^[A-Z][A-Z0-9_]*$/.test(code)
  return { code: named ? code : `error ${number}`, errno: number, fatal: fatal === true }
}

import { createHash } from 'node:crypto'
import type { PoolConnection } from 'mysql2/promise'
import { VERSION_LENGTH } from '../../store.ts'
import { execute } from './connection.ts'
import type { MysqlGrain, MysqlSchema } from './schema.ts'

/**
 * The database's clock in ms since the epoch, constant within a statement. It is computed from UTC, so neither the time zone
 * of the connection nor the end of daylight saving time affects it, and it does not end in 2038.
 */
const NOW = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)"

const TIME = {
  milliseconds: {
    clock: NOW,
    life: `(session_expiry - ${NOW})`,
    moment: `${NOW} + CAST(? AS SIGNED)`,
  },
  seconds: {
    clock: `(${NOW} DIV 1000)`,
    life: `(CAST(session_expiry AS SIGNED) * 1000 - ${NOW})`,
    // Rounded up, so that no session expires early. Limited to an unsigned int: beyond it a server may reject or wrap around.
    moment: `LEAST(4294967295, GREATEST(0, CEILING((${NOW} + CAST(? AS SIGNED)) / 1000)))`,
  },
} as const satisfies Record<MysqlGrain, unknown>

/** The largest batch of a sweep. From about a thousand keys on, MariaDB reads the whole table instead of looking them up. */
const MAX_BATCH = 500

/**
 * The SQL of every verb, for one table. A verb's change is always a single statement, so it is atomic, on MyISAM too. Lives
 * are in ms from now.
 */
export class MysqlStatements {
  readonly schema: MysqlSchema
  /** `(key)` → payload, and the ms that it still lives. */
  readonly read: string
  /** `(key)` → the ms that it still lives. */
  readonly life: string
  /** `(key, payload, ms to live)` */
  readonly insert: string
  /** `(payload, ms to live, key)`: replaces an expired entry. */
  readonly succeed: string
  /** `(payload, ms to live, key, version)` */
  readonly replace: string
  /** `(ms to live, key)` */
  readonly touch: string
  /** `(key)` */
  readonly destroy: string
  /** `(key, version)` */
  readonly destroyBase: string
  readonly count: string
  /** How many of the first rows were looked at, and how many of them no program of this library has written. */
  readonly foreign: string

  constructor(schema: MysqlSchema) {
    this.schema = schema
    const { clock, life, moment } = TIME[schema.grain]
    const name = `\`${schema.table}\``
    // No index can serve this comparison, on purpose: if only a few rows seem to be alive, the optimizer would take the index
    // on the expiry instead of the primary key, and lock the rows of other sessions.
    const living = `session_key = ? AND ${life} > 0`
    const version = `LEFT(session_data, ${VERSION_LENGTH}) = ?`
    this.read = `SELECT session_data, ${life} FROM ${name} WHERE ${living}`
    this.life = `SELECT ${life} FROM ${name} WHERE ${living}`
    this.insert = `INSERT INTO ${name} (session_key, session_data, session_expiry) VALUES (?, ?, ${moment})`
    this.succeed = `UPDATE ${name} SET session_data = ?, session_expiry = ${moment} WHERE session_key = ? AND ${life} <= 0`
    this.replace = `UPDATE ${name} SET session_data = ?, session_expiry = ${moment} WHERE ${living} AND ${version}`
    this.touch = `UPDATE ${name} SET session_expiry = GREATEST(session_expiry, ${moment}) WHERE ${living}`
    this.destroy = `DELETE FROM ${name} WHERE ${living}`
    this.destroyBase = `DELETE FROM ${name} WHERE ${living} AND ${version}`
    this.count = `SELECT COUNT(*) FROM ${name} WHERE session_expiry > ${clock}`
    this.foreign = `SELECT COUNT(*), COALESCE(SUM(LEFT(session_data, 5) <> 'kts1 '), 0) FROM (SELECT session_data FROM ${name} LIMIT 100) AS first_rows`
  }

  /**
   * What the table stores for a key. The documented table has 64 characters for a key and ignores case. A hash in hex is
   * stored unchanged; a key that does not fit is hashed, with a `~` before it that no key contains.
   */
  nameOf(key: string): string {
    if (this.schema.grain === 'milliseconds' || /^[0-9a-z_-]{1,64}$/.test(key)) return key
    return `~${createHash('sha256').update(key).digest('hex').slice(1)}`
  }

  /** Keys that have expired. Takes no locks. */
  expired(limit: number): string {
    return `SELECT session_key FROM \`${this.schema.table}\` WHERE ${this.#expired} LIMIT ${limit}`
  }

  /** `(...keys)`: removes those of so many keys that are still expired and not locked. */
  remove(keys: number): string {
    const name = `\`${this.schema.table}\``
    // One statement, so no transaction is needed: it locks by primary key the rows that are free, and removes only them. A
    // plain DELETE would wait for every lock, and read the whole table where the optimizer expects that to be faster.
    return (
      `DELETE session FROM (SELECT session_key FROM ${name} FORCE INDEX (PRIMARY) ` +
      `WHERE session_key IN (${Array(keys).fill('?').join(', ')}) AND ${TIME[this.schema.grain].life} <= 0 ` +
      `LIMIT ${keys} FOR UPDATE SKIP LOCKED) AS batch ` +
      `STRAIGHT_JOIN ${name} AS session ON session.session_key = batch.session_key`
    )
  }

  /** For tables without row locks. */
  removeExpired(limit: number): string {
    return `DELETE FROM \`${this.schema.table}\` WHERE ${this.#expired} LIMIT ${limit}`
  }

  get #expired(): string {
    return `session_expiry <= ${TIME[this.schema.grain].clock}`
  }
}

/**
 * Removes up to `limit` expired rows, and returns how many; 0 if another process is sweeping. It waits for no lock, and locks
 * only what it removes.
 */
export async function sweepTable(
  connection: PoolConnection,
  statements: MysqlStatements,
  limit: number,
): Promise<number> {
  const batch = Math.min(Math.floor(limit), MAX_BATCH)
  if (batch < 1) return 0
  const { lock, locksRows } = statements.schema
  const { rows } = await execute(connection, 'SELECT GET_LOCK(?, 0), @@sql_safe_updates', [lock])
  const [isOurs, isSafe] = (rows[0] ?? []).map(Number)
  if (isOurs !== 1) return 0
  try {
    // MariaDB refuses the removal of a batch then, since it reads the whole list of keys that it removes.
    if (isSafe === 1) await execute(connection, 'SET SESSION sql_safe_updates = 0')
    const removed = locksRows
      ? await removeUnlocked(connection, statements, batch)
      : (await execute(connection, statements.removeExpired(batch))).affected
    if (isSafe === 1) await execute(connection, 'SET SESSION sql_safe_updates = 1')
    await execute(connection, 'SELECT RELEASE_LOCK(?)', [lock])
    return removed
  } catch (error) {
    connection.destroy() // releases the lock in any case, and forgets the setting
    throw error
  }
}

/** Reads without locks first: a locking read would lock gaps that other sessions need, or every row that it passes. */
async function removeUnlocked(
  connection: PoolConnection,
  statements: MysqlStatements,
  batch: number,
): Promise<number> {
  const { rows } = await execute(connection, statements.expired(batch))
  const keys = rows.map(([key]) => String(key))
  const [first] = keys
  if (first === undefined) return 0
  // Filled up to the size of the batch with the first key, so that one prepared statement serves any number of keys.
  const values = Array.from({ length: batch }, (_, at) => keys[at] ?? first)
  return (await execute(connection, statements.remove(batch), values)).affected
}

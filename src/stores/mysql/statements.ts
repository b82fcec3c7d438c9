import { VERSION_LENGTH } from '../../store.ts'

/** How a table tells time: the documented one in whole seconds, ours in ms. */
export type MysqlGrain = 'seconds' | 'milliseconds'

/** What a store says to its table. Each is one statement, so each is one step, on MyISAM too. */
export interface MysqlStatements {
  /** `(key)` → payload and the ms it still lives. */
  readonly read: string
  /** `(key)` → the ms it still lives. */
  readonly life: string
  /** `(key, payload, ms to live)` */
  readonly insert: string
  /** `(payload, ms to live, key)`: puts a new entry in the place of an expired one. */
  readonly succeed: string
  /** `(payload, ms to live, key, version)` */
  readonly replace: string
  /** `(ms to live, key)` */
  readonly touch: string
  /** `(key)` */
  readonly destroy: string
  /** `(key, version)` */
  readonly destroyFrom: string
  readonly count: string
  /** Keys that have expired. It takes no locks. */
  readonly expired: (limit: number) => string
  /** `(...keys)`: removes those of so many that have expired still and that nobody holds a lock on. */
  readonly remove: (keys: number) => string
  /** For tables without row locks. */
  readonly removeExpired: (limit: number) => string
}

/**
 * The database's clock in ms since the epoch, constant within a statement. Plain arithmetic on UTC: neither the
 * time zone of the session nor the hour that a winter time has twice can shift it, and it does not end in 2038.
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
    // Rounded up, so that nobody dies early; kept within an unsigned int, where a server may reject or wrap the rest.
    moment: `LEAST(4294967295, GREATEST(0, CEILING((${NOW} + CAST(? AS SIGNED)) / 1000)))`,
  },
} as const satisfies Record<MysqlGrain, unknown>

/** @param table a name that was checked to be one */
export function statementsFor(table: string, grain: MysqlGrain): MysqlStatements {
  const { clock, life, moment } = TIME[grain]
  const name = `\`${table}\``
  // A comparison that no index can serve, on purpose: where only a few rows seem to be alive, the optimizer takes the
  // index on the expiry instead of the primary key, and locks the rows of strangers.
  const living = `session_key = ? AND ${life} > 0`
  const version = `LEFT(session_data, ${VERSION_LENGTH}) = ?`
  const expired = `session_expiry <= ${clock}`
  return {
    read: `SELECT session_data, ${life} FROM ${name} WHERE ${living}`,
    life: `SELECT ${life} FROM ${name} WHERE ${living}`,
    insert: `INSERT INTO ${name} (session_key, session_data, session_expiry) VALUES (?, ?, ${moment})`,
    succeed: `UPDATE ${name} SET session_data = ?, session_expiry = ${moment} WHERE session_key = ? AND ${life} <= 0`,
    replace: `UPDATE ${name} SET session_data = ?, session_expiry = ${moment} WHERE ${living} AND ${version}`,
    touch: `UPDATE ${name} SET session_expiry = GREATEST(session_expiry, ${moment}) WHERE ${living}`,
    destroy: `DELETE FROM ${name} WHERE ${living}`,
    destroyFrom: `DELETE FROM ${name} WHERE ${living} AND ${version}`,
    count: `SELECT COUNT(*) FROM ${name} WHERE session_expiry > ${clock}`,
    expired: (limit) => `SELECT session_key FROM ${name} WHERE ${expired} LIMIT ${limit}`,
    // One statement, so no transaction: it locks by primary key what it can have at once, and removes exactly that. A
    // plain DELETE waits for every lock, and reads the whole table where it believes that to be the shorter way.
    remove: (keys) =>
      `DELETE session FROM (SELECT session_key FROM ${name} FORCE INDEX (PRIMARY) ` +
      `WHERE session_key IN (${Array(keys).fill('?').join(', ')}) AND ${life} <= 0 ` +
      `LIMIT ${keys} FOR UPDATE SKIP LOCKED) AS batch ` +
      `STRAIGHT_JOIN ${name} AS session ON session.session_key = batch.session_key`,
    removeExpired: (limit) => `DELETE FROM ${name} WHERE ${expired} LIMIT ${limit}`,
  }
}

/** The better table: case counts in keys, payloads are bytes up to 16 MiB, the sweep finds the expired by an index. */
export function createTable(table: string): string {
  return (
    `CREATE TABLE IF NOT EXISTS \`${table}\` (` +
    'session_key varchar(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, ' +
    'session_data mediumblob NOT NULL, ' +
    "session_expiry bigint NOT NULL COMMENT 'ms since 1970-01-01 UTC', " +
    'PRIMARY KEY (session_key), ' +
    'KEY session_expiry (session_expiry)' +
    ') ENGINE=InnoDB'
  )
}

import * as crypto from 'node:crypto'
import { Buffer } from 'node:buffer'
import { VERSION_LENGTH } from '../../store.ts'
import type { Statement } from './connection.ts'

/** The two kinds of tables. `own` is created by this library; `classic` is beego's, with bytes and times without a time zone. */
export type PostgresLayout = 'own' | 'classic'

/** A value for a column of the table. */
export type Stored = string | Buffer

/** A key of the classic table has at most 64 characters. A longer one is hashed, with a `~` before it that no key contains. */
const CLASSIC_KEY = 64

/**
 * The SQL of every verb, for one table. `$1` is the key. A life is sent as the ms that are left, so the database's clock
 * alone decides what has expired, and the clocks of the processes need not agree.
 */
export class PostgresStatements {
  readonly layout: PostgresLayout
  readonly create: Statement
  /** As `create`, of no row. */
  readonly insertNothing: Statement
  readonly read: Statement
  readonly replace: Statement
  readonly touch: Statement
  readonly look: Statement
  readonly destroy: Statement
  readonly destroyBase: Statement
  readonly count: Statement
  /** What {@link diagnosePostgres} judges. */
  readonly diagnosis: Statement
  readonly sweep: Statement

  /** @param table the quoted name */
  constructor(layout: PostgresLayout, table: string, isPrepared: boolean) {
    const statement = isPrepared ? named : plain
    this.layout = layout
    const isOwn = layout === 'own'
    const local = (moment: string): string => (isOwn ? moment : `(${moment} AT TIME ZONE 'UTC')`)
    const now = local('now()')
    const moment = (place: string): string => local(`(now() + ${place}::float8 * interval '1 millisecond')`)
    const living = `session_key = $1 AND session_expiry > ${now}`
    const version = isOwn
      ? `left(session_data, ${VERSION_LENGTH})`
      : `substring(session_data from 1 for ${VERSION_LENGTH})`
    const data = isOwn ? 'session_data' : `encode(session_data, 'base64')`
    const due = (sql: string): string => (isOwn ? sql : '')

    this.create = statement(
      `INSERT INTO ${table} AS held (session_key, session_data, session_expiry${due(', session_due')})
       VALUES ($1, $2, ${moment('$3')}${due(`, ${moment('$3')}`)})
       ON CONFLICT (session_key) DO UPDATE SET session_data = excluded.session_data,
         session_expiry = excluded.session_expiry${due(', session_due = excluded.session_due')}
       WHERE held.session_expiry <= ${now}`,
    )
    const columns = `session_key, session_data, session_expiry${due(', session_due')}`
    this.insertNothing = plain(
      `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ${table} WHERE false`,
    )
    this.read = statement(
      `SELECT ${data}, extract(epoch FROM session_expiry - ${now}) * 1000 FROM ${table} WHERE ${living}`,
    )
    this.replace = statement(
      `UPDATE ${table} SET session_data = $2,
         session_expiry = ${moment('$3')}${due(`, session_due = least(session_due, ${moment('$3')})`)}
       WHERE ${living} AND ${version} = $4`,
    )
    this.touch = statement(
      `UPDATE ${table} SET session_expiry = ${moment('$2')}
       WHERE ${living} AND session_expiry < ${moment('$2')}`,
    )
    this.look = statement(`SELECT FROM ${table} WHERE ${living}`)
    this.destroy = statement(
      `DELETE FROM ${table} WHERE session_key = $1 RETURNING (session_expiry > ${now})::int`,
    )
    this.destroyBase = statement(`DELETE FROM ${table} WHERE ${living} AND ${version} = $2`)
    this.diagnosis = plain(
      `SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
         pg_is_in_recovery(), extract(epoch FROM clock_timestamp()) * 1000,
         (SELECT relpersistence FROM pg_class WHERE oid = '${table.replaceAll("'", "''")}'::regclass), count(*),
         count(*) FILTER (WHERE ${isOwn ? "left(session_data, 5) <> 'kts1 '" : "substring(session_data from 1 for 5) <> 'kts1 '::bytea"})
       FROM (SELECT session_data FROM ${table} LIMIT 100) AS first_rows`,
    )
    this.count = statement(`SELECT count(*) FROM ${table} WHERE session_expiry > ${now}`)
    this.sweep = statement(sweepOf(table, isOwn, now))
  }

  /** What the table stores for a key. */
  keyOf(key: string): string {
    if (this.layout === 'own' || key.length <= CLASSIC_KEY) return key
    return `~${crypto.hash('sha256', key, 'base64url')}`
  }

  /** What the table stores for a payload or a version. */
  stored(text: string): Stored {
    return this.layout === 'own' ? text : Buffer.from(text)
  }

  /** The payload in the result of `read`. */
  payloadOf(data: string): string {
    return this.layout === 'own' ? data : Buffer.from(data, 'base64').toString()
  }
}

/**
 * Takes up to `$1` unlocked rows that may have expired. It removes those that have and, in the `own` table, sets the
 * `session_due` of the others to their expiry; it returns both numbers. Only one process sweeps at a time. The arrays keep the
 * planner from reading the whole table.
 */
function sweepOf(table: string, isOwn: boolean, now: string): string {
  const keys = (condition: string): string =>
    `session_key = ANY (ARRAY(SELECT session_key FROM due WHERE session_expiry ${condition} ${now}))`
  const [column, order] = isOwn ? ['session_due', 'ORDER BY session_due'] : ['session_expiry', '']
  return `WITH turn AS MATERIALIZED (
      SELECT pg_try_advisory_xact_lock(hashtext('koa-typed-session'), hashtext('${table}')) AS is_ours
    ), due AS MATERIALIZED (
      SELECT session_key, session_expiry FROM ${table}
      WHERE (SELECT is_ours FROM turn) AND ${column} <= ${now} ${order} LIMIT $1 FOR UPDATE SKIP LOCKED
    ), ended AS (
      DELETE FROM ${table} WHERE ${keys('<=')} RETURNING 1
    )${isOwn ? `, put_off AS (UPDATE ${table} SET session_due = session_expiry WHERE ${keys('>')} RETURNING 1)` : ''}
    SELECT (SELECT count(*) FROM ended), ${isOwn ? '(SELECT count(*) FROM put_off)' : '0'}`
}

function plain(text: string): Statement {
  return { text }
}

function named(text: string): Statement {
  return { text, name: `kts_${crypto.hash('sha256', text, 'hex').slice(0, 16)}` }
}

import * as crypto from 'node:crypto'
import { Buffer } from 'node:buffer'
import { VERSION_LENGTH } from '../../store.ts'
import type { Statement } from './connection.ts'

/**
 * The two tables there are. `own` is the one this library makes; `classic` is beego's, whose data are bytes and whose
 * moments know no time zone.
 */
export type PostgresLayout = 'own' | 'classic'

/** What a column of the table is given. */
export type Stored = string | Buffer

/** Keys of the classic table have 64 characters at most. A longer one is hashed; no key has a `~`, so it is nobody else's. */
const CLASSIC_KEY = 64

/**
 * The SQL of every verb, for one table. `$1` is the key throughout; a life travels as the ms that are left. So only the
 * database's clock decides what has expired, and processes agree whose clocks do not.
 */
export class PostgresStatements {
  readonly layout: PostgresLayout
  readonly create: Statement
  readonly read: Statement
  readonly replace: Statement
  readonly touch: Statement
  readonly look: Statement
  readonly destroy: Statement
  readonly destroyBase: Statement
  readonly count: Statement
  readonly sweep: Statement

  /** @param table the quoted name */
  constructor(layout: PostgresLayout, table: string) {
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

    this.create = named(
      `INSERT INTO ${table} AS held (session_key, session_data, session_expiry${due(', session_due')})
       VALUES ($1, $2, ${moment('$3')}${due(`, ${moment('$3')}`)})
       ON CONFLICT (session_key) DO UPDATE SET session_data = excluded.session_data,
         session_expiry = excluded.session_expiry${due(', session_due = excluded.session_due')}
       WHERE held.session_expiry <= ${now}`,
    )
    this.read = named(
      `SELECT ${data}, extract(epoch FROM session_expiry - ${now}) * 1000 FROM ${table} WHERE ${living}`,
    )
    this.replace = named(
      `UPDATE ${table} SET session_data = $2,
         session_expiry = ${moment('$3')}${due(`, session_due = least(session_due, ${moment('$3')})`)}
       WHERE ${living} AND ${version} = $4`,
    )
    this.touch = named(
      `UPDATE ${table} SET session_expiry = ${moment('$2')}
       WHERE ${living} AND session_expiry < ${moment('$2')}`,
    )
    this.look = named(`SELECT FROM ${table} WHERE ${living}`)
    this.destroy = named(
      `DELETE FROM ${table} WHERE session_key = $1 RETURNING (session_expiry > ${now})::int`,
    )
    this.destroyBase = named(`DELETE FROM ${table} WHERE ${living} AND ${version} = $2`)
    this.count = named(`SELECT count(*) FROM ${table} WHERE session_expiry > ${now}`)
    this.sweep = named(sweepOf(table, isOwn, now))
  }

  /** What the table files a key under. */
  keyOf(key: string): string {
    if (this.layout === 'own' || key.length <= CLASSIC_KEY) return key
    return `~${crypto.hash('sha256', key, 'base64url')}`
  }

  /** A payload, or the head of one, as the table has it. */
  stored(text: string): Stored {
    return this.layout === 'own' ? text : Buffer.from(text)
  }

  /** A payload as `read` brings it. */
  payloadOf(data: string): string {
    return this.layout === 'own' ? data : Buffer.from(data, 'base64').toString()
  }
}

/**
 * Takes up to `$1` rows that may have expired and that nobody is at work on, ends those that have, and in our own table
 * puts off the others to the moment at which they might. It tells how many of either. Only one sweeper at a time gets
 * its turn; the arrays keep the planner from reading the whole table.
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

function named(text: string): Statement {
  return { text, name: `kts_${crypto.hash('sha256', text, 'hex').slice(0, 16)}` }
}

import type { Pool } from 'pg'
import { SessionError } from '../../errors.ts'
import { parsePostgresConfig } from './config.ts'
import type { ConnectionOptions } from './connection.ts'

/** Settings of the `PostgresStore`: either `url` or `client`. */
export interface PostgresStoreOptions {
  /** Where to connect to: `postgres://user:password@host/dbname?sslmode=verify-full`, or the keywords and values of libpq. */
  readonly url?: string
  /** A `pg.Pool` of your own. It is used and never closed. */
  readonly client?: Pool
  /** The table, with its schema if need be. It is made if it is missing. Default: `session`. */
  readonly table?: string
  /** How long a verb waits for the server, in ms; the first one may take as long again to connect. Default: 5,000. */
  readonly timeout?: number
  /** How many connections are made at most where `url` is given. Default: 10. */
  readonly maxConnections?: number
  /** Has the server keep the plans of the statements. Not behind a transaction pooler such as PgBouncer. Default: false. */
  readonly prepare?: boolean
  /** The clock, in ms since the epoch. Only spans of it reach the database. Default: `Date.now`. */
  readonly now?: () => number
}

/** The settings of a store, checked and complete. */
export interface PostgresSettings extends ConnectionOptions {
  readonly table: string
  readonly now: () => number
}

/** Short enough for the name of the index, and plain enough to stand between quotes. */
const TABLE = /^(?:[A-Za-z_]\w{0,58}\.)?[A-Za-z_]\w{0,58}$/

/** @throws SessionError `ERR_SESSION_OPTIONS` for the first setting that is wrong */
export function postgresSettings(options: PostgresStoreOptions): PostgresSettings {
  const {
    url,
    client,
    table = 'session',
    timeout = 5_000,
    maxConnections = 10,
    prepare = false,
    now = Date.now,
  } = options
  if ((url === undefined) === (client === undefined)) throw refusal('expected is either url or client')
  if (!TABLE.test(table)) throw refusal('table must be a plain name such as session or app.session')
  if (!isWhole(timeout, 2_147_483_647)) throw refusal('timeout must be a whole number of ms, at least 1')
  if (!isWhole(maxConnections, 10_000)) throw refusal('maxConnections must be a whole number from 1 to 10000')
  const address = url === undefined ? undefined : parsePostgresConfig(url)
  return { pool: client, address, table, timeout, maxConnections, prepare, now }
}

function isWhole(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= most
}

function refusal(what: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `postgres: ${what}`)
}

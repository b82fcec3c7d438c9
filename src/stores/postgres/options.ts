import type { Pool } from 'pg'
import {
  assertClient,
  assertFunction,
  assertOptions,
  assertTimeout,
  assertWhole,
  optionError,
  type OptionNames,
  sourceError,
  TIMEOUT,
} from '../shared/options.ts'
import { parsePostgresConfig } from './config.ts'
import type { PostgresConnectionOptions } from './connection.ts'

/** Options of the `PostgresStore`: `client` or `url`, and what differs from the defaults. */
export interface PostgresStoreOptions {
  /** The database: `postgres://user:password@host/dbname?sslmode=verify-full`, or the keywords and values of libpq. */
  readonly url?: string
  /** A `pg.Pool`. The store never closes it. */
  readonly client?: Pool
  /** The table, with its schema if necessary. It is created if it is missing. Default: `session`. */
  readonly table?: string
  /** How long a verb may take, in ms. Default: 5,000. */
  readonly timeout?: number
  /** The largest number of connections, with `url`. Default: 10. */
  readonly maxConnections?: number
  /** Whether statements are prepared. Not possible behind a transaction pooler such as PgBouncer. Default: `false`. */
  readonly prepare?: boolean
  /** The clock, in ms since the epoch. The database receives only durations. Default: `Date.now`. */
  readonly now?: () => number
}

/** The options, checked and with their defaults. */
export interface PostgresSettings extends PostgresConnectionOptions {
  readonly table: string
  readonly prepare: boolean
  readonly now: () => number
}

/** Names that are short enough for the name of the index, and need no escape between quotes. */
const TABLE = /^(?:[A-Za-z_]\w{0,58}\.)?[A-Za-z_]\w{0,58}$/

const OPTIONS: OptionNames<PostgresStoreOptions> = {
  url: true,
  client: true,
  table: true,
  timeout: true,
  maxConnections: true,
  prepare: true,
  now: true,
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong, or `url` malformed */
export function postgresSettings(options: PostgresStoreOptions): PostgresSettings {
  assertOptions('postgres', options, OPTIONS)
  const {
    url,
    client,
    table = 'session',
    timeout = TIMEOUT,
    maxConnections = 10,
    prepare = false,
    now = Date.now,
  } = options
  const expected = 'a Pool of pg: new Pool(…), instead of a Client'
  assertClient('postgres', client, { connect: 'function', query: 'function', totalCount: 'number' }, expected)
  if (!TABLE.test(table))
    throw optionError('postgres', 'table must be a plain name such as session or app.session')
  assertTimeout('postgres', timeout)
  assertFunction('postgres', 'now', now)
  assertWhole('postgres', 'maxConnections', maxConnections, 1, 10_000)
  const source = client ?? (url === undefined ? undefined : parsePostgresConfig(url))
  if (source === undefined || (client !== undefined && url !== undefined)) throw sourceError('postgres')
  return { source, table, timeout, maxConnections, prepare, now }
}

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
import { giveWarnings } from '../shared/warnings.ts'
import { parsePostgresConfig, type PostgresConfig } from './config.ts'
import type { PostgresConnectionOptions } from './connection.ts'

/** Options of the `PostgresStore`: `client` or `url`, and what differs from the defaults. */
export interface PostgresStoreOptions {
  /** The database: `postgres://user:password@host/dbname?sslmode=verify-full`, or the keywords and values of libpq. */
  readonly url?: string
  /** A `pg.Pool`. The store never closes it. */
  readonly client?: Pool
  /** The table, with its schema if necessary. It is created if it is missing. Default: `session`, in the `schema` of the URL. */
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
  const { url, client, now = Date.now } = options
  const expected = 'a Pool of pg: new Pool(…), instead of a Client'
  assertClient('postgres', client, { connect: 'function', query: 'function', totalCount: 'number' }, expected)
  const config = url === undefined ? undefined : parsePostgresConfig(url)
  const timeout = options.timeout ?? config?.timeout ?? TIMEOUT
  const maxConnections = options.maxConnections ?? config?.maxConnections ?? 10
  const table = tableOf(options.table ?? 'session', config)
  const prepare = options.prepare ?? false
  if (prepare && config?.isPooled === true)
    throw optionError('postgres', 'prepare cannot be true with pgbouncer=true in the url')
  assertTimeout('postgres', timeout)
  assertFunction('postgres', 'now', now)
  assertWhole('postgres', 'maxConnections', maxConnections, 1, 10_000)
  const source = client ?? config
  if (source === undefined || (client !== undefined && url !== undefined)) throw sourceError('postgres')
  giveWarnings('postgres', config?.warnings ?? [])
  return { source, table, timeout, maxConnections, prepare, now }
}

/** The table, in the schema of the config string if it names none itself. */
function tableOf(table: string, config: PostgresConfig | undefined): string {
  if (!TABLE.test(table))
    throw optionError('postgres', 'table must be a plain name such as session or app.session')
  if (config?.schema === undefined || table.includes('.')) return table
  if (!TABLE.test(`${config.schema}.${table}`))
    throw optionError('postgres', 'the schema in the config string must be a plain name such as app')
  return `${config.schema}.${table}`
}

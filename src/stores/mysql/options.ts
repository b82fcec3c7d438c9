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
import { isTable, parseMysqlConfig } from './config.ts'
import type { MysqlConnectionOptions, MysqlPool } from './connection.ts'

/** Options of the `MysqlStore`: `client` or `url`, and what differs from the defaults. */
export interface MysqlStoreOptions {
  /** A pool of mysql2 with a default database. The store never closes it. */
  readonly client?: MysqlPool
  /** `mysql://user:password@host:3306/database`, `mariadb://…`, or `user:password@tcp(host:3306)/database`. */
  readonly url?: string
  /** The table. It is created if it is missing. Default: `session`. */
  readonly table?: string
  /** The largest number of connections. Default: 10. Not with `client`, which has its own limit. */
  readonly poolSize?: number
  /** How long a verb may take, in ms. Default: 5,000. */
  readonly timeout?: number
  /** The clock, in ms since the epoch. The database receives only durations. Default: `Date.now`. */
  readonly now?: () => number
}

/** The options, checked and with their defaults. */
export interface MysqlSettings extends MysqlConnectionOptions {
  readonly table: string
  readonly now: () => number
}

const OPTIONS: OptionNames<MysqlStoreOptions> = {
  url: true,
  client: true,
  table: true,
  poolSize: true,
  timeout: true,
  now: true,
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong, or `url` malformed */
export function mysqlSettings(options: MysqlStoreOptions): MysqlSettings {
  assertOptions('mysql', options, OPTIONS)
  const { client, url, now = Date.now, ...own } = options
  const expected = 'a pool of mysql2: mysql.createPool(…), instead of a connection'
  assertClient('mysql', client, { getConnection: 'function', query: 'function', end: 'function' }, expected)
  const config = url === undefined ? undefined : parseMysqlConfig(url)
  const { table = 'session', timeout = TIMEOUT, poolSize = 10 } = { ...config, ...own }
  if (!isTable(table))
    throw optionError('mysql', 'table must be the plain name of a table: letters, digits, _ and $')
  assertTimeout('mysql', timeout)
  assertFunction('mysql', 'now', now)
  assertWhole('mysql', 'poolSize', poolSize, 1)
  if (client !== undefined && own.poolSize !== undefined)
    throw optionError('mysql', 'poolSize cannot be given with client: set its connectionLimit instead')
  const source = client ?? config
  if (source === undefined || (client !== undefined && config !== undefined)) throw sourceError('mysql')
  return { source, table, poolSize, timeout, now }
}

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
import { knownNames } from '../../nearest-name.ts'
import { giveWarnings } from '../shared/warnings.ts'
import { parseMysqlConfig } from './config.ts'
import type { MysqlConnectionOptions, MysqlPool } from './connection.ts'
import { isTable } from './parameters.ts'
import type { MysqlTlsOptions } from './tls.ts'

/** Options of the `MysqlStore`: `client` or `url`, and what differs from the defaults. */
export interface MysqlStoreOptions {
  /** A pool of mysql2 with a default database. The store never closes it. */
  readonly client?: MysqlPool
  /** `mysql://user:password@host:3306/database`, `mariadb://…`, or `user:password@tcp(host:3306)/database`. */
  readonly url?: string
  /**
   * TLS options for `url`, such as `ca`. If they are given, the connection is encrypted, and the certificate must be trusted and
   * for this host, unless `rejectUnauthorized` is `false` or `url` says otherwise. Default: what `url` says.
   */
  readonly tls?: MysqlTlsOptions
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
  tls: true,
  table: true,
  poolSize: true,
  timeout: true,
  now: true,
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong, or `url` malformed */
export function mysqlSettings(options: MysqlStoreOptions): MysqlSettings {
  assertOptions('mysql', options, OPTIONS)
  const { client, url, tls, now = Date.now, ...own } = options
  const expected = 'a pool of mysql2: mysql.createPool(…), instead of a connection'
  assertClient('mysql', client, { getConnection: 'function', query: 'function', end: 'function' }, expected)
  assertTls(tls)
  const config = url === undefined ? undefined : parseMysqlConfig(url, tls)
  const { table = 'session', timeout = TIMEOUT, poolSize = 10 } = { ...config, ...own }
  if (!isTable(table))
    throw optionError('mysql', 'table must be the plain name of a table: letters, digits, _ and $')
  assertTimeout('mysql', timeout)
  assertFunction('mysql', 'now', now)
  assertWhole('mysql', 'poolSize', poolSize, 1)
  if (client !== undefined && own.poolSize !== undefined)
    throw optionError('mysql', 'poolSize cannot be given with client: set its connectionLimit instead')
  if (client !== undefined && tls !== undefined)
    throw optionError('mysql', 'tls cannot be given with client: set its ssl instead')
  const source = client ?? config
  if (source === undefined || (client !== undefined && config !== undefined)) throw sourceError('mysql')
  giveWarnings('mysql', config?.warnings ?? [])
  return { source, table, poolSize, timeout, now }
}

const TLS: OptionNames<MysqlTlsOptions> = {
  ca: true,
  cert: true,
  ciphers: true,
  key: true,
  maxVersion: true,
  minVersion: true,
  passphrase: true,
  rejectUnauthorized: true,
}

function assertTls(tls: unknown): void {
  if (tls === undefined) return
  if (typeof tls !== 'object' || tls === null || Array.isArray(tls))
    throw optionError('mysql', 'tls must be an object of TLS options: { ca: … }')
  for (const name of Object.keys(tls)) {
    if (!Object.hasOwn(TLS, name))
      throw optionError('mysql', `tls.${name}: is not a setting${knownNames(name, Object.keys(TLS))}`)
  }
}

import { Buffer } from 'node:buffer'
import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import type { Pool as CallbackPool } from 'mysql2'
import type { Pool, PoolConnection, QueryOptions } from 'mysql2/promise'
import { driverError } from '../shared/driver.ts'
import type { PoolDriver, PoolErrors } from '../shared/pooled-runner.ts'
import type { MysqlConfig } from './config.ts'
import {
  breaksConnection,
  hasTooManyPrepared,
  isReadOnly,
  lacksTls,
  mysqlError,
  outdatesTable,
  wasLost,
  wasNotApplied,
  wasRefusedConnection,
} from './errors.ts'

/** A pool of mysql2, with promises or with callbacks. */
export type MysqlPool = Pool | CallbackPool

/** Where the connections come from. */
export interface MysqlConnectionOptions {
  /** The pool of the application, or what the config string says. */
  readonly source: MysqlPool | MysqlConfig
  readonly poolSize: number
  readonly timeout: number
}

/** The answer to a statement: its rows as lists of columns, or the number of rows that it matched. */
export interface MysqlReply {
  readonly rows: readonly (readonly unknown[])[]
  readonly affected: number
}

/** How much longer than a verb an attempt to connect may take, in ms, so that the verb ends by its own deadline. */
const CONNECT_MARGIN = 1_000

/** The time without traffic before the first probe of a connection, in ms. */
const KEEPALIVE_DELAY = 30_000

/** Overrides what the application's pool does to rows by default. */
const PLAIN_ROWS: Omit<QueryOptions, 'sql'> = { rowsAsArray: true, nestTables: false, typeCast: true }

/** Only a function overrides the `typeCast` function of a pool. It makes several objects for each value, so other pools do without. */
const UNCAST_ROWS: Omit<QueryOptions, 'sql'> = { ...PLAIN_ROWS, typeCast: (_field, next) => next() }

function rowOptions({ connection }: PoolConnection): typeof PLAIN_ROWS {
  const { config }: { readonly config?: { readonly typeCast?: unknown } } = Object(connection)
  return typeof config?.typeCast === 'function' ? UNCAST_ROWS : PLAIN_ROWS
}

/** The connections on which the server has refused to prepare one more statement. */
const unprepared = new WeakSet<object>()

/** Runs one statement, which is prepared once per connection, as long as the server allows. */
export async function execute(
  connection: PoolConnection,
  sql: string,
  values: (string | number | Buffer)[] = [],
): Promise<MysqlReply> {
  const [answer] = await send(connection, sql, values)
  const result: unknown = answer
  if (Array.isArray(result)) return { rows: result, affected: 0 }
  const { affectedRows }: { affectedRows?: unknown } = Object(result)
  return { rows: [], affected: Number(affectedRows) }
}

async function send(
  connection: PoolConnection,
  sql: string,
  values: (string | number | Buffer)[],
): Promise<readonly [unknown, unknown]> {
  const options = rowOptions(connection)
  if (!unprepared.has(connection.connection)) {
    try {
      return await connection.execute<never>({ sql, ...options }, values)
    } catch (error) {
      if (!hasTooManyPrepared(error)) throw error
      unprepared.add(connection.connection)
    }
  }
  return connection.query<never>({ sql: inlined(sql, values), ...options })
}

/** The statement with its values, written so that neither the SQL mode nor the character set of the connection matters. */
function inlined(sql: string, values: readonly (string | number | Buffer)[]): string {
  let next = 0
  return sql.replaceAll('?', () => literal(values[next++] ?? ''))
}

function literal(value: string | number | Buffer): string {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string' && /^[\w ~-]*$/.test(value)) return `'${value}'`
  return `x'${Buffer.from(value).toString('hex')}'`
}

/** Connections of mysql2, for a {@link PooledRunner}. */
export class MysqlDriver implements PoolDriver<Pool, PoolConnection> {
  readonly name = 'mysql'
  readonly maxWaiting = 1_000
  readonly errors: PoolErrors = {
    wasNotApplied,
    wasRefusedConnection,
    wasLost,
    isReadOnly,
    breaksConnection,
    outdatesTable,
    errorOf: mysqlError,
  }
  readonly #options: MysqlConnectionOptions
  readonly #sockets = new Set<Socket>()

  constructor(options: MysqlConnectionOptions) {
    this.#options = options
  }

  async openPool(): Promise<Pool> {
    const { source } = this.#options
    if ('database' in source)
      return source.isTlsOptional === true ? this.#probe(source) : this.#createPool(source)
    return 'promise' in source ? source.promise() : source
  }

  acquire(pool: Pool): Promise<PoolConnection> {
    return pool.getConnection()
  }

  identityOf(connection: PoolConnection): object {
    return connection.connection
  }

  release(connection: PoolConnection, isBroken: boolean): void {
    if (isBroken) connection.destroy()
    else connection.release()
  }

  async closePool(pool: Pool): Promise<void> {
    if ('database' in this.#options.source) await pool.end()
  }

  destroySockets(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** A pool with TLS if the server offers it, which one connection finds out. */
  async #probe(source: MysqlConfig): Promise<Pool> {
    const pool = await this.#createPool(source)
    try {
      const connection = await pool.getConnection()
      connection.release()
      return pool
    } catch (error) {
      await pool.end()
      if (!lacksTls(error)) throw error
      const { tls: _, ...plain } = source
      return this.#createPool(plain)
    }
  }

  async #createPool({ socketPath, host, port, tls, keepAlive, ...config }: MysqlConfig): Promise<Pool> {
    const { createPool } = await loadDriver()
    const pool = createPool({
      user: config.user,
      password: config.password,
      database: config.database,
      connectionLimit: this.#options.poolSize,
      connectTimeout: config.connectTimeout ?? this.#options.timeout + CONNECT_MARGIN,
      charset: 'utf8mb4',
      trace: false,
      ...(tls === undefined ? {} : { ssl: { ...tls } }),
      ...(socketPath === undefined ? { host, port } : { socketPath }),
      stream: () =>
        this.#dial(socketPath === undefined ? connectTo(host, port) : connect(socketPath), keepAlive),
    })
    // The pool listens only for the first error of a connection; a second one would end the process.
    pool.on('connection', (connection: PoolConnection) => void connection.on('error', () => undefined))
    return pool
  }

  /** Registers a socket for {@link destroySockets}. It is destroyed when it ends, without waiting for a stalled server. */
  #dial(socket: Socket, keepAlive: number | false = KEEPALIVE_DELAY): Socket {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    if (keepAlive !== false) socket.setKeepAlive(true, keepAlive)
    socket.once('finish', () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }
}

/**
 * A socket to the host. The driver gives TLS no name to check where the host is an IP address; TLS takes it then from the
 * socket, which knows only names that it has looked up, and otherwise takes `localhost`. So the address is looked up like a
 * name, with a dot at its end, which TLS ignores.
 */
function connectTo(host: string, port: number): Socket {
  const family = isIP(host)
  if (family === 0) return connect(port, host)
  const lookup: LookupFunction = (_name, _options, found) => found(null, host, family)
  return connect({ host: `${host}.`, port, family, lookup })
}

async function loadDriver(): Promise<typeof import('mysql2/promise')> {
  try {
    return await import('mysql2/promise')
  } catch (error) {
    throw driverError('mysql2', error)
  }
}

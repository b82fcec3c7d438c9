import type { Pool, PoolClient, PoolConfig, QueryArrayConfig } from 'pg'
import { driverError } from '../shared/driver.ts'
import type { PoolDriver, PoolErrors } from '../shared/pooled-runner.ts'
import type { PostgresConfig } from './config.ts'
import {
  breaksConnection,
  isReadOnly,
  isRefusedEncryption,
  isRefusedParameter,
  outdatesTable,
  postgresError,
  wasLost,
  wasNotApplied,
  wasRefusedConnection,
} from './errors.ts'

/** SQL, and the name under which it is prepared, if it is. */
export interface Statement {
  readonly text: string
  readonly name?: string
}

/** The answer to a statement: its rows in the text format of the server, and the number of rows that it affected. */
export interface Answer {
  readonly rows: readonly (readonly (string | null)[])[]
  readonly count: number
}

/** Where the connections come from. */
export interface PostgresConnectionOptions {
  /** The pool of the application, or what the config string says. */
  readonly source: Pool | PostgresConfig
  readonly maxConnections: number
  readonly timeout: number
}

/** Overrides the parsers that the application has set for types: here a value is the text of the server. */
const AS_TEXT = { getTypeParser: (): StringConstructor => String }

/** Runs one statement. */
export async function execute(
  client: PoolClient,
  { text, name }: Statement,
  values: readonly (string | number | Buffer)[] = [],
): Promise<Answer> {
  const query: QueryArrayConfig = { text, values: [...values], rowMode: 'array', types: AS_TEXT }
  if (name !== undefined) query.name = name
  const { rows, rowCount } = await client.query<(string | null)[]>(query)
  return { rows, count: rowCount ?? 0 }
}

/** Connections of `pg`, for a {@link PooledRunner}. */
export class PostgresDriver implements PoolDriver<Pool, PoolClient> {
  readonly name = 'postgres'
  readonly maxWaiting = 10_000
  readonly errors: PoolErrors = {
    wasNotApplied,
    wasRefusedConnection,
    wasLost,
    isReadOnly,
    breaksConnection,
    outdatesTable,
    errorOf: postgresError,
  }
  readonly #options: PostgresConnectionOptions

  constructor(options: PostgresConnectionOptions) {
    this.#options = options
  }

  async openPool(): Promise<Pool> {
    const { source } = this.#options
    if ('encryption' in source) return createPool(source, this.#options)
    source.on('error', ignore)
    return source
  }

  acquire(pool: Pool): Promise<PoolClient> {
    return new Promise((resolve, reject) => {
      // With a callback: if a connection fails before a promise is settled, it has no error listener and ends the process.
      pool.connect((error, client) => {
        if (client === undefined) return reject(error)
        client.on('error', ignore)
        return resolve(client)
      })
    })
  }

  identityOf(client: PoolClient): object {
    return client
  }

  release(client: PoolClient, isBroken: boolean): void {
    client.release(isBroken)
    client.removeListener('error', ignore) // the pool has a listener of its own now
  }

  async closePool(pool: Pool): Promise<void> {
    if ('encryption' in this.#options.source) await pool.end()
    else pool.removeListener('error', ignore)
  }

  destroySockets(): void {
    // pg closes idle connections without waiting for the server, and a verb under way ends by its own deadline.
  }
}

/**
 * Makes a pool that has connected. The configuration that the server accepts is found with one connection, and is used for
 * all further ones.
 */
async function createPool(source: PostgresConfig, options: PostgresConnectionOptions): Promise<Pool> {
  const { default: pg } = await loadDriver()
  let refusal: unknown
  for (const config of poolConfigs(source, options)) {
    const pool = new pg.Pool(config)
    pool.on('error', ignore)
    try {
      const client = await pool.connect()
      client.release()
      return pool
    } catch (error) {
      await pool.end()
      if (!isRefusedParameter(error) && !isRefusedEncryption(error)) throw error
      refusal ??= error
    }
  }
  throw refusal
}

/** A pooler may refuse the parameter `statement_timeout`; without it only the deadline of the verb applies. */
function poolConfigs(
  { client, encryption }: PostgresConfig,
  { maxConnections, timeout }: PostgresConnectionOptions,
): PoolConfig[] {
  const common: PoolConfig = {
    ...client,
    max: maxConnections,
    connectionTimeoutMillis: Math.min(timeout, client.connectionTimeoutMillis ?? timeout),
    keepAlive: true,
    allowExitOnIdle: true,
  }
  return encryption.flatMap((ssl) => [
    { ...common, ssl, statement_timeout: timeout },
    { ...common, ssl },
  ])
}

/** The pool drops a failed connection by itself, and the statement on it rejects. */
function ignore(): undefined {
  return undefined
}

async function loadDriver(): Promise<typeof import('pg')> {
  try {
    return await import('pg')
  } catch (error) {
    throw driverError('pg', error)
  }
}

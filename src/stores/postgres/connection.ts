import type { Pool, PoolClient, PoolConfig, QueryArrayConfig } from 'pg'
import { driverError } from '../shared/driver.ts'
import type { PoolDriver, PoolErrors } from '../shared/pooled-runner.ts'
import { Refusal } from '../shared/errors.ts'
import { guardedClient } from './authentication.ts'
import type { PostgresConfig } from './config.ts'
import {
  breaksConnection,
  isReadOnly,
  isRefusedConnection,
  mostTelling,
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
  /** The connections to a server of the kind that is wanted. */
  readonly #assessed = new WeakSet<PoolClient>()

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
    const { source } = this.#options
    const taken = take(pool)
    if (!('encryption' in source) || source.target === undefined) return taken
    return taken.then(async (client) => this.#assertTarget(client, source.target))
  }

  /** Looks at a new connection. The kind of a server does not change unless it ends its connections, or refuses writes. */
  async #assertTarget(client: PoolClient, target: PostgresConfig['target']): Promise<PoolClient> {
    if (this.#assessed.has(client)) return client
    try {
      const { rows } = await execute(client, {
        text: `SELECT pg_is_in_recovery()::int, (current_setting('transaction_read_only') = 'on')::int`,
      })
      const [standby, readOnly] = rows[0] ?? []
      if (standby === '1' || (target === 'read-write' && readOnly === '1'))
        throw new Refusal(
          `the server is ${standby === '1' ? 'a standby' : 'read-only'}, and target_session_attrs=${target} asks for another one`,
        )
    } catch (error) {
      client.release(true)
      throw error
    }
    this.#assessed.add(client)
    return client
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

function take(pool: Pool): Promise<PoolClient> {
  return new Promise((resolve, reject) => {
    // With a callback: if a connection fails before a promise is settled, it has no error listener and ends the process.
    pool.connect((error, client) => {
      if (client === undefined) return reject(error)
      client.on('error', ignore)
      return resolve(client)
    })
  })
}

/**
 * Makes a pool that has connected. The configuration that the server accepts is found with one connection, and is used for
 * all further ones.
 */
async function createPool(source: PostgresConfig, options: PostgresConnectionOptions): Promise<Pool> {
  const { default: pg } = await loadDriver()
  const Client = guardedClient(pg.Client, source.authentication)
  const refusals: unknown[] = []
  for (const config of poolConfigs(source, options)) {
    const pool = new pg.Pool({ ...config, Client })
    pool.on('error', ignore)
    try {
      const client = await pool.connect()
      client.release()
      return pool
    } catch (error) {
      await pool.end()
      if (!isRefusedConnection(error)) throw error
      refusals.push(error)
    }
  }
  throw mostTelling(refusals)
}

/** A pooler may refuse the parameter `statement_timeout`; without it only the deadline of the verb applies. */
function poolConfigs(
  { client, encryption, authentication, statementTimeout = Infinity }: PostgresConfig,
  { maxConnections, timeout }: PostgresConnectionOptions,
): PoolConfig[] {
  const { sslnegotiation, ...plain } = client
  const common: PoolConfig = {
    ...plain,
    max: maxConnections,
    connectionTimeoutMillis: Math.min(timeout, client.connectionTimeoutMillis ?? timeout),
    allowExitOnIdle: true,
  }
  const isBound = authentication.binding === 'prefer' || authentication.binding === 'require'
  return encryption.flatMap((ssl) => {
    // Given in any case: otherwise the driver takes it from the environment, and refuses it without TLS.
    const negotiation = ssl === false ? 'postgres' : sslnegotiation
    const way = {
      ...common,
      ssl,
      sslnegotiation: negotiation,
      enableChannelBinding: isBound && ssl !== false,
    }
    return [{ ...way, statement_timeout: Math.min(timeout, statementTimeout) }, way]
  })
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

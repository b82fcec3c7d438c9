import type { Pool, PoolConfig } from 'pg'
import { loadDriver } from '../shared/driver.ts'
import type { PostgresConfig } from './config.ts'
import { isRefusedEncryption, isRefusedParameter } from './errors.ts'

/** Where to connect to, how often at most, and how long to wait, in ms. */
export interface PoolOptions {
  readonly address?: PostgresConfig | undefined
  readonly maxConnections: number
  readonly timeout: number
}

/**
 * A pool that has got through to the server. What a server refuses is known after one connection, so the way that was
 * found holds for all of them.
 */
export async function makePool(options: PoolOptions): Promise<Pool> {
  const { default: pg } = await loadDriver('pg', async () => import('pg'))
  let refusal: unknown
  for (const config of waysTo(options)) {
    const pool = new pg.Pool(config)
    // The pool has dropped the connection by then, and its user is told by the rejection of the statement.
    pool.on('error', () => undefined)
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

/** A pooler before the server may refuse to pass on `statement_timeout`; then the deadline on this side has to do. */
function waysTo({ address, maxConnections, timeout }: PoolOptions): PoolConfig[] {
  const { client, encryption } = address ?? { client: {}, encryption: [] }
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

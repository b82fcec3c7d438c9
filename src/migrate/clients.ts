/** A connected client of Redis: of ioredis, or of the package redis (node-redis). */
export interface RedisClient {
  get(key: string): Promise<string | null>
  del(key: string): Promise<number>
  /** How long the key lives, in ms; below 0 for no end, or no key. Of ioredis. */
  pttl?(key: string): Promise<number>
  /** The same of node-redis. */
  pTTL?(key: string): Promise<number>
}

/** A connected client of ioredis, which can read bytes. */
export interface BinaryRedisClient {
  getBuffer(key: string): Promise<Buffer | null>
  del(key: string): Promise<number>
  pttl(key: string): Promise<number>
}

/** A pool of connections of pg, or a client. */
export interface PostgresPool {
  query(text: string, values: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

/** A pool of connections of mysql2/promise, or a connection. */
export interface MysqlPool {
  query(sql: string, values: unknown[]): Promise<readonly [rows: unknown, fields: unknown]>
}

/** Until when a key of Redis lives, in ms since the epoch; `undefined` if it has no end. */
export async function redisEnd(
  client: Pick<RedisClient, 'pttl' | 'pTTL'>,
  key: string,
  now: number,
): Promise<number | undefined> {
  const ms = await (client.pttl?.(key) ?? client.pTTL?.(key))
  return ms === undefined || ms < 0 ? undefined : now + ms
}

/** What is stored under a key. A key that holds something else than text was not written by the old library. */
export async function redisValue<T>(read: Promise<T | null>): Promise<T | undefined> {
  try {
    return (await read) ?? undefined
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return undefined
    throw error
  }
}

/** The first row that a query has found, with its columns by name. */
export async function postgresRow(
  pool: PostgresPool,
  text: string,
  values: unknown[],
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const { rows } = await pool.query(text, values)
  return rows[0] as Readonly<Record<string, unknown>> | undefined // as pg returns rows
}

/** The first row that a query has found, with its columns by name. */
export async function mysqlRow(
  pool: MysqlPool,
  sql: string,
  values: unknown[],
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const [rows] = await pool.query(sql, values)
  return Array.isArray(rows) ? (rows[0] as Readonly<Record<string, unknown>> | undefined) : undefined // as mysql2 returns rows
}

/** A name in PostgreSQL, quoted. */
export function quotePostgres(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A name in MySQL, quoted. */
export function quoteMysql(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

import type { ExecuteValues, PoolConnection, QueryOptions } from 'mysql2/promise'

/** What a statement answered: rows of columns, or how many rows it found. */
export interface MysqlReply {
  readonly rows: readonly (readonly unknown[])[]
  readonly affected: number
}

/** Rows as they are, whatever the pool of somebody else does to them by default. */
const PLAINLY: Omit<QueryOptions, 'sql'> = {
  rowsAsArray: true,
  nestTables: false,
  typeCast: (_field, next) => next(),
}

/** Runs one statement, prepared once per connection. */
export async function execute(
  connection: PoolConnection,
  sql: string,
  values: ExecuteValues[] = [],
): Promise<MysqlReply> {
  const [answer] = await connection.execute<never>({ sql, ...PLAINLY }, values)
  const result: unknown = answer
  if (Array.isArray(result)) return { rows: result, affected: 0 }
  const { affectedRows }: { affectedRows?: unknown } = Object(result)
  return { rows: [], affected: Number(affectedRows) }
}

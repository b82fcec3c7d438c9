import type { PoolConnection } from 'mysql2/promise'
import { execute } from './mysql-client.ts'
import type { MysqlTable } from './mysql-table.ts'

/** The largest batch: so many locks are taken and so many placeholders prepared at most. */
const MAX_BATCH = 1_000

/**
 * Removes up to `limit` expired rows, and tells how many; 0 if another process is sweeping at this moment. It waits for
 * nobody's lock, and locks nothing but what it removes.
 */
export async function sweepTable(
  connection: PoolConnection,
  table: MysqlTable,
  limit: number,
): Promise<number> {
  const batch = Math.min(Math.floor(limit), MAX_BATCH)
  if (batch < 1) return 0
  const { lock, locksRows } = table.schema
  const { rows } = await execute(connection, 'SELECT GET_LOCK(?, 0)', [lock])
  if (Number(rows[0]?.[0]) !== 1) return 0
  try {
    const removed = await (locksRows ? removeUnlocked : removePlainly)(connection, table, batch)
    await execute(connection, 'SELECT RELEASE_LOCK(?)', [lock])
    return removed
  } catch (error) {
    connection.destroy() // with it end the lock and the transaction, whatever became of them
    throw error
  }
}

async function removePlainly(
  connection: PoolConnection,
  { statements }: MysqlTable,
  batch: number,
): Promise<number> {
  return (await execute(connection, statements.removeExpired(batch))).affected
}

/**
 * Looks first, and locks by primary key then: a locking read along the index on the expiry would lock gaps that others
 * want to write to, and one without such an index every row it passes.
 */
async function removeUnlocked(
  connection: PoolConnection,
  { statements }: MysqlTable,
  batch: number,
): Promise<number> {
  const expired = keysIn(await execute(connection, statements.expired(batch)))
  if (expired.length === 0) return 0
  await connection.beginTransaction()
  const locked = keysIn(await execute(connection, statements.lockExpired(batch), filled(expired, batch)))
  const removed =
    locked.length === 0
      ? 0
      : (await execute(connection, statements.remove(batch), filled(locked, batch))).affected
  await connection.commit()
  return removed
}

function keysIn({ rows }: { readonly rows: readonly (readonly unknown[])[] }): string[] {
  return rows.map(([key]) => String(key))
}

/** Made up to `size` by repetition, so that one prepared statement serves however many there are. */
function filled(keys: readonly string[], size: number): string[] {
  return Array.from({ length: size }, (_, at) => keys[at] ?? keys[0] ?? '')
}

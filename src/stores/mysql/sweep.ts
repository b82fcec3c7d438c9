import type { PoolConnection } from 'mysql2/promise'
import { execute } from './execute.ts'
import type { MysqlTable } from './table.ts'

/** The largest batch. From a thousand keys on MariaDB would read the whole table instead of looking them up. */
const MAX_BATCH = 500

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
    connection.destroy() // with it ends the lock, whatever became of the rest
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

/** Looks first and locks then: a locking look would lock gaps that others write to, or every row that it passes. */
async function removeUnlocked(
  connection: PoolConnection,
  { statements }: MysqlTable,
  batch: number,
): Promise<number> {
  const { rows } = await execute(connection, statements.expired(batch))
  const keys = rows.map(([key]) => String(key))
  const [first] = keys
  if (first === undefined) return 0
  // Made up to the size of the batch by repetition, so that one prepared statement serves however many there are.
  const values = Array.from({ length: batch }, (_, at) => keys[at] ?? first)
  return (await execute(connection, statements.remove(batch), values)).affected
}

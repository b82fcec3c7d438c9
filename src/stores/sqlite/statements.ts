import { VERSION_LENGTH } from '../../store.ts'
import type { SqliteClient, SqliteStatement, SqliteValue } from './client.ts'

/** The names of the statements of a table. */
type Name = 'read' | 'create' | 'replace' | 'touch' | 'look' | 'destroy' | 'destroyBase' | 'count' | 'sweep'

/**
 * The SQL of every verb, for one table. `?1` is the key, and `?2` the time of the call. What was changed is told by `RETURNING`
 * and not by the number of changes, which drivers give in different forms. Each statement is run to its end, since only then
 * SQLite has committed it.
 */
export class SqliteStatements {
  readonly #client: SqliteClient
  readonly #sql: Readonly<Record<Name, string>>
  readonly #prepared = new Map<Name, SqliteStatement>()

  constructor(client: SqliteClient, table: string) {
    const living = 'session_key = ?1 AND session_expiry > ?2'
    const version = `substr(session_data, 1, ${VERSION_LENGTH})`
    this.#client = client
    this.#sql = {
      read: `SELECT session_data, session_expiry FROM "${table}" WHERE ${living}`,
      create: `INSERT INTO "${table}" AS held (session_key, session_data, session_expiry) VALUES (?1, ?3, ?4)
        ON CONFLICT (session_key) DO UPDATE
        SET session_data = excluded.session_data, session_expiry = excluded.session_expiry
        WHERE held.session_expiry <= ?2 RETURNING 1 AS done`,
      replace: `UPDATE "${table}" SET session_data = ?3, session_expiry = ?4
        WHERE ${living} AND ${version} = ?5 RETURNING 1 AS done`,
      touch: `UPDATE "${table}" SET session_expiry = ?3 WHERE ${living} AND session_expiry < ?3 RETURNING 1 AS done`,
      look: `SELECT 1 AS done FROM "${table}" WHERE ${living}`,
      destroy: `DELETE FROM "${table}" WHERE session_key = ?1 RETURNING session_expiry > ?2 AS done`,
      destroyBase: `DELETE FROM "${table}" WHERE ${living} AND ${version} = ?3 RETURNING 1 AS done`,
      count: `SELECT count(*) AS done FROM "${table}" WHERE session_expiry > ?1`,
      sweep: `DELETE FROM "${table}" WHERE session_key IN
        (SELECT session_key FROM "${table}" WHERE session_expiry <= ?1 ORDER BY session_expiry LIMIT ?2)
        RETURNING 1 AS done`,
    }
  }

  /** The rows of a statement. */
  run(name: Name, ...values: readonly SqliteValue[]): readonly unknown[] {
    let statement = this.#prepared.get(name)
    if (statement === undefined) {
      statement = this.#client.prepare(this.#sql[name])
      this.#prepared.set(name, statement)
    }
    return statement.all(...values)
  }
}

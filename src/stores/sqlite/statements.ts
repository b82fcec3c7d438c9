import { VERSION_LENGTH } from '../../store.ts'
import type { SqliteClient, SqliteStatement, SqliteValue } from './client.ts'

/** The names of the statements of a table. */
type Name =
  | 'read'
  | 'create'
  | 'replace'
  | 'touch'
  | 'look'
  | 'destroy'
  | 'destroyBase'
  | 'count'
  | 'sample'
  | 'sweep'

/**
 * The SQL of every verb, for one table, with the values in the order of their places: drivers differ in what a number after `?`
 * means. What was changed is told by `RETURNING` and not by the number of changes, which drivers give in different forms. Each
 * statement is run to its end, since only then SQLite has committed it.
 */
export class SqliteStatements {
  readonly #client: SqliteClient
  readonly #sql: Readonly<Record<Name, string>>
  readonly #prepared = new Map<Name, SqliteStatement>()

  constructor(client: SqliteClient, table: string) {
    const living = 'session_key = ? AND session_expiry > ?'
    const version = `substr(session_data, 1, ${VERSION_LENGTH})`
    this.#client = client
    this.#sql = {
      read: `SELECT session_data, session_expiry FROM "${table}" WHERE ${living}`,
      create: `INSERT INTO "${table}" AS held (session_key, session_data, session_expiry) VALUES (?, ?, ?)
        ON CONFLICT (session_key) DO UPDATE
        SET session_data = excluded.session_data, session_expiry = excluded.session_expiry
        WHERE held.session_expiry <= ? RETURNING 1 AS done`,
      replace: `UPDATE "${table}" SET session_data = ?, session_expiry = ?
        WHERE ${living} AND ${version} = ? RETURNING 1 AS done`,
      touch: `UPDATE "${table}" SET session_expiry = ? WHERE ${living} AND session_expiry < ? RETURNING 1 AS done`,
      look: `SELECT 1 AS done FROM "${table}" WHERE ${living}`,
      destroy: `DELETE FROM "${table}" WHERE session_key = ? RETURNING session_expiry > ? AS done`,
      destroyBase: `DELETE FROM "${table}" WHERE ${living} AND ${version} = ? RETURNING 1 AS done`,
      count: `SELECT count(*) AS done FROM "${table}" WHERE session_expiry > ?`,
      sample: `SELECT session_key FROM "${table}" WHERE session_expiry > ? LIMIT 100`,
      sweep: `DELETE FROM "${table}" WHERE session_key IN
        (SELECT session_key FROM "${table}" WHERE session_expiry <= ? ORDER BY session_expiry LIMIT ?)
        RETURNING 1 AS done`,
    }
  }

  /** The rows of a statement that is seldom needed. */
  query(sql: string): readonly unknown[] {
    return this.#client.prepare(sql).all()
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

/** What the store needs of a prepared statement. */
export interface SqliteStatement {
  /** Runs the statement to its end. Each row is an object with the names of the columns. */
  all(...values: SqliteValue[]): readonly unknown[]
}

/** What the store binds to a statement. */
export type SqliteValue = string | number | Uint8Array

/** A connection to a database, as `node:sqlite` and `better-sqlite3` make them. */
export interface SqliteClient {
  /** Runs SQL that returns nothing. */
  exec(sql: string): unknown
  /** Compiles one statement. */
  prepare(sql: string): SqliteStatement
}

/** Whether the client says that a transaction is open: `isTransaction` in `node:sqlite`, `inTransaction` in `better-sqlite3`. */
export function isInTransaction(client: SqliteClient): boolean {
  const { isTransaction, inTransaction }: { isTransaction?: unknown; inTransaction?: unknown } =
    Object(client)
  return isTransaction === true || inTransaction === true
}

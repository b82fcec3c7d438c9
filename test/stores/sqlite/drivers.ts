import Database from 'libsql'
import { DatabaseSync } from '@photostructure/sqlite'
import type { SqliteClient } from '../../../src/stores/sqlite.ts'

/** A connection of a test, which the test closes. */
export interface TestClient extends SqliteClient {
  close(): unknown
}

type Opener = (file: string) => TestClient

const builtin = Object(process.getBuiltinModule('node:sqlite')) as {
  readonly DatabaseSync?: new (file: string) => TestClient
}
const { DatabaseSync: Builtin } = builtin

/**
 * Every kind of client for this Node.js. `@photostructure/sqlite` is `node:sqlite` as a package, and `libsql` has the classes and
 * errors of `better-sqlite3`, and is not compiled when it is installed. It is less strict, see {@link strict}.
 */
export const drivers: Readonly<Record<string, Opener>> =
  Builtin === undefined
    ? {
        'the package': (file) => new DatabaseSync(file),
        'the API of better-sqlite3': (file) => strict(new Database(file)),
      }
    : { 'node:sqlite': (file) => new Builtin(file) }

/** Refuses what `better-sqlite3` refuses and `libsql` does not: numbered places, and rows of a statement that has none. */
function strict(client: Database.Database): TestClient {
  return {
    exec: (sql) => client.exec(sql),
    prepare(sql) {
      const statement = client.prepare(sql)
      const isWrong = /\?\d/.test(sql) || !/^(?:SELECT|PRAGMA)|\sRETURNING\s/.test(sql)
      return {
        all(...values) {
          if (isWrong) throw new TypeError(`better-sqlite3 refuses this: ${sql}`)
          return statement.all(...values)
        },
      }
    },
    close: () => client.close(),
  }
}

/**
 * A connection past the store: to look, to lock and to damage. It is of the driver that a store uses by itself, since two libraries
 * of SQLite in one process do not see the locks of each other.
 */
export function openClient(file: string): TestClient {
  return Builtin === undefined ? new DatabaseSync(file) : new Builtin(file)
}

/** What a statement of a test returns. */
export function query(
  client: SqliteClient,
  sql: string,
  ...values: readonly (string | number)[]
): readonly unknown[] {
  return client.prepare(sql).all(...values)
}

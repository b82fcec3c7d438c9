import { refusedError } from '../shared/errors.ts'
import type { SqliteClient } from './client.ts'
import { SqliteStatements } from './statements.ts'

/** The oldest SQLite that has what the statements need: `RETURNING` and strict tables. */
const OLDEST = [3, 37]

/** The columns, with the types that the store needs. */
const COLUMNS: Readonly<Record<string, string>> = {
  session_key: 'TEXT',
  session_data: 'BLOB',
  session_expiry: 'INTEGER',
}

interface Column {
  readonly type: string
  readonly isDemanded: boolean
  readonly isKey: boolean
}

/**
 * Finds the table, creates it if it is missing, and checks that it is one of sessions.
 *
 * @throws SessionError `ERR_SESSION_STORE` for an old SQLite or a table of another kind
 */
export function openTable(client: SqliteClient, table: string): SqliteStatements {
  checkVersion(client)
  if (inspect(client, table).size === 0) client.exec(tableDefinition(table))
  const flaw = flawOf(inspect(client, table))
  if (flaw !== undefined) throw refusal(`the table ${table} is not a table of sessions: ${flaw}`)
  return new SqliteStatements(client, table)
}

/** The SQL that creates the table: one transaction, so that two processes can start at the same time. */
export function tableDefinition(table: string): string {
  return `BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS "${table}" (
  session_key    TEXT NOT NULL PRIMARY KEY,
  session_data   BLOB NOT NULL,
  session_expiry INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS "${table}_expiry" ON "${table}" (session_expiry);
COMMIT;`
}

function checkVersion(client: SqliteClient): void {
  const [row] = client.prepare('SELECT sqlite_version() AS version').all()
  const version = String(Object(row).version)
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor))
    throw refusal(
      `the driver has SQLite ${version}, and ${OLDEST.join('.')} or newer is needed: install a newer driver`,
    )
}

function inspect(client: SqliteClient, table: string): ReadonlyMap<string, Column> {
  const rows = client
    .prepare('SELECT name, type, "notnull" AS demanded, dflt_value AS fallback, pk FROM pragma_table_info(?)')
    .all(table)
  return new Map(
    rows.map((row) => {
      const { name, type, demanded, fallback, pk } = Object(row)
      const isDemanded = Number(demanded) === 1 && fallback === null
      return [String(name), { type: String(type).toUpperCase(), isDemanded, isKey: Number(pk) > 0 }]
    }),
  )
}

/** What is wrong with a table that has these columns; `undefined` if nothing is. */
function flawOf(columns: ReadonlyMap<string, Column>): string | undefined {
  for (const [name, type] of Object.entries(COLUMNS)) {
    const column = columns.get(name)
    if (column === undefined) return `there is no column ${name}`
    if (column.type !== type) return `${name} is of type ${column.type === '' ? 'none' : column.type}`
  }
  const keys = [...columns].filter(([, { isKey }]) => isKey).map(([name]) => name)
  if (keys.join() !== 'session_key') return 'session_key is not the primary key'
  for (const [name, { isDemanded }] of columns) {
    if (isDemanded && !(name in COLUMNS)) return `the other column ${name} has no default`
  }
  return undefined
}

function refusal(what: string): Error {
  return refusedError('sqlite', what)
}

import type { PoolClient } from 'pg'
import { refusedError } from '../shared/errors.ts'
import { execute } from './connection.ts'
import { PostgresStatements } from './statements.ts'

const OLDEST = 140_000

const OWN: Readonly<Record<string, RegExp>> = {
  session_key: /^text$/,
  session_data: /^text$/,
  session_expiry: /^timestamp(?:\([3-6]\))? with time zone$/,
  session_due: /^timestamp(?:\([3-6]\))? with time zone$/,
}

const CLASSIC: Readonly<Record<string, RegExp>> = {
  session_key: /^(?:text|character varying|character(?: varying)?\((?:6[4-9]|[7-9]\d|\d{3,})\))$/,
  session_data: /^bytea$/,
  session_expiry: /^timestamp(?:\([3-6]\))? without time zone$/,
}

/** Name and type of each column, whether an INSERT must give a value for it, and whether it is a unique key. */
const INSPECT = `
  SELECT attname, format_type(atttypid, atttypmod),
    (attnotnull AND NOT atthasdef AND attidentity = '')::int,
    EXISTS (SELECT FROM pg_index WHERE indrelid = attrelid AND indisunique AND indimmediate AND indisvalid
      AND indpred IS NULL AND indnkeyatts = 1 AND indkey[0] = attnum)::int
  FROM pg_attribute
  WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`

interface Column {
  readonly type: string
  readonly isDemanded: boolean
  readonly isUnique: boolean
}

/**
 * Finds the table, creates it if it is missing, and checks that it is one of the two kinds that a store can use.
 *
 * @throws SessionError `ERR_SESSION_STORE` for an old server, an encoding other than UTF-8, or a table of another kind
 */
export async function openTable(
  client: PoolClient,
  name: string,
  isPrepared: boolean,
): Promise<PostgresStatements> {
  const table = name.split('.').map(quoted).join('.')
  await checkServer(client)
  let columns = await inspect(client, table)
  if (columns.size === 0) {
    await execute(client, { text: tableDefinition(table, name) })
    columns = await inspect(client, table)
  }
  const layout = columns.has('session_due') ? 'own' : 'classic'
  const flaw = flawOf(columns, layout === 'own' ? OWN : CLASSIC)
  if (flaw !== undefined) throw refusal(`the table ${name} is not a table of sessions: ${flaw}`)
  return new PostgresStatements(layout, table, isPrepared)
}

/**
 * The SQL that creates the table. A lock makes other processes wait, since `IF NOT EXISTS` alone can fail if two processes
 * start at the same time. It is sent as one text, so it is one transaction.
 */
export function tableDefinition(table: string, name: string): string {
  return `SELECT pg_advisory_xact_lock(hashtext('koa-typed-session'), 0);
CREATE TABLE IF NOT EXISTS ${table} (
  session_key    text COLLATE "C" PRIMARY KEY,
  session_data   text NOT NULL,
  session_expiry timestamptz NOT NULL,
  session_due    timestamptz NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX IF NOT EXISTS ${quoted(`${name.split('.').at(-1)}_due`)} ON ${table} (session_due);`
}

async function checkServer(client: PoolClient): Promise<void> {
  const { rows } = await execute(client, {
    text: `SELECT current_setting('server_version_num'), current_setting('server_version'),
      current_setting('server_encoding'), current_setting('client_encoding')`,
  })
  const [number, version, ...encodings] = rows[0] ?? []
  if (Number(number) < OLDEST) throw refusal(`the server is PostgreSQL ${version}, and 14 or newer is needed`)
  for (const encoding of encodings) {
    if (encoding !== 'UTF8')
      throw refusal(`the encoding of database and client must be UTF8, not ${encoding}`)
  }
}

async function inspect(client: PoolClient, table: string): Promise<ReadonlyMap<string, Column>> {
  const { rows } = await execute(client, { text: INSPECT }, [table])
  return new Map(
    rows.map(([name, type, demanded, unique]) => [
      String(name),
      { type: String(type), isDemanded: demanded === '1', isUnique: unique === '1' },
    ]),
  )
}

/** What is wrong with a table that has these columns; `undefined` if nothing is. */
function flawOf(
  columns: ReadonlyMap<string, Column>,
  expected: Readonly<Record<string, RegExp>>,
): string | undefined {
  for (const [name, type] of Object.entries(expected)) {
    const column = columns.get(name)
    if (column === undefined) return `there is no column ${name}`
    if (!type.test(column.type)) return `${name} is of type ${column.type}`
  }
  if (columns.get('session_key')?.isUnique !== true) return 'session_key is not the primary key'
  for (const [name, { isDemanded }] of columns) {
    if (isDemanded && !(name in expected)) return `the other column ${name} has no default`
  }
  return undefined
}

function quoted(name: string): string {
  return `"${name}"`
}

function refusal(what: string): Error {
  return refusedError('postgres', what)
}

import * as fs from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { tableDefinition } from '../../../src/stores/sqlite/schema.ts'
import { temporaryFolder } from '../../support/cleanup.ts'
import { statementsOf } from '../../support/markdown.ts'
import { openClient, query, type TestClient } from './drivers.ts'

const base = await temporaryFolder('kts-sqlite-table-')
const LIFE = Date.now() + 3_600_000
const PAYLOAD = 'kts1 aaaaaaaaaaaaaaaa old'

let files = 0
/** A new database, a connection to it, and a store. */
function stage(): { client: TestClient; store: SqliteStore; end(): Promise<void> } {
  const file = path.join(base, `${(files += 1)}.db`)
  const client = openClient(file)
  const store = new SqliteStore({ path: file, sync: false })
  return {
    client,
    store,
    async end() {
      await store.close()
      client.close()
    },
  }
}
test.before(async () => fs.chmod(base, 0o700))

const COLUMNS =
  'session_key TEXT NOT NULL PRIMARY KEY, session_data BLOB NOT NULL, session_expiry INTEGER NOT NULL'
const flaws: Readonly<Record<string, readonly [definition: string, flaw: RegExp]>> = {
  'without a column': [
    'session_key TEXT PRIMARY KEY, session_data BLOB',
    /there is no column session_expiry$/,
  ],
  'with a column of another type': [COLUMNS.replace('BLOB', 'TEXT'), /session_data is of type TEXT$/],
  'without a type': [COLUMNS.replace('BLOB', ''), /session_data is of type none$/],
  'without its primary key': [COLUMNS.replace(' PRIMARY KEY', ''), /session_key is not the primary key$/],
  'with a longer primary key': [
    `${COLUMNS.replace(' PRIMARY KEY', '')}, PRIMARY KEY (session_key, session_expiry)`,
    /session_key is not the primary key$/,
  ],
  'with another column that must be filled': [
    `${COLUMNS}, owner TEXT NOT NULL`,
    /the other column owner has no default$/,
  ],
}
for (const [what, [definition, flaw]] of Object.entries(flaws)) {
  test(`F25: a table ${what} is told by its column, stays as it is, and is used when it fits`, async (t) => {
    const { client, store, end } = stage()
    client.exec(`CREATE TABLE session (${definition})`)
    const calls = [
      store.open(),
      store.read('a'),
      store.create('a', PAYLOAD, LIFE),
      store.sweep(1),
      store.count(),
    ]
    for (const call of calls) {
      const error = await t.throwsAsync(call, { code: 'ERR_SESSION_STORE', message: flaw })
      t.regex(error.message, /^sqlite: the table session is not a table of sessions: /)
      t.is(Object(error).answered, true)
    }
    t.is(
      String(Object(query(client, 'SELECT sql FROM sqlite_schema')[0]).sql),
      `CREATE TABLE session (${definition})`,
    )
    client.exec(`DROP TABLE session; ${tableDefinition('session')}`)
    t.is(typeof (await store.create('a', PAYLOAD, LIFE)), 'object')
    await end()
  })
}

test('F25: a table with other columns that need no value is used', async (t) => {
  const { client, store, end } = stage()
  client.exec(`CREATE TABLE session (${COLUMNS}, note TEXT, made TEXT NOT NULL DEFAULT 'now')`)
  await store.create('a', PAYLOAD, LIFE)
  t.is((await store.read('a'))?.payload, PAYLOAD)
  await end()
})

test('F25: a table that was dropped is told once, and created again', async (t) => {
  const { client, store, end } = stage()
  await store.create('a', PAYLOAD, LIFE)
  client.exec('DROP TABLE session')
  await t.throwsAsync(store.read('a'), { message: /^sqlite: read failed: the table was dropped or changed/ })
  t.is(await store.read('a'), undefined)
  client.exec('DROP TABLE session')
  const writes = await Promise.allSettled(
    ['a', 'b', 'c'].map(async (key) => store.create(key, PAYLOAD, LIFE)),
  )
  t.true(writes.some(({ status }) => status === 'fulfilled'))
  t.is(await store.count(), writes.filter(({ status }) => status === 'fulfilled').length)
  await end()
})

test('F25: an older SQLite is refused with its version', async (t) => {
  const client = {
    exec: () => undefined,
    prepare: (sql: string) => ({
      all: () => (sql.includes('sqlite_version') ? [{ version: '3.34.1' }] : [{ journal_mode: 'wal' }]),
    }),
  }
  await t.throwsAsync(new SqliteStore({ client }).open(), {
    message: 'sqlite: the driver has SQLite 3.34.1, and 3.37 or newer is needed: install a newer driver',
  })
})

test('two tables of one file do not see each other', async (t) => {
  const { store, end } = stage()
  const other = new SqliteStore({ path: path.join(base, `${files}.db`), table: 'admin', sync: false })
  await store.create('a', PAYLOAD, LIFE)
  t.is(await other.read('a'), undefined)
  await other.create('a', PAYLOAD, LIFE)
  await store.destroy('a')
  t.is((await other.read('a'))?.payload, PAYLOAD)
  await other.close()
  await end()
})

test('the table of the documentation is the one that the store creates', async (t) => {
  const { client, store, end } = stage()
  for (const statement of await statementsOf('docs/stores/sqlite.md', 'CREATE TABLE')) client.exec(statement)
  await store.create('a', PAYLOAD, LIFE)
  const columns = 'SELECT name, type, "notnull" AS demanded, pk FROM pragma_table_info(?) ORDER BY name'
  const ours = query(client, columns, 'session')
  client.exec(tableDefinition('other'))
  t.deepEqual(ours, query(client, columns, 'other'))
  t.is(query(client, "SELECT 1 FROM sqlite_schema WHERE name = 'session_expiry'").length, 1)
  await end()
})

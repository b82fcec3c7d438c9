import { readFile } from 'node:fs/promises'
import test from 'ava'
import type { SessionError } from '../../../src/errors.ts'
import { tableDefinition } from '../../../src/stores/postgres/schema.ts'
import { PostgresStore } from '../../../src/stores/postgres.ts'
import { CLASSIC_TABLE, emptyDatabase, postgresServer, type Database } from '../../servers/postgres.ts'

const server = await postgresServer()
const databases: Database[] = []
test.after.always(async () => {
  await Promise.all(databases.map(async (database) => database.drop()))
  await server.stop()
})

const PAYLOAD = 'kts1 0123456789abcdef body'
const MOMENT = 4_102_444_800_123

async function fresh(options?: string): Promise<Database> {
  const database = await emptyDatabase(server, options)
  databases.push(database)
  return database
}

function withOptions(url: string, options: string): string {
  const changed = new URL(url)
  changed.searchParams.set('options', options)
  return changed.href
}

test('F25: many processes that start at once create one table', async (t) => {
  const { url } = await fresh()
  for (const table of ['session', 'other']) {
    const stores = Array.from({ length: 12 }, () => new PostgresStore({ url, table, maxConnections: 1 }))
    await Promise.all(stores.map(async (store) => store.open()))
    await Promise.all(stores.map(async (store, at) => store.create(`key-${at}`, PAYLOAD, MOMENT)))
    t.is(await stores[0]?.count(), 12)
    await Promise.all(stores.map(async (store) => store.close()))
  }
})

test('the created table is the one in the documentation', async (t) => {
  const page = await readFile(new URL('../../../docs/stores/postgres.md', import.meta.url), 'utf8')
  const [, documented] = /```sql\n(.*?)\n```/s.exec(page) ?? []
  const made = tableDefinition('session', 'session').split('\n').slice(1).join('\n')
  t.is(made.replace('"session_due"', 'session_due'), documented ?? '')
})

test('the table can have another name and a schema, in upper case too', async (t) => {
  const { url, query } = await fresh()
  await query('CREATE SCHEMA "App"')
  for (const table of ['"', 'Shop', 'user', 'App.Session']) {
    if (table === '"') {
      t.throws(() => new PostgresStore({ url, table }), { message: /table must be a plain name/ })
      continue
    }
    const store = new PostgresStore({ url, table })
    await store.create('key', PAYLOAD, MOMENT)
    const [row] = await query(
      `SELECT count(*)::int FROM ${table
        .split('.')
        .map((name) => `"${name}"`)
        .join('.')}`,
    )
    t.deepEqual(row, { count: 1 })
    await store.close()
  }
})

test('the table is found in the search path of the config string', async (t) => {
  const { url, query } = await fresh()
  await query('CREATE SCHEMA app')
  const store = PostgresStore.fromConfig(`${url}?search_path=app`)
  await store.create('key', PAYLOAD, MOMENT)
  t.deepEqual(await query('SELECT session_key FROM app.session'), [{ session_key: 'key' }])
  await store.close()
})

test('time zones have no effect on expiry, in either table', async (t) => {
  for (const classic of [false, true]) {
    const { url, query } = await fresh()
    if (classic) await query(CLASSIC_TABLE)
    const zones = ['UTC', 'Asia/Kolkata', 'America/St_Johns', 'Europe/Berlin']
    const stores = zones.map((zone) => new PostgresStore({ url: withOptions(url, `-c timezone=${zone}`) }))
    for (const [at, writer] of stores.entries()) {
      // The hour that there is twice when summer ends in Berlin, the one that there is not when it begins, and now.
      for (const moment of [MOMENT, 1_919_292_600_000 + at, 1_932_598_800_000, Date.now() + 60_000]) {
        const key = `key-${at}-${moment}`
        await writer.create(key, PAYLOAD, moment)
        // A life travels as the time that is left, so it is off by as long as the way takes; a time zone is off by hours.
        for (const reader of stores)
          t.true(Math.abs(((await reader.read(key))?.expiresAt ?? 0) - moment) < 60_000)
      }
      await writer.create(`past-${at}`, PAYLOAD, Date.now() - 60_000)
      for (const reader of stores) t.is(await reader.read(`past-${at}`), undefined)
    }
    const [row] = await query(
      `SELECT abs(extract(epoch FROM ${classic ? 'session_expiry' : `session_expiry AT TIME ZONE 'UTC'`}
         - timestamp '2100-01-01 00:00:00.123')) < 60 AS exact FROM session WHERE session_key = $1`,
      [`key-0-${MOMENT}`],
    )
    t.deepEqual(row, { exact: true }, 'and anybody who looks into the table sees it in UTC')
    await Promise.all(stores.map(async (store) => store.close()))
  }
})

test('the classic table is not changed', async (t) => {
  const { url, query } = await fresh()
  await query(CLASSIC_TABLE)
  const shape = `SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'session' ORDER BY 1`
  const indexes = `SELECT indexdef FROM pg_indexes WHERE tablename = 'session'`
  const before = [await query(shape), await query(indexes)]
  const store = new PostgresStore({ url })
  await store.create('key', PAYLOAD, MOMENT)
  await store.sweep(10)
  await store.close()
  t.deepEqual([await query(shape), await query(indexes)], before)
  t.deepEqual(
    await query(`SELECT rtrim(session_key) AS key, convert_from(session_data, 'UTF8') AS data FROM session`),
    [{ key: 'key', data: PAYLOAD }],
  )
})

for (const [definition, reason] of [
  ['(id int)', /there is no column session_key/],
  [
    '(session_key text PRIMARY KEY, session_data json, session_expiry timestamp)',
    /session_data is of type json/,
  ],
  [
    '(session_key text PRIMARY KEY, session_data bytea, session_expiry int)',
    /session_expiry is of type integer/,
  ],
  [
    '(session_key char(32) PRIMARY KEY, session_data bytea, session_expiry timestamp)',
    /type character\(32\)/,
  ],
  ['(session_key text PRIMARY KEY, session_data bytea, session_expiry timestamp(0))', /timestamp\(0\)/],
  ['(session_key text PRIMARY KEY, session_data bytea, session_expiry timestamptz)', /with time zone/],
  ['(session_key text, session_data bytea, session_expiry timestamp)', /session_key is not the primary key/],
  [
    '(session_key text PRIMARY KEY, session_data text, session_expiry timestamptz, session_due timestamp)',
    /session_due is of type timestamp without time zone/,
  ],
  [
    '(session_key text PRIMARY KEY, session_data bytea, session_expiry timestamp, owner int NOT NULL)',
    /the other column owner has no default/,
  ],
] as const) {
  test(`F25: a table that is not a table of sessions is refused and not changed: ${definition}`, async (t) => {
    const { url, query } = await fresh()
    await query(`CREATE TABLE session ${definition}`)
    const store = new PostgresStore({ url })
    for (const call of [store.open(), store.read('key'), store.create('key', PAYLOAD, MOMENT)]) {
      const error = await t.throwsAsync<SessionError>(call, { message: reason })
      t.is(error?.code, 'ERR_SESSION_STORE')
      t.regex(error.message, /table session is not a table of sessions/)
    }
    await store.close()
    t.deepEqual(await query('SELECT count(*)::int FROM session'), [{ count: 0 }])
  })
}

test('F25: a table that is dropped or changed is noticed, and the next verb looks again', async (t) => {
  const { url, query } = await fresh()
  for (const prepare of [false, true]) {
    const store = new PostgresStore({ url, prepare })
    await store.create('key', PAYLOAD, MOMENT)
    await query('DROP TABLE session')
    await t.throwsAsync(store.read('key'), { message: /42P01/ })
    t.is(await store.read('key'), undefined, 'it has been made again')
    await query('DROP TABLE session')
    await query(CLASSIC_TABLE)
    await t.throwsAsync(store.create('key', PAYLOAD, MOMENT), { message: /42703|0A000/ })
    await store.create('key', PAYLOAD, MOMENT)
    t.is((await store.read('key'))?.payload, PAYLOAD)
    await store.close()
    await query('DROP TABLE session')
  }
})

test('F25: a user without the right to create tables gets advice', async (t) => {
  const database = await fresh()
  const name = `guest_${database.name}`
  await database.query(`CREATE ROLE ${name} LOGIN PASSWORD 'guest'`)
  const url = new URL(database.url)
  url.username = name
  url.password = 'guest'
  const store = new PostgresStore({ url: url.href })
  await t.throwsAsync(store.open(), {
    message: /permission denied .*\(42501\); create the table as docs\/stores\.md shows/,
  })
  await database.query(CLASSIC_TABLE)
  await t.throwsAsync(store.create('key', PAYLOAD, MOMENT), {
    message: /42501.*grant SELECT, INSERT, UPDATE and DELETE/,
  })
  await database.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON session TO ${name}`)
  await t.notThrowsAsync(store.create('key', PAYLOAD, MOMENT))
  t.is(await store.sweep(10), 0)
  await store.close()
  await database.query(`DROP OWNED BY ${name}`)
  await database.query(`DROP ROLE ${name}`)
})

test('a server that is too old is refused', async (t) => {
  const { url, query } = await fresh()
  await query('CREATE SCHEMA old')
  // What an old server would answer: a function that comes before the real one.
  await query(
    `CREATE FUNCTION old.current_setting(name text) RETURNS text LANGUAGE sql AS
     $$ SELECT CASE name WHEN 'server_version_num' THEN '90624' WHEN 'server_version' THEN '9.6.24'
        ELSE pg_catalog.current_setting(name) END $$`,
  )
  const store = new PostgresStore({ url: withOptions(url, '-c search_path=old,pg_catalog,public') })
  await t.throwsAsync(store.open(), {
    message: 'postgres: the server is PostgreSQL 9.6.24, and 14 or newer is needed',
  })
  await store.close()
})

test('an encoding that cannot hold every text is refused', async (t) => {
  const { url } = await fresh("ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
  const store = new PostgresStore({ url })
  await t.throwsAsync(store.open(), { message: /must be UTF8, not LATIN1/ })
  await store.close()
})

import { randomBytes } from 'node:crypto'
import test from 'ava'
import { Pool } from 'pg'
import { PostgresStore } from '../../../src/stores/postgres.ts'
import type { Entry } from '../../../src/store.ts'
import { CLASSIC_TABLE, emptyDatabase, startPostgres, type Database } from '../../servers/postgres.ts'

const server = await startPostgres()
const databases: Database[] = []
test.after.always(async () => {
  await Promise.all(databases.map(async (database) => database.drop()))
  await server.stop()
})

const HOUR = 3_600_000

async function fresh(): Promise<Database> {
  const database = await emptyDatabase(server)
  databases.push(database)
  return database
}

function payload(body = randomBytes(700).toString('base64')): string {
  return `kts1 ${randomBytes(12).toString('base64url')}${body}`
}

function soon(): number {
  return Date.now() + HOUR
}

async function keep(store: PostgresStore, key: string, expiresAt: number = soon()): Promise<Entry> {
  const written = await store.create(key, payload(), expiresAt)
  if (written === 'exists') throw new Error('a key is taken')
  return written.entry
}

/** What the server has counted in the table. It keeps the figures of a connection back until that is idle or ends. */
async function figuresOf({ query }: Database): Promise<Readonly<Record<string, number>>> {
  await query('SELECT pg_stat_force_next_flush()')
  const [row = {}] = await query(
    `SELECT n_tup_upd AS updates, n_tup_hot_upd AS hot, n_tup_del AS deletes, seq_scan AS scans
     FROM pg_stat_user_tables WHERE relname = 'session'`,
  )
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)]))
}

test.serial('touch and replace do not update indexes', async (t) => {
  const database = await fresh()
  const store = new PostgresStore({ url: database.url })
  await store.open()
  await database.query('ALTER TABLE session SET (autovacuum_enabled = false)')
  const keys = Array.from({ length: 300 }, (_, at) => `key-${at}`)
  const bases = await Promise.all(keys.map(async (key) => keep(store, key)))
  for (let round = 1; round <= 10; round += 1) {
    await Promise.all(
      keys.map(async (key, at) => {
        if (round % 3 !== 0) return store.touch(key, soon() + round * 1_000)
        const base = bases[at]
        if (base === undefined) throw new Error('no base')
        const written = await store.replace(key, payload(), soon() + round * 1_000, base)
        if (typeof written === 'string') throw new Error(written)
        bases[at] = written.entry
        return written
      }),
    )
  }
  await store.close()
  const figures = await settled(database, ({ updates = 0 }) => updates === 3_000)
  // An index on the expiry makes it none of them. In so small a table a page is full now and then.
  t.true((figures['hot'] ?? 0) / 3_000 > 0.9, `${figures['hot']} of 3,000 updates were HOT`)
})

test.serial('a sweep postpones extended rows, and removes expired ones', async (t) => {
  const database = await fresh()
  const store = new PostgresStore({ url: database.url })
  const moment = Date.now() + HOUR
  await keep(store, 'touched', moment)
  await keep(store, 'ended', moment)
  const shortened = await keep(store, 'shortened', moment + 9 * HOUR)
  await store.touch('touched', moment + 9 * HOUR)
  await store.replace('shortened', payload(), moment, shortened)
  const due = `SELECT session_key AS key, round(extract(epoch FROM session_due - session_expiry) / 3600)::int AS lag
               FROM session ORDER BY 1`
  t.deepEqual(await database.query(due), [
    { key: 'ended', lag: 0 },
    { key: 'shortened', lag: 0 },
    { key: 'touched', lag: -9 },
  ])
  await database.query(
    `UPDATE session SET session_expiry = session_expiry - interval '2h', session_due = session_due - interval '2h'`,
  )
  t.is(await store.sweep(10), 2)
  t.deepEqual(await database.query(due), [{ key: 'touched', lag: 0 }])
  t.is(await store.sweep(10), 0)
  t.truthy(await store.read('touched'))
  await store.close()
})

test.serial('F18: a sweep proceeds past any number of living rows, in both tables', async (t) => {
  for (const classic of [false, true]) {
    const database = await fresh()
    if (classic) await database.query(CLASSIC_TABLE)
    const store = new PostgresStore({ url: database.url })
    await store.open()
    const [columns, values] = classic ? ['', ''] : [', session_due', `, now() - interval '2h'`]
    const rows = `INSERT INTO session (session_key, session_data, session_expiry${columns})
      SELECT $1 || n, 'x', (now() AT TIME ZONE 'UTC') + $2::interval${values} FROM generate_series(1, $3::int) n`
    await database.query(rows, ['living-', '1h', 3_000])
    await database.query(rows, ['expired-', '-1h', 700])
    t.is(await store.sweep(600), 600)
    t.is(await store.sweep(600), 100)
    t.is(await store.sweep(600), 0)
    t.is(await store.count(), 3_000)
    await store.close()
  }
})

test.serial('F18: a sweep skips locked rows, and waits for no lock', async (t) => {
  const database = await fresh()
  const store = new PostgresStore({ url: database.url })
  await keep(store, 'busy', Date.now() - HOUR)
  await keep(store, 'idle', Date.now() - HOUR)
  const other = new Pool({ connectionString: database.url, max: 1 })
  await other.query('BEGIN')
  await other.query(`SELECT 1 FROM session WHERE session_key = 'busy' FOR UPDATE`)
  t.is(await store.sweep(10), 1)
  await other.query('COMMIT')
  t.is(await store.sweep(10), 1)
  await other.query('BEGIN')
  await other.query(`SELECT pg_advisory_xact_lock(hashtext('koa-typed-session'), hashtext('"session"'))`)
  await keep(store, 'late', Date.now() - HOUR)
  t.is(await store.sweep(10), 0, 'another process is sweeping')
  await other.query('COMMIT')
  t.is(await store.sweep(10), 1)
  await other.end()
  await store.close()
})

test.serial('no verb reads the whole table, however many rows there are', async (t) => {
  for (const prepare of [false, true]) {
    const database = await fresh()
    const store = new PostgresStore({ url: database.url, prepare })
    await store.open()
    // Making an index reads the table too; at the end of its connection that has been counted.
    await database.forbid()
    await database.allow()
    await database.query(
      `INSERT INTO session SELECT 'row-' || n, repeat('x', 300), now() + interval '1h', now() + interval '1h'
       FROM generate_series(1, 20000) n`,
    )
    await database.query(
      `INSERT INTO session SELECT 'old-' || n, repeat('x', 300), now() - interval '1h', now() - interval '1h'
       FROM generate_series(1, 4000) n`,
    )
    await database.query('ANALYZE session')
    const before = await figuresOf(database)
    for (let round = 0; round < 8; round += 1) {
      const base = await keep(store, `key-${round}`)
      await store.read(`key-${round}`)
      await store.touch(`key-${round}`, soon() + HOUR)
      await store.replace(`key-${round}`, payload(), soon(), base)
      await store.destroy(`key-${round}`, base)
      await store.destroy(`key-${round}`)
      t.is(await store.sweep(500), 500)
    }
    await store.close()
    const after = await settled(database, ({ deletes = 0 }) => deletes === 4_008)
    t.is((after['scans'] ?? 0) - (before['scans'] ?? 0), 0)
  }
})

test.serial('each verb is one statement, and one more if it matches no row', async (t) => {
  const database = await fresh()
  await database.query('CREATE EXTENSION pg_stat_statements')
  const store = new PostgresStore({ url: database.url })
  await store.open()
  const base = await keep(store, 'key')
  const written = await store.replace('key', payload(), soon(), base)
  const now = typeof written === 'string' ? base : written.entry
  for (const [verb, expected, doing] of [
    ['read', 1, async () => store.read('key')],
    ['read of an absent entry', 1, async () => store.read('nobody')],
    ['create', 1, async () => store.create('another', payload(), soon())],
    ['create of an existing entry', 1, async () => store.create('key', payload(), soon())],
    ['touch', 1, async () => store.touch('key', soon() + HOUR)],
    ['touch that would shorten', 2, async () => store.touch('key', soon())],
    ['replace in conflict', 2, async () => store.replace('key', payload(), soon(), base)],
    ['destroy in conflict', 2, async () => store.destroy('key', base)],
    ['replace', 1, async () => store.replace('key', now.payload, soon(), now)],
    ['destroy', 1, async () => store.destroy('key', now)],
    ['destroy of an absent entry', 1, async () => store.destroy('key')],
    ['count', 1, async () => store.count()],
    ['sweep', 1, async () => store.sweep(100)],
  ] as const) {
    await database.query('SELECT pg_stat_statements_reset()')
    await doing()
    const [row] = await database.query(
      `SELECT sum(calls)::int AS calls FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
       WHERE datname = $1 AND query NOT LIKE '%pg_stat_statements%'`,
      [database.name],
    )
    t.deepEqual(row, { calls: expected }, verb)
  }
  await store.close()
})

/** The figures, once they are what they are going to be. */
async function settled(
  database: Database,
  isSettled: (figures: Readonly<Record<string, number>>) => boolean,
): Promise<Readonly<Record<string, number>>> {
  for (;;) {
    const figures = await figuresOf(database)
    if (isSettled(figures)) return figures
  }
}

import test, { type ExecutionContext } from 'ava'
import { Client, Pool } from 'pg'
import { PostgresStore, type PostgresStoreOptions } from '../../../src/stores/postgres.ts'
import { openSite, type Site } from '../../engines/site.ts'
import { emptyDatabase, postgresServer, type Database } from '../../servers/postgres.ts'

const server = await postgresServer()
test.after.always(async () => server.stop())

interface Stage {
  readonly site: Site
  readonly database: Database
  /** The session of the test, in which `n` is 0. */
  readonly id: string
  /** What the store has reported so far. */
  readonly reports: readonly string[]
  /** Somebody else with a connection of their own. */
  readonly rival: Client
}

/** A site on a database of its own. */
async function stage(t: ExecutionContext, options: PostgresStoreOptions = {}): Promise<Stage> {
  const database = await emptyDatabase(server)
  const reports: string[] = []
  const store = new PostgresStore(options.client === undefined ? { url: database.url, ...options } : options)
  const site = await openSite(
    {
      store,
      onEvent: (event) => event.type === 'store-failed' && reports.push(String(event.error)),
    },
    {
      begin: ({ session }) => void session.set('n', 0),
      count: ({ session }) => session.update('n', (n = 0) => n + 1),
      look: ({ session }) => session.get('n'),
    },
  )
  const rival = new Client({ connectionString: database.url })
  await rival.connect()
  rival.on('error', () => undefined)
  t.teardown(async () => {
    await rival.end()
    await site.close()
    await database.drop()
  })
  const { cookie: id = '' } = await site.ask('/begin')
  return { site, database, id, reports, rival }
}

/** Waits until a server process waits for a lock in the database, and returns its process ID. */
async function waiting({ query, name }: Database): Promise<number> {
  for (;;) {
    const [row] = await query(
      `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'koa-typed-session' AND wait_event_type = 'Lock'`,
      [name],
    )
    if (row !== undefined) return Number(row['pid'])
  }
}

test('F8: the statement that is rolled back in a deadlock is repeated (40P01)', async (t) => {
  const { site, database, id, rival, reports } = await stage(t)
  // The store waits for a row that the other one holds, and the other one then for the row of the session.
  await database.query('CREATE TABLE trail (id int PRIMARY KEY)')
  await database.query('INSERT INTO trail VALUES (1)')
  await database.query(
    `CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS
     $$ BEGIN UPDATE trail SET id = id WHERE id = 1; RETURN NEW; END $$`,
  )
  await database.query('CREATE TRIGGER follow AFTER UPDATE ON session FOR EACH ROW EXECUTE FUNCTION follow()')
  // Whoever looks first for a deadlock is its victim: let it be the store.
  await rival.query("SET deadlock_timeout = '100s'")
  await rival.query('BEGIN')
  await rival.query('SELECT FROM trail FOR UPDATE')
  const counting = site.ask('/count', id)
  await waiting(database)
  await rival.query('SELECT FROM session FOR UPDATE')
  await rival.query('ROLLBACK')
  t.deepEqual(await counting, { status: 200, text: '1', cookie: undefined })
  const [row] = await database.query('SELECT deadlocks FROM pg_stat_database WHERE datname = $1', [
    database.name,
  ])
  t.is(Number(row?.['deadlocks']), 1)
  t.deepEqual(reports, [])
})

test('F8: a lock that is held for too long is reported by its code, and nothing is applied (55P03)', async (t) => {
  const { site, database, id, reports } = await stage(t)
  await database.query(`ALTER DATABASE ${database.name} SET lock_timeout = '50ms'`)
  await database.forbid()
  await database.allow()
  const holder = new Client({ connectionString: database.url })
  await holder.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT FROM session FOR UPDATE')
  t.is((await site.ask('/count', id)).status, 503)
  t.regex(reports.join('\n'), /postgres: replace failed: .*\(55P03\)/)
  t.is((await site.ask('/look', id)).text, '0')
  await holder.query('ROLLBACK')
  await holder.end()
  t.is((await site.ask('/count', id)).text, '1')
})

test('F8: a write whose connection an administrator ends is settled by its version (57P01)', async (t) => {
  const { site, database, id, rival, reports } = await stage(t)
  await rival.query('BEGIN')
  await rival.query('SELECT FROM session FOR UPDATE')
  const counting = site.ask('/count', id)
  const pid = await waiting(database)
  await database.query('SELECT pg_terminate_backend($1)', [pid])
  while ((await waiting(database)) === pid) continue // it tries again, and waits again
  await rival.query('ROLLBACK')
  t.is((await counting).text, '1')
  t.is((await site.ask('/look', id)).text, '1')
  t.regex(reports.join('\n'), /^SessionError: postgres: replace failed: .*\(57P01\)$/)
})

test('F8: a read-only server is reported, and writes succeed when it is read-only no more (25006)', async (t) => {
  const { site, database, id, reports } = await stage(t)
  await database.query(`ALTER DATABASE ${database.name} SET default_transaction_read_only = on`)
  await database.forbid()
  await database.allow()
  t.is((await site.ask('/count', id)).status, 503)
  t.regex(reports.join('\n'), /\(25006\); this server accepts no writes/)
  t.is((await site.ask('/look', id)).text, '0')
  const { status, cookie } = await site.ask('/begin')
  t.deepEqual([status, cookie], [503, undefined])
  await database.query(`ALTER DATABASE ${database.name} RESET default_transaction_read_only`)
  t.is((await site.ask('/count', id)).text, '1')
})

test('F8: while no connection is free, requests end by the deadline, and are served when one is', async (t) => {
  const database = await emptyDatabase(server)
  const client = new Pool({ connectionString: database.url, max: 1 })
  const { site, id, reports } = await stage(t, { client, timeout: 300 })
  const taken = await client.connect()
  t.is((await site.ask('/count', id)).status, 503)
  t.regex(reports.join('\n'), /postgres: read failed: no answer within 300 ms/)
  taken.release()
  t.is((await site.ask('/count', id)).text, '1')
  await client.end()
  await database.drop()
})

import test from 'ava'
import { Pool } from 'pg'
import { PostgresStore } from '../../../src/stores/postgres.ts'
import { storeContract, type StoreHarness } from '../../../src/testing/index.ts'
import { emptyDatabase, postgresServer } from '../../servers/postgres.ts'
import { startPgBouncer } from '../../servers/pgbouncer.ts'

const server = await postgresServer()
const database = await emptyDatabase(server)
const pooler = await startPgBouncer(database.url)
test.after.always(async () => {
  await pooler.stop()
  await database.drop()
  await server.stop()
})

const harness: StoreHarness = {
  // A single connection serves them all, so the last of many waits long on a machine that has other work.
  open: () => new PostgresStore({ url: pooler.url, timeout: 30_000 }),
  now: Date.now,
  advance: async (ms) =>
    void (await database.query(
      `UPDATE session SET session_expiry = session_expiry - $1 * interval '1 millisecond',
         session_due = session_due - $1 * interval '1 millisecond'`,
      [ms],
    )),
  sweeps: true,
  counts: true,
}

test.serial('the table is created through a transaction pooler, by many processes at once', async (t) => {
  const stores = Array.from({ length: 5 }, () => new PostgresStore({ url: pooler.url }))
  await Promise.all(stores.map(async (store) => store.open()))
  await Promise.all(stores.map(async (store) => store.close()))
  t.deepEqual(await database.query('SELECT count(*)::int FROM session'), [{ count: 0 }])
})

const { traits } = new PostgresStore({ url: pooler.url })
for (const requirement of storeContract) {
  if (!requirement.appliesTo(traits, harness)) continue
  test.serial(`behind a transaction pooler: ${requirement.title}`, async (t) => {
    await requirement.check(harness)
    t.pass()
  })
}

test.serial('the error for a missing prepared statement advises to set prepare to false', async (t) => {
  const client = new Pool({ connectionString: database.url, max: 1 })
  const store = new PostgresStore({ client, prepare: true })
  t.is(await store.read('key'), undefined)
  // To the next caller a transaction pooler looks just like this.
  await client.query('DEALLOCATE ALL')
  await t.throwsAsync(store.read('key'), {
    message: /\(26000\); behind a transaction pooler prepare must be false/,
  })
  await store.close()
  await client.end()
})

test.serial('a wrong password is told as such, whatever sslmode tried before', async (t) => {
  const wrong = new URL(pooler.url)
  wrong.password = 'pikeperch'
  for (const query of ['', '?sslmode=prefer', '?sslmode=allow', '?sslmode=disable']) {
    const store = new PostgresStore({ url: `${wrong.href}${query}` })
    const error = await t.throwsAsync(store.open(), { code: 'ERR_SESSION_STORE' }, query)
    t.regex(error.message, /^postgres: open failed: .*password authentication failed.*$/, query)
    t.like(error, { answered: true }, query)
    await store.close()
  }
})

test.serial('a pooler without TLS is told as such where TLS is required', async (t) => {
  const store = new PostgresStore({ url: `${pooler.url}?sslmode=require` })
  await t.throwsAsync(store.open(), { message: /does not support SSL/ })
  await store.close()
})

test.serial('a database that the pooler does not know is told as such', async (t) => {
  const other = new URL(pooler.url)
  other.pathname = '/kts_nowhere'
  const store = new PostgresStore({ url: other.href })
  const error = await t.throwsAsync(store.open(), { message: /kts_nowhere/ })
  t.like(error, { answered: true })
  await store.close()
})

test.serial('a string as Supabase has it opens a session behind a pooler', async (t) => {
  const store = new PostgresStore({
    url: `${pooler.url}?pgbouncer=true&connection_limit=1&schema=public&pool_timeout=5&sslmode=prefer`,
  })
  const payload = 'kts1 0123456789abcdef x'
  t.like(await store.create('vendor', payload, Date.now() + 60_000), { entry: { payload } })
  t.is(await store.destroy('vendor'), 'ok')
  await store.close()
})

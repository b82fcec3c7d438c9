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

import { createHash } from 'node:crypto'
import test from 'ava'
import { createConnection } from 'mysql2/promise'
import { MysqlStore } from '../../../src/stores/mysql.ts'
import { freshDatabase, mariadbServer, type MariadbDatabase } from '../../servers/mariadb.ts'
import { addExpired, CLASSIC, key, payload, soon } from './harness.ts'

const server = await mariadbServer()
test.after.always(async () => server.stop())

const KINDS = [
  ['ours', undefined],
  ['the documented one', CLASSIC],
  ['the documented one on InnoDB', CLASSIC.replace('MyISAM', 'InnoDB')],
] as const

async function fill(setUp: string | undefined): Promise<{ database: MariadbDatabase; store: MysqlStore }> {
  const database = await freshDatabase(server)
  if (setUp !== undefined) await database.sql(setUp)
  const store = new MysqlStore({ url: database.url })
  await store.open()
  await addExpired(database, 2_500)
  return { database, store }
}

async function remaining({ sql }: MariadbDatabase): Promise<number> {
  return Number((await sql('SELECT COUNT(*) AS n FROM session'))[0]?.['n'])
}

function lockOf({ name }: MariadbDatabase): string {
  return `koa-typed-session ${createHash('sha1').update(`${name}.session`).digest('hex')}`
}

for (const [kind, setUp] of KINDS) {
  test.serial(`F18: expired rows are removed in batches, and living ones stay: ${kind}`, async (t) => {
    const { database, store } = await fill(setUp)
    const name = key()
    await store.create(name, payload(), soon())
    t.is(await store.count(), 1)
    t.is(await store.sweep(0), 0)
    t.is(await store.sweep(300), 300)
    t.is(await store.sweep(5_000), 500, 'a batch is never larger')
    for (const removed of [500, 500, 500, 200, 0]) t.is(await store.sweep(500), removed)
    t.is(await remaining(database), 1)
    t.truthy(await store.read(name))
    await store.close()
    await database.drop()
  })

  test.serial(`F18: while another process sweeps, a sweep does nothing: ${kind}`, async (t) => {
    const { database, store } = await fill(setUp)
    const other = await createConnection(database.url)
    await other.query('SELECT GET_LOCK(?, 0)', [lockOf(database)])
    t.is(await store.sweep(100), 0)
    t.is(await remaining(database), 2_500)
    await other.end()
    const again = new MysqlStore({ url: database.url })
    // Of two concurrent sweeps at least one gets the lock and removes a batch.
    const [one, two] = await Promise.all([store.sweep(100), again.sweep(100)])
    t.is(await remaining(database), 2_500 - one - two)
    t.true(one + two === 100 || one + two === 200)
    await Promise.all([store.close(), again.close()])
    await database.drop()
  })
}

for (const [kind, setUp] of [KINDS[0], KINDS[2]]) {
  test.serial(`F18: locked rows are left for later, and no sweep waits: ${kind}`, async (t) => {
    const { database, store } = await fill(setUp)
    await database.sql("DELETE FROM session WHERE session_key > 'old-2'")
    const before = await remaining(database)
    const holder = await createConnection(database.url)
    await holder.query('START TRANSACTION')
    await holder.query("SELECT * FROM session WHERE session_key IN ('old-1', 'old-10', 'old-100') FOR UPDATE")
    let removed = 0
    for (let batch = -1; batch !== 0; removed += batch) batch = await store.sweep(500)
    t.is(removed, before - 3)
    await holder.query('ROLLBACK')
    t.is(await store.sweep(500), 3)
    await holder.end()
    await store.close()
    await database.drop()
  })
}

test.serial(
  'F18: a sweep locks nothing but what it removes, so that others read and write meanwhile',
  async (t) => {
    const { database, store } = await fill(undefined)
    const name = key()
    await store.create(name, payload(), Date.now() + 60_000)
    // A trigger stops the sweep in the midst of its transaction, by a lock on a row that it has to wait for.
    await database.sql('CREATE TABLE gate (id int PRIMARY KEY) ENGINE=InnoDB')
    await database.sql('INSERT INTO gate VALUES (1)')
    await database.sql(
      'CREATE TRIGGER stop BEFORE DELETE ON session FOR EACH ROW UPDATE gate SET id = id WHERE id = 1',
    )
    const keeper = await createConnection(database.url)
    await keeper.query('START TRANSACTION')
    await keeper.query('SELECT * FROM gate FOR UPDATE')
    const sweeping = store.sweep(500)
    const waits =
      "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'UPDATE gate%'"
    while (Number((await database.sql(waits))[0]?.['n']) === 0) await new Promise(setImmediate)
    const entry = await store.read(name)
    if (entry === undefined) return t.fail()
    t.is(await store.touch(name, soon()), 'ok')
    t.is(typeof (await store.replace(name, payload(), Date.now() + 1_000, entry)), 'object')
    t.is(typeof (await store.create(key(), payload(), Date.now() + 500)), 'object')
    t.is(
      typeof (await store.create('old-2000', payload(), soon())),
      'object',
      'expired, but not in this batch',
    )
    await keeper.query('ROLLBACK')
    t.is(await sweeping, 500)
    await keeper.end()
    await store.close()
    await database.drop()
  },
)

test.serial('a sweep that fails leaves neither a lock nor half a batch', async (t) => {
  const { database, store } = await fill(undefined)
  await database.sql(
    "CREATE TRIGGER refuse BEFORE DELETE ON session FOR EACH ROW BEGIN IF OLD.session_key = 'old-7' THEN " +
      "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF; END",
  )
  await t.throwsAsync(store.sweep(500), { code: 'ERR_SESSION_STORE', message: /^mysql: sweep failed: / })
  t.is(await remaining(database), 2_500)
  const isFree = async (): Promise<boolean> => {
    const [row] = await database.sql('SELECT IS_FREE_LOCK(?) AS isFree', [lockOf(database)])
    return Number(row?.['isFree']) === 1
  }
  // The server notices a moment later that the connection was closed.
  while (!(await isFree())) await new Promise(setImmediate)
  await database.sql('DROP TRIGGER refuse')
  t.is(await store.sweep(500), 500)
  await store.close()
  await database.drop()
})

import test from 'ava'
import { SessionManager } from '../../../src/session/manager.ts'
import { MysqlStore } from '../../../src/stores/mysql.ts'
import { freshDatabase, privateMariadb, type MariadbDatabase } from '../../servers/mariadb.ts'
import { addExpired, CLASSIC, key, payload, soon } from './harness.ts'

// Of its own, because its counters are those of everybody who talks to it.
const server = await privateMariadb()
test.after.always(async () => server.stop())

const MINUTE = 60_000

/** What the server counts while `work` is done. */
async function counting(
  { sql }: MariadbDatabase,
  name: string,
  work: () => Promise<unknown>,
): Promise<number> {
  const read = async (): Promise<number> =>
    Number((await sql(`SHOW GLOBAL STATUS LIKE '${name}'`))[0]?.['Value'])
  const before = await read()
  await work()
  return (await read()) - before
}

for (const [kind, setUp] of [
  ['ours', undefined],
  ['the documented one', CLASSIC],
] as const) {
  test.serial(`each verb takes as many statements as the documentation says: ${kind}`, async (t) => {
    const database = await freshDatabase(server)
    if (setUp !== undefined) await database.sql(setUp)
    const store = new MysqlStore({ url: database.url })
    await store.open()
    const statements = async (work: () => Promise<unknown>): Promise<number> =>
      counting(database, 'Com_stmt_execute', work)
    const name = key()
    const [one, two] = [payload(), payload()]
    t.is(await statements(async () => store.read(name)), 1)
    t.is(await statements(async () => store.create(name, one, soon())), 1)
    const base = await store.read(name)
    if (base === undefined) return t.fail()
    t.is(await statements(async () => store.read(name)), 1)
    t.is(await statements(async () => store.touch(name, soon() + MINUTE)), 1)
    t.is(await statements(async () => store.replace(name, two, soon(), base)), 1)
    t.is(await statements(async () => store.replace(name, payload(), soon(), base)), 2, 'a conflict')
    t.is(await statements(async () => store.destroy(name, base)), 2, 'a conflict')
    t.is(await statements(async () => store.create(name, payload(), soon())), 3, 'there is an entry')
    t.is(await statements(async () => store.destroy(name)), 1)
    t.is(await statements(async () => store.destroy(name)), 1)
    t.is(await statements(async () => store.touch(name, soon())), 2, 'there is no entry')
    t.is(await statements(async () => store.count()), 1)
    await store.close()
    await database.drop()
  })
}

test.serial('each verb finds its row by the primary key, however few sessions are alive', async (t) => {
  const database = await freshDatabase(server)
  const store = new MysqlStore({ url: database.url })
  await store.open()
  // The optimizer takes what it believes to be the shorter way: here the index on the expiry, if it may.
  await addExpired(database, 2_000)
  await database.sql('ANALYZE TABLE session')
  const name = key()
  const others = Array.from({ length: 50 }, () => key())
  for (const other of others) await store.create(other, payload(), soon())
  const base = await store.create(name, payload(), soon())
  if (base === 'exists') return t.fail()
  for (const status of ['Handler_read_next', 'Handler_read_rnd_next']) {
    const rows = await counting(database, status, async () => {
      await store.read(name)
      await store.touch(name, soon())
      await store.replace(name, payload(), soon(), base.entry)
      await store.replace(name, payload(), soon(), base.entry)
      await store.destroy(name, base.entry)
    })
    // SHOW STATUS reads rows of its own, through a temporary table.
    const own = await counting(database, status, async () => undefined)
    t.true(rows - own <= 10, `${status}: ${rows - own} rows`)
  }
  await store.close()
  await database.drop()
})

test.serial(
  'a request that reads is one statement, one that changes two, an anonymous one none',
  async (t) => {
    const database = await freshDatabase(server)
    let clock = Date.now()
    const store = new MysqlStore({ url: database.url, now: () => clock })
    const manager = new SessionManager({ store, now: () => clock, idleTimeout: 10 * MINUTE })
    await manager.ready()
    const statements = async (work: () => Promise<unknown>): Promise<number> =>
      counting(database, 'Com_stmt_execute', work)
    const first = await manager.open()
    first.set('n', 1)
    t.is(await statements(async () => manager.commit(first)), 1, 'a new one')
    const id = first.id
    async function visit(change?: number): Promise<void> {
      const session = await manager.open(id)
      if (change === undefined) session.get('n')
      else session.set('n', change)
      await manager.commit(session)
    }
    t.is(await statements(async () => visit()), 1)
    t.is(await statements(async () => visit(2)), 2)
    t.is(await statements(async () => manager.commit(manager.begin())), 0)
    clock += 2 * MINUTE
    await database.sql('UPDATE session SET session_expiry = session_expiry - ?', [2 * MINUTE])
    t.is(await statements(async () => visit()), 2, 'more than a tenth of the idle time has passed')
    t.is(await statements(async () => visit()), 1)
    await manager.close()
    await database.drop()
  },
)

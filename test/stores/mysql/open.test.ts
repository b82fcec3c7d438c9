// What `open` proves: that every verb would be carried out.
import test, { type ExecutionContext } from 'ava'
import { MysqlStore, type MysqlStoreOptions } from '../../../src/stores/mysql.ts'
import { freshDatabase, privateMariadb, type MariadbDatabase } from '../../servers/mariadb.ts'
import { CLASSIC } from './harness.ts'

const RIGHTS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE']
const server = await privateMariadb()
test.after.always(async () => server.stop())

async function database(t: ExecutionContext, table?: string): Promise<MariadbDatabase> {
  const made = await freshDatabase(server)
  t.teardown(async () => made.drop())
  if (table !== undefined) await made.sql(table)
  await opened(t, { url: made.url })
  return made
}

/** The address for a user with these rights on the table. */
async function asUser(place: MariadbDatabase, rights: readonly string[]): Promise<string> {
  return place.urlFor([
    "CREATE USER 'shop'@'%' IDENTIFIED BY 'password'",
    `GRANT ${rights.join(', ')} ON shop.session TO 'shop'@'%'`,
  ])
}

async function opened(t: ExecutionContext, options: MysqlStoreOptions): Promise<void> {
  const store = new MysqlStore(options)
  await t.notThrowsAsync(store.open())
  await store.close()
}

async function refusal(t: ExecutionContext, options: MysqlStoreOptions): Promise<string> {
  const store = new MysqlStore(options)
  const error = await t.throwsAsync(store.open())
  await store.close()
  t.like(error, { name: 'SessionError', code: 'ERR_SESSION_STORE', answered: true })
  return error.message
}

for (const missing of RIGHTS) {
  test.serial(`open rejects without the right to ${missing}`, async (t) => {
    const place = await database(t)
    const url = await asUser(
      place,
      RIGHTS.filter((each) => each !== missing),
    )
    t.regex(
      await refusal(t, { url }),
      /^mysql: open failed: this user has no right to do this with the table/,
    )
  })
}

for (const [kind, table] of [
  ['our own table', undefined],
  ["beego's table", CLASSIC],
] as const) {
  test.serial(`open leaves nothing behind on ${kind}`, async (t) => {
    const place = await database(t, table)
    const url = await asUser(place, RIGHTS)
    await opened(t, { url })
    const [count] = await place.sql('SELECT COUNT(*) AS n FROM session')
    t.is(Number(Object(count)['n'] ?? Object(count)[0]), 0)
  })
}

test.serial('open rejects on a server that is read-only; without open, reads are served', async (t) => {
  const place = await database(t)
  const url = await asUser(place, RIGHTS)
  await place.sql('SET GLOBAL read_only = 1')
  try {
    t.regex(await refusal(t, { url }), /^mysql: open failed: the server is read-only/)
    const store = new MysqlStore({ url })
    t.is(await store.read('a'.repeat(64)), undefined)
    await store.close()
  } finally {
    await place.sql('SET GLOBAL read_only = 0')
  }
})

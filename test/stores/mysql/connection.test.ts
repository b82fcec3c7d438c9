import test from 'ava'
import { createPool as createCallbackPool } from 'mysql2'
import { createPool, type RowDataPacket } from 'mysql2/promise'
import { MysqlStore } from '../../../src/stores/mysql.ts'
import { storeContract, type StoreHarness } from '../../../src/testing/index.ts'
import { bench, key, payload, soon } from './harness.ts'

const { database, url, harness, end } = await bench('ours')

// Every default that a client may have otherwise, and that a store could stumble over.
const client = createPool({
  uri: url,
  flags: ['-FOUND_ROWS'],
  charset: 'latin1',
  timezone: '+05:45',
  supportBigNumbers: true,
  bigNumberStrings: true,
  dateStrings: true,
  namedPlaceholders: true,
  nestTables: '.',
  typeCast: () => 'cast',
  connectionLimit: 4,
})
client.on('connection', (connection) => {
  void connection.query(
    // What only MariaDB knows is a comment to MySQL.
    "SET time_zone = '-11:30', sql_safe_updates = 1, sql_mode = " +
      "CONCAT('ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT' /*M! , ',ORACLE,EMPTY_STRING_IS_NULL' */)",
  )
})
const callbacks = createCallbackPool(url)
const strange: StoreHarness = {
  ...harness,
  async open() {
    const store = new MysqlStore({ client })
    await store.open()
    return store
  },
}
const first = await strange.open()
test.after.always(async () => {
  await client.end()
  await callbacks.promise().end()
  await end()
})

for (const requirement of storeContract) {
  if (!requirement.appliesTo(first.traits, strange)) continue
  test.serial(`on a client with settings of its own: ${requirement.title}`, async (t) => {
    await requirement.check(strange)
    t.pass()
  })
}

test.serial('the contract was tested in other SQL modes, and they are still set', async (t) => {
  const [[row]] = await client.query<RowDataPacket[]>({
    sql: 'SELECT @@sql_mode AS modes, @@sql_safe_updates AS safe, VERSION() AS version',
    nestTables: false,
    typeCast: (_field, next) => next(),
  })
  const { modes, safe, version } = Object(row)
  t.is(Number(safe), 1)
  for (const mode of [
    'PIPES_AS_CONCAT',
    ...(/mariadb/i.test(version) ? ['ORACLE', 'EMPTY_STRING_IS_NULL'] : []),
  ])
    t.true(String(modes).includes(mode), mode)
})

test.serial('a client whose typeCast is off, on or a function reads what was written', async (t) => {
  for (const typeCast of [false, true, () => 'cast']) {
    const given = createPool({ uri: url, typeCast, connectionLimit: 1 })
    const store = new MysqlStore({ client: given })
    const [name, text, until] = [key(), payload(), soon()]
    await store.create(name, text, until)
    const entry = await store.read(name)
    t.is(entry?.payload, text)
    t.true(Math.abs((entry?.expiresAt ?? 0) - until) < 60_000)
    await given.end()
  }
})

test.serial("the application's client stays open when the store is closed", async (t) => {
  for (const given of [client, callbacks]) {
    const store = new MysqlStore({ client: given })
    const name = key()
    const text = payload()
    await store.create(name, text, soon())
    await store.close()
    await t.throwsAsync(store.read(name), { message: 'mysql: read after close' })
    const other = new MysqlStore({ client: given })
    t.is((await other.read(name))?.payload, text)
  }
  await client.query('SELECT 1')
  await callbacks.promise().query('SELECT 1')
})

test.serial('client and url together, or client and poolSize, are refused', (t) => {
  t.throws(() => new MysqlStore({ client, url }), { message: 'mysql: give either url or client' })
  t.throws(() => new MysqlStore({ client, poolSize: 3 }), {
    message: 'mysql: poolSize cannot be given with client: set its connectionLimit instead',
  })
})

test.serial('processes whose clocks differ by twenty minutes agree on what has expired', async (t) => {
  const MINUTE = 60_000
  const early = new MysqlStore({ url, now: () => Date.now() - 10 * MINUTE })
  const late = new MysqlStore({ url, now: () => Date.now() + 10 * MINUTE })
  for (const [one, other, skew] of [
    [early, late, 10 * MINUTE],
    [late, early, -10 * MINUTE],
  ] as const) {
    const name = key()
    await one.create(name, payload(), Date.now() - skew + MINUTE)
    const entry = await other.read(name)
    const left = Number(entry?.expiresAt) - (Date.now() + skew)
    t.true(left > MINUTE - 10_000 && left <= MINUTE, `${left} ms are left`)
    t.is(await other.touch(name, Date.now() + skew + 2 * MINUTE), 'ok')
    await harness.advance(MINUTE)
    t.truthy(await one.read(name))
    await harness.advance(MINUTE)
    t.is(await one.read(name), undefined)
    t.is(await other.read(name), undefined)
  }
  await Promise.all([early.close(), late.close()])
})

test.serial('expiresAt is never later than the stored expiry', async (t) => {
  const store = new MysqlStore({ url })
  const name = key()
  const moment = soon()
  await store.create(name, payload(), moment)
  const [row] = await database.sql(
    "SELECT session_expiry - TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000 AS life FROM session WHERE session_key = ?",
    [name],
  )
  const seenAt = Date.now()
  const entry = await store.read(name)
  t.true(Number(entry?.expiresAt) <= seenAt + Number(row?.['life']) + 1)
  await store.close()
})

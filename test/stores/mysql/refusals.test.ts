import test, { type ExecutionContext } from 'ava'
import { createConnection } from 'mysql2/promise'
import { SessionError } from '../../../src/errors.ts'
import { breaksConnection, mysqlError, wasNotApplied } from '../../../src/stores/mysql/errors.ts'
import { MysqlStore } from '../../../src/stores/mysql.ts'
import { storeContract, type StoreHarness } from '../../../src/testing/index.ts'
import { counting, openSite } from '../../engines/site.ts'
import { freshDatabase, privateMariadb, type MariadbDatabase } from '../../servers/mariadb.ts'
import { CLASSIC, key, payload, soon } from './harness.ts'

const server = await privateMariadb()
const database = await freshDatabase(server)
const unprepared = await freshDatabase(server)
const harness: StoreHarness = {
  async open() {
    const made = new MysqlStore({ url: unprepared.url, timeout: 10_000 })
    await made.open()
    return made
  },
  now: Date.now,
  async advance(ms) {
    await unprepared.sql('UPDATE session SET session_expiry = session_expiry - ?', [ms])
  },
  sweeps: true,
  counts: true,
}
const first = await harness.open()
test.after.always(async () => {
  await first.close()
  await unprepared.drop()
  await database.drop()
  await server.stop()
})

const CROWD = 40
const LARGEST = 'a payload of the largest size is kept'

test.serial(
  'F9: a user with a limit of four connections serves forty requests at once, writes included',
  async (t) => {
    await database.sql(`CREATE USER few IDENTIFIED BY 'few' WITH MAX_USER_CONNECTIONS 4`)
    await database.sql(`GRANT ALL ON ${database.name}.* TO few`)
    const url = new URL(database.url)
    ;[url.username, url.password] = ['few', 'few']
    const reports: string[] = []
    const site = await openSite(
      {
        store: new MysqlStore({ url: url.href }),
        onEvent: (event) => event.type.startsWith('store-') && reports.push(JSON.stringify(event)),
      },
      counting,
    )
    t.teardown(async () => {
      await site.close()
      await database.sql('DROP USER few')
    })
    const ids: string[] = []
    while (ids.length < CROWD) ids.push((await site.ask('/begin')).cookie ?? '')
    for (let round = 0; round < 5; round += 1) {
      const answers = await Promise.all(ids.map(async (id) => site.ask('/count', id)))
      t.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
    }
    t.is((await site.ask('/look', ids[0])).text, '5')
    t.deepEqual(reports, [])
  },
)

/**
 * Has the server answer the next `times` inserts and updates of the session table with an error. It is a real answer, from a
 * trigger: what provokes it otherwise is a cluster.
 */
async function answerWith(
  { sql }: MariadbDatabase,
  errno: number,
  state: string,
  text: string,
  times: number,
): Promise<void> {
  await sql('CREATE TABLE IF NOT EXISTS troubles (connection int) ENGINE=MyISAM') // which no rollback empties
  await sql('DELETE FROM troubles')
  for (const event of ['INSERT', 'UPDATE']) {
    await sql(
      `CREATE OR REPLACE TRIGGER trouble_${event} BEFORE ${event} ON session FOR EACH ROW BEGIN
         IF (SELECT COUNT(*) FROM troubles) < ${times} THEN
           INSERT INTO troubles VALUES (CONNECTION_ID());
           SIGNAL SQLSTATE '${state}' SET MYSQL_ERRNO = ${errno}, MESSAGE_TEXT = '${text}';
         END IF; END`,
    )
  }
}

async function troubles(): Promise<readonly number[]> {
  const rows = await database.sql('SELECT connection FROM troubles')
  return rows.map(({ connection }) => Number(connection))
}

async function store(t: ExecutionContext, options: { poolSize?: number } = {}): Promise<MysqlStore> {
  const made = new MysqlStore({ url: database.url, ...options })
  await made.open()
  t.teardown(async () => {
    await database.sql('DROP TRIGGER IF EXISTS trouble_INSERT')
    await database.sql('DROP TRIGGER IF EXISTS trouble_UPDATE')
    await made.close()
  })
  return made
}

for (const [errno, state, text] of [
  [1213, '40001', 'Deadlock found when trying to get lock; try restarting transaction'],
  [1205, 'HY000', 'Lock wait timeout exceeded; try restarting transaction'],
  [3101, '40000', 'Plugin instructed the server to rollback the current transaction.'],
  [1180, 'HY000', 'Got error 149 "Lock deadlock; Retry transaction" during COMMIT'],
  [1047, '08S01', 'WSREP has not yet prepared node for application use'],
] as const) {
  test.serial(
    `F9: a statement that the server did not apply is repeated, whatever the verb (${errno})`,
    async (t) => {
      const on = await store(t, { poolSize: 1 })
      const name = key()
      await answerWith(database, errno, state, text, 2)
      const written = await on.create(name, payload(), soon())
      if (written === 'exists') return t.fail()
      t.is((await troubles()).length, 2)
      await answerWith(database, errno, state, text, 2)
      const next = payload()
      t.is(typeof (await on.replace(name, next, soon(), written.entry)), 'object')
      t.is((await on.read(name))?.payload, next)
      t.is(await on.destroy(name), 'ok')
      // A connection to a node of Galera that is not in its cluster serves nothing, so it leaves the pool.
      t.is(new Set(await troubles()).size, errno === 1047 ? 2 : 1)
    },
  )
}

test.serial(
  'F9: a node of Galera that stays out of its cluster is an answer, and each try has a new connection',
  async (t) => {
    const on = await store(t, { poolSize: 1 })
    await answerWith(database, 1047, '08S01', 'WSREP has not yet prepared node for application use', 1_000)
    const error = await t.throwsAsync(on.create(key(), payload(), soon()))
    t.like(error, { code: 'ERR_SESSION_STORE', answered: true })
    t.regex(error.message, /this node of the cluster accepts no statements now/)
    t.is(new Set(await troubles()).size, 6)
  },
)

test.serial('a commit that failed for another reason than a rival is not repeated', async (t) => {
  const on = await store(t)
  await answerWith(database, 1180, 'HY000', 'Got error 28 "No space left on device" during COMMIT', 1_000)
  const error = await t.throwsAsync(on.create(key(), payload(), soon()))
  t.like(error, { code: 'ERR_SESSION_STORE', answered: true })
  t.is((await troubles()).length, 1)
})

test.serial('a read-only server is left once for each write, and its new connection stays', async (t) => {
  await database.sql(`CREATE USER plain IDENTIFIED BY 'secret'`)
  await database.sql(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${database.name}.* TO plain`)
  const url = new URL(database.url)
  ;[url.username, url.password] = ['plain', 'secret']
  const on = new MysqlStore({ url: url.href, poolSize: 1 })
  t.teardown(async () => {
    await database.sql('SET GLOBAL read_only = OFF')
    await on.close()
    await database.sql('DROP USER plain')
  })
  const name = key()
  await on.create(name, payload(), soon())
  await database.sql('SET GLOBAL read_only = ON')
  const connections = async (): Promise<number> => {
    const [row] = await database.sql("SHOW GLOBAL STATUS LIKE 'Connections'")
    return Number(row?.['Value'])
  }
  const before = await connections()
  for (let times = 0; times < 3; times += 1) {
    const error = await t.throwsAsync(on.create(key(), payload(), soon()))
    t.like(error, { answered: true, code: 'ERR_SESSION_STORE' })
    t.truthy(await on.read(name))
  }
  t.is((await connections()) - before, 3)
})

// Where the server accepts no prepared statements, all verbs are sent as text.
for (const requirement of storeContract) {
  if (!requirement.appliesTo(first.traits, harness) || requirement.title === LARGEST) continue
  test.serial(`without prepared statements: ${requirement.title}`, async (t) => {
    await unprepared.sql('SET GLOBAL max_prepared_stmt_count = 0')
    t.teardown(async () => unprepared.sql('SET GLOBAL max_prepared_stmt_count = 16382'))
    await requirement.check(harness)
    t.pass()
  })
}

test.serial(
  'without prepared statements the verbs work in every SQL mode, on the documented table, and for keys of any kind',
  async (t) => {
    const classic = await freshDatabase(server)
    await classic.sql(CLASSIC)
    await classic.sql('SET GLOBAL max_prepared_stmt_count = 0')
    await classic.sql("SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'")
    t.teardown(async () => {
      await classic.sql('SET GLOBAL max_prepared_stmt_count = 16382')
      await classic.sql('SET GLOBAL sql_mode = DEFAULT')
      await classic.drop()
    })
    const on = new MysqlStore({ url: classic.url })
    t.teardown(async () => on.close())
    const odd = `kts1 '"\\\\?%_;--/*x*/ ${'x'.repeat(10)} ' " \\\\ ? \u0000 é 🛒`
    for (const name of [key(), 'Aa-_'.repeat(32), 'x']) {
      const written = await on.create(name, odd, soon())
      if (written === 'exists') return t.fail()
      t.is((await on.read(name))?.payload, odd)
      t.is(await on.create(name, payload(), soon()), 'exists')
      t.is(await on.touch(name, soon() + 60_000), 'ok')
      t.is(await on.replace(name, payload(), soon(), { ...written.entry, payload: payload() }), 'conflict')
      const next = await on.replace(name, odd.replace('kts1', 'kts2'), soon(), written.entry)
      if (typeof next === 'string') return t.fail(next)
      t.is(await on.destroy(name, written.entry), 'conflict')
      t.is(await on.destroy(name, next.entry), 'ok')
    }
    t.is(await on.count(), 0)
    t.is(await on.sweep(10), 0)
  },
)

test.serial(
  'a connection that has no room for one more statement does without, and others keep theirs',
  async (t) => {
    const on = new MysqlStore({ url: database.url, poolSize: 1 })
    await on.open()
    const name = key()
    await on.create(name, payload(), soon())
    const rival = await createConnection(database.url)
    t.teardown(async () => {
      await database.sql('SET GLOBAL max_prepared_stmt_count = 16382')
      await rival.end()
      await on.close()
    })
    await database.sql('SET GLOBAL max_prepared_stmt_count = 0')
    t.truthy(await on.read(name))
    const refused = await t.throwsAsync(rival.execute('SELECT 1'))
    t.like(refused, { errno: 1461 })
    const asked = async (): Promise<number> => {
      const [row] = await database.sql("SHOW GLOBAL STATUS LIKE 'Com_stmt_prepare'")
      return Number(row?.['Value'])
    }
    const before = await asked()
    for (let times = 0; times < 5; times += 1) t.is(await on.touch(name, soon()), 'ok')
    t.is(await asked(), before, 'the server is not asked again')
  },
)

test('F27: an error says whether the server has answered, and whether it applied the statement', (t) => {
  const of = (errno: number, sqlState?: string, text = ''): Error =>
    Object.assign(new Error(text), {
      errno,
      code: `ER_${errno}`,
      ...(sqlState !== undefined && { sqlState }),
    })
  for (const [errno, state, answered, notApplied, breaks] of [
    [1021, 'HY000', true, false, false], // disk full
    [1114, 'HY000', true, false, false], // table full
    [1142, '42000', true, false, false], // no right
    [1045, '28000', true, false, false],
    [1290, 'HY000', true, false, false], // read-only
    [1792, '25006', true, false, false],
    [1836, 'HY000', true, false, false],
    [1040, '08004', true, true, false],
    [1203, '42000', true, true, false],
    [1226, '42000', true, true, false],
    [1205, 'HY000', true, true, false],
    [1213, '40001', true, true, false],
    [1614, 'XA102', true, false, false],
    [3101, '40000', true, true, false],
    [3572, 'HY000', true, false, false],
    [1047, '08S01', true, true, true],
    [1180, 'HY000', true, false, false],
    [1461, '42000', true, false, false],
    [1053, '08S01', false, false, true], // shutdown
    [1927, '70100', false, false, true], // killed
    [4031, 'HY000', false, false, true],
    [1158, '08S01', false, false, false],
    [3024, 'HY000', false, false, false], // after its time
    [1969, '70100', false, false, false],
  ] as const) {
    const cause = of(errno, state)
    const error = mysqlError('create', cause)
    t.true(error instanceof SessionError)
    t.is(error.answered, answered, `${errno}`)
    t.is(wasNotApplied(cause), notApplied, `${errno}`)
    t.is(breaksConnection(cause), breaks, `${errno}`)
  }
  t.true(wasNotApplied(of(1180, 'HY000', "Got error 149 - 'Lock deadlock; Retry transaction' during COMMIT")))
  for (const code of ['ECONNREFUSED', 'ETIMEDOUT', 'PROTOCOL_CONNECTION_LOST']) {
    const cause = Object.assign(new Error(code), { code, errno: -111, fatal: true })
    t.false(mysqlError('create', cause).answered)
  }
})

import test, { type ExecutionContext } from 'ava'
import { createPool } from 'mysql2/promise'
import { SessionError } from '../../../src/errors.ts'
import { MysqlStore, type MysqlStoreOptions } from '../../../src/stores/mysql.ts'
import { freshDatabase, mariadbServer, type MariadbDatabase } from '../../servers/mariadb.ts'
import { CLASSIC, key, payload, soon } from './harness.ts'

const server = await mariadbServer()
test.after.always(async () => server.stop())

const BEEGO_KEY = '0123456789abcdef0123456789abcdef'
const OURS =
  'session_key varchar(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY, ' +
  'session_data mediumblob NOT NULL, session_expiry bigint NOT NULL'

interface Site extends MariadbDatabase {
  /** A store on the database, which is closed when the test is over. */
  open(options?: MysqlStoreOptions): MysqlStore
}

/** A test with a database of its own. */
function inDatabase(title: string, body: (t: ExecutionContext, site: Site) => Promise<void>): void {
  test.serial(title, async (t) => {
    const database = await freshDatabase(server)
    const stores: MysqlStore[] = []
    const open = (options: MysqlStoreOptions = {}): MysqlStore => {
      const store = new MysqlStore(
        options.client === undefined ? { url: database.url, timeout: 20_000, ...options } : options,
      )
      stores.push(store)
      return store
    }
    try {
      await body(t, { ...database, open })
    } finally {
      await Promise.all(stores.map(async (store) => store.close()))
      await database.drop()
    }
  })
}

async function keeps(store: MysqlStore, text: string = payload()): Promise<boolean> {
  const name = key()
  const written = await store.create(name, text, soon())
  if (written === 'exists') return false
  const next = `${payload()}${text.slice(35)}`
  const replaced = await store.replace(name, next, soon(), written.entry)
  return typeof replaced === 'object' && (await store.read(name))?.payload === next
}

inDatabase(
  'F25: of many that start at once on an empty database all find the table',
  async (t, { open, sql }) => {
    const stores = Array.from({ length: 8 }, () => open({ poolSize: 2 }))
    t.deepEqual(
      await Promise.all(stores.map(async (store) => keeps(store))),
      stores.map(() => true),
    )
    t.is((await sql('SHOW TABLES')).length, 1)
  },
)

inDatabase('concurrent first verbs share one attempt to connect', async (t, { open, sql }) => {
  const store = open()
  await Promise.all(Array.from({ length: 20 }, async () => store.open()))
  const [row] = await sql('SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = DATABASE()')
  t.is(Number(row?.['n']), 2, 'the one of this test and the one of the store')
})

inDatabase('the table can have another name, and several fit into one database', async (t, { open, sql }) => {
  const one = open({ table: 'one' })
  const other = open({ table: '$2' })
  const name = key()
  await one.create(name, payload(), soon())
  t.is(await other.read(name), undefined)
  t.is(typeof (await other.create(name, payload(), soon())), 'object')
  t.deepEqual((await sql('SHOW TABLES')).flatMap((row) => Object.values(row)).toSorted(), ['$2', 'one'])
})

for (const [what, ddl] of Object.entries({
  'without our columns': 'CREATE TABLE session (id int PRIMARY KEY, note text)',
  'with one column too few': 'CREATE TABLE session (session_key char(64) PRIMARY KEY, session_data blob)',
  'with an expiry that is a date': CLASSIC.replace('int(11) unsigned', 'datetime'),
  'with an expiry that ends in 2038': CLASSIC.replace('int(11) unsigned', 'int(11)'),
  'with payloads that are text': CLASSIC.replace('blob', 'text'),
  'with payloads of 255 bytes': CLASSIC.replace('blob', 'tinyblob'),
  'with keys that are too short': CLASSIC.replace('char(64)', 'char(32)'),
  'with ms and keys that take A for a': `CREATE TABLE session (${OURS.replace('CHARACTER SET ascii COLLATE ascii_bin', '')})`,
  'without a primary key': `CREATE TABLE session (${OURS.replace('PRIMARY KEY', '')})`,
  'with a primary key that is more than our key': `CREATE TABLE session (${OURS.replace('PRIMARY KEY', '')}, site int NOT NULL DEFAULT 0, PRIMARY KEY (session_key, site))`,
  'that needs a value we do not have': `CREATE TABLE session (${OURS}, owner int NOT NULL)`,
})) {
  inDatabase(`F25: a table ${what} is refused by open and every verb`, async (t, { open, sql }) => {
    await sql(ddl)
    const [before] = await sql('SHOW CREATE TABLE session')
    const store = open()
    for (const attempt of [store.open(), store.create(key(), payload(), soon()), store.sweep(10)]) {
      const error = await t.throwsAsync(attempt, { instanceOf: SessionError, code: 'ERR_SESSION_STORE' })
      t.regex(
        error.message,
        /^mysql: open failed: the table session is not a table of sessions\. It needs .*; it has /,
      )
    }
    t.deepEqual((await sql('SHOW CREATE TABLE session'))[0], before)
  })
}

for (const [what, ddl, resolution, maxBytes] of [
  ['the documented one on InnoDB', CLASSIC.replace('MyISAM', 'InnoDB'), 1_000, 65_535],
  ['the documented one with room', CLASSIC.replace('blob', 'mediumblob'), 1_000, undefined],
  [
    'ours with a column more',
    `CREATE TABLE session (${OURS}, seen timestamp DEFAULT now(), note text)`,
    1,
    undefined,
  ],
  [
    'ours with keys that are bytes',
    `CREATE TABLE session (${OURS.replace(/varchar.*ascii_bin/, 'varbinary(128)')})`,
    1,
    undefined,
  ],
] as const) {
  inDatabase(`${what} is accepted as a table`, async (t, { open, sql }) => {
    await sql(ddl)
    const [row] = await sql('SELECT @@global.max_allowed_packet AS packet')
    const store = open()
    t.true(await keeps(store))
    t.is(store.traits.resolution, resolution)
    t.is(store.traits.maxBytes, maxBytes ?? Math.min(2 ** 24 - 1, Number(row?.['packet']) - 1_024))
    t.true(await keeps(store, payload('x'.repeat(store.traits.maxBytes - 35))))
  })
}

for (const [kind, setUp] of [
  ['ours', ''],
  ['the documented one', CLASSIC],
] as const) {
  inDatabase(
    `payloads of 0.1 to 1,000 KB are kept, or refused with the limit: ${kind}`,
    async (t, { open, sql }) => {
      if (setUp !== '') await sql(setUp)
      const store = open()
      for (const bytes of [102, 10_240, 61_440])
        t.true(await keeps(store, payload('é'.repeat((bytes - 36) / 2))))
      const large = payload('é'.repeat(512_000))
      if (setUp === '') t.true(await keeps(store, large))
      else {
        const before = await sql('SELECT COUNT(*) AS n FROM session')
        await t.throwsAsync(keeps(store, large), {
          code: 'ERR_SESSION_LIMIT',
          message: /^mysql: create refused, the payload has 1024035 bytes and may have 65535$/,
        })
        t.deepEqual(await sql('SELECT COUNT(*) AS n FROM session'), before)
      }
    },
  )
}

inDatabase('rows of beego count as expired, and the next sweep removes them', async (t, { open, sql }) => {
  await sql(CLASSIC)
  // beego keeps the moment of the last write in the column that it calls the expiry.
  await sql("INSERT INTO session VALUES (?, X'0EFF8104', UNIX_TIMESTAMP() - 1)", [BEEGO_KEY])
  const store = open()
  t.is(await store.read(BEEGO_KEY), undefined)
  t.is(await store.count(), 0)
  t.is(await store.sweep(10), 1)
})

inDatabase('a living row with data NULL is an entry that matches no base', async (t, { open, sql }) => {
  await sql(CLASSIC)
  await sql('INSERT INTO session VALUES (?, NULL, UNIX_TIMESTAMP() + 60)', [BEEGO_KEY])
  const store = open()
  const entry = await store.read(BEEGO_KEY)
  if (entry === undefined) return t.fail('the row is alive')
  t.is(entry.payload, '')
  t.is(await store.replace(BEEGO_KEY, payload(), soon(), entry), 'conflict')
  t.is(await store.destroy(BEEGO_KEY), 'ok')
})

inDatabase('in the documented table hashes in hex are stored unchanged', async (t, { open, sql }) => {
  await sql(CLASSIC)
  const store = open()
  const hash = key()
  for (const name of [hash, hash.toUpperCase(), `${hash}${hash}`]) await store.create(name, payload(), soon())
  const rows = await sql('SELECT session_key FROM session')
  const names = rows.map((row) => String(row['session_key'])).toSorted()
  t.is(names[0], hash)
  for (const name of names.slice(1)) t.regex(name, /^~[0-9a-f]{63}$/)
  t.is(names.length, 3)
})

inDatabase(
  'F25: a table that is dropped while the store is open is created again',
  async (t, { open, sql }) => {
    const store = open()
    t.true(await keeps(store))
    await sql('DROP TABLE session')
    await t.throwsAsync(store.read(key()), {
      message: 'mysql: read failed: the table does not exist any more (ER_NO_SUCH_TABLE)',
    })
    t.true(await keeps(store))
  },
)

inDatabase(
  'F25: a user without the right to create the table gets an error that says so',
  async (t, { open, url, name, sql }) => {
    const user = `u${name.slice(-8)}`
    await sql(`CREATE USER ${user}@'%' IDENTIFIED BY 'pikeperch'`)
    await sql(`GRANT SELECT ON ${name}.* TO ${user}@'%'`)
    const own = new URL(url)
    own.username = user
    own.password = 'pikeperch'
    const store = open({ url: own.href })
    await t.throwsAsync(store.open(), {
      message:
        'mysql: open failed: this user has no right to do this with the table (ER_TABLEACCESS_DENIED_ERROR)',
    })
    await sql(`DROP USER ${user}@'%'`)
  },
)

inDatabase('a client without a database, or without autocommit, is refused', async (t, { open, url }) => {
  const nowhere = new URL(url)
  nowhere.pathname = ''
  const lost = createPool(nowhere.href)
  const store = open({ client: lost })
  await t.throwsAsync(store.open(), {
    message: 'mysql: open failed: the connection has selected no database',
  })
  const undecided = createPool(url)
  undecided.on('connection', (connection) => void connection.query('SET autocommit = 0'))
  const other = open({ client: undecided })
  await t.throwsAsync(other.open(), {
    message: 'mysql: open failed: autocommit is off, so nothing would be stored',
  })
  await Promise.all([lost.end(), undecided.end()])
})

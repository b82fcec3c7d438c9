import test, { type ExecutionContext } from 'ava'
import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise'
import { MysqlStore } from '../../../src/stores/mysql.ts'
import { freshDatabase, privateMariadb, type MariadbDatabase } from '../../servers/mariadb.ts'
import { addExpired, CLASSIC, key, payload, soon } from './harness.ts'

// Of its own, since the modes are set for the whole server.
const server = await privateMariadb()
const admin = createPool({ uri: server.url, connectionLimit: 1 })
test.after.always(async () => {
  await admin.end()
  await server.stop()
})

/** What one connection, or all of a server, can be set to. */
interface Setting {
  readonly sql_mode?: string
  readonly sql_safe_updates?: number
}

const MODES = [
  '',
  'ANSI',
  'ANSI_QUOTES',
  'DB2',
  'EMPTY_STRING_IS_NULL',
  'HIGH_NOT_PRECEDENCE',
  'IGNORE_SPACE',
  'MAXDB',
  'MSSQL',
  'MYSQL40',
  'NO_BACKSLASH_ESCAPES',
  'NO_FIELD_OPTIONS',
  'NO_KEY_OPTIONS',
  'NO_TABLE_OPTIONS',
  'NO_UNSIGNED_SUBTRACTION',
  'ONLY_FULL_GROUP_BY',
  'ORACLE',
  'ORACLE,EMPTY_STRING_IS_NULL,NO_BACKSLASH_ESCAPES',
  'PAD_CHAR_TO_FULL_LENGTH',
  'PIPES_AS_CONCAT',
  'POSTGRESQL',
  'REAL_AS_FLOAT',
  'SIMULTANEOUS_ASSIGNMENT',
  'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO',
  'TIME_ROUND_FRACTIONAL',
  'TRADITIONAL',
]

const SETTINGS: readonly Setting[] = [
  ...MODES.map((sql_mode) => ({ sql_mode })),
  { sql_safe_updates: 1 },
  { sql_safe_updates: 1, sql_mode: 'ORACLE' },
]

const KINDS = [
  ['ours', undefined],
  ['the documented one', CLASSIC],
  ['the documented one on InnoDB', CLASSIC.replace('MyISAM', 'InnoDB')],
] as const

function assignments(setting: Setting, scope: 'GLOBAL' | 'SESSION'): string {
  return Object.entries(setting)
    .map(([name, value]) => `${scope} ${name} = ${typeof value === 'string' ? `'${value}'` : value}`)
    .join(', ')
}

/** What each verb answers, once on an entry that is there and once where it is not. */
async function everyVerb(store: MysqlStore, database: MariadbDatabase): Promise<Record<string, unknown>> {
  const [name, gone, old] = [key(), key(), 'old-1']
  const [first, second] = [payload('it\'s \\ "here" || é'), payload('')]
  await store.open()
  await addExpired(database, 60)
  const written = await store.create(name, first, soon())
  if (written === 'exists') throw new Error('the key is new')
  const base = written.entry
  return {
    read: (await store.read(name))?.payload === first,
    exists: await store.create(name, second, soon()),
    touch: await store.touch(name, soon() + 60_000),
    replace: typeof (await store.replace(name, second, soon(), base)),
    conflict: await store.replace(name, second, soon(), base),
    stays: await store.destroy(name, base),
    revived: typeof (await store.create(old, first, soon())),
    count: await store.count(),
    none: [await store.read(gone), await store.touch(gone, soon()), await store.destroy(gone)],
    swept: [await store.sweep(50), await store.sweep(50), await store.sweep(50)],
    destroyed: [await store.destroy(name, { payload: second, expiresAt: soon() }), await store.destroy(old)],
    left: Number((await database.sql('SELECT COUNT(*) AS n FROM session'))[0]?.['n']),
  }
}

const RIGHT = {
  read: true,
  exists: 'exists',
  touch: 'ok',
  replace: 'object',
  conflict: 'conflict',
  stays: 'conflict',
  revived: 'object',
  count: 2,
  none: [undefined, 'gone', 'gone'],
  swept: [50, 9, 0],
  destroyed: ['ok', 'ok'],
  left: 0,
}

/** Opens a database with a table of this kind, and a pool whose connections have this setting. */
async function withClient(
  setUp: string | undefined,
  setting: Setting,
  body: (store: MysqlStore, database: MariadbDatabase, client: Pool) => Promise<void>,
): Promise<void> {
  const database = await freshDatabase(server)
  if (setUp !== undefined) await database.sql(setUp)
  const client = createPool({ uri: database.url, connectionLimit: 2 })
  client.on('connection', (connection) => void connection.query(`SET ${assignments(setting, 'SESSION')}`))
  const store = new MysqlStore({ client })
  try {
    await body(store, database, client)
  } finally {
    await store.close()
    await client.end()
    await database.drop()
  }
}

async function assertKept(t: ExecutionContext, client: Pool, setting: Setting): Promise<void> {
  const [rows] = await client.query<RowDataPacket[]>('SELECT @@sql_safe_updates AS safe, @@sql_mode AS modes')
  t.is(rows[0]?.['safe'], setting.sql_safe_updates ?? 0, 'the connection keeps its own setting')
  for (const mode of (setting.sql_mode ?? '').split(','))
    t.true(String(rows[0]?.['modes']).includes(mode), mode)
}

for (const [kind, setUp] of KINDS) {
  test.serial(
    `every verb works under every SQL mode that a client sets, and leaves it: ${kind}`,
    async (t) => {
      for (const setting of SETTINGS)
        await withClient(setUp, setting, async (store, database, client) => {
          t.deepEqual(await everyVerb(store, database), RIGHT, JSON.stringify(setting))
          await assertKept(t, client, setting)
        })
    },
  )

  test.serial(
    `every verb works on a server with sql_safe_updates and sql_mode=ORACLE: ${kind}`,
    async (t) => {
      const database = await freshDatabase(server)
      if (setUp !== undefined) await database.sql(setUp)
      await admin.query(`SET ${assignments({ sql_safe_updates: 1, sql_mode: 'ORACLE' }, 'GLOBAL')}`)
      const store = new MysqlStore({ url: database.url, poolSize: 2 })
      try {
        t.deepEqual(await everyVerb(store, database), RIGHT)
      } finally {
        await admin.query('SET GLOBAL sql_safe_updates = DEFAULT, GLOBAL sql_mode = DEFAULT')
        await store.close()
        await database.drop()
      }
    },
  )
}

test.serial('every verb works as text, without prepared statements, under these settings too', async (t) => {
  await admin.query('SET GLOBAL max_prepared_stmt_count = 0')
  try {
    for (const [, setUp] of KINDS) {
      const setting = { sql_safe_updates: 1, sql_mode: 'ORACLE,EMPTY_STRING_IS_NULL,NO_BACKSLASH_ESCAPES' }
      await withClient(setUp, setting, async (store, database, client) => {
        t.deepEqual(await everyVerb(store, database), RIGHT)
        await assertKept(t, client, setting)
      })
    }
  } finally {
    await admin.query('SET GLOBAL max_prepared_stmt_count = DEFAULT')
  }
})

test.serial('a table that needs another value is refused in every mode, and the mode stays', async (t) => {
  for (const sql_mode of ['', 'EMPTY_STRING_IS_NULL', 'ORACLE', 'ORACLE,EMPTY_STRING_IS_NULL'])
    await withClient(
      CLASSIC.replace(', PRIMARY', ', owner int NOT NULL, PRIMARY'),
      { sql_mode },
      async (store, _, client) => {
        await t.throwsAsync(store.open(), { message: /not a table of sessions/ }, sql_mode)
        await assertKept(t, client, { sql_mode })
      },
    )
})

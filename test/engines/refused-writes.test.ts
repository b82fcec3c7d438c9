// How an application fares with a store that refuses to store: one that is full, read-only or not allowed. The file store is
// tried on a full disk in test/stores/file/failures.test.ts, which needs a process of its own.
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { SessionError, type SessionEvent } from '../../src/index.ts'
import type { Store } from '../../src/store.ts'
import { MemcacheStore } from '../../src/stores/memcache.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { freshDatabase, privateMariadb, type PrivateMariadb } from '../servers/mariadb.ts'
import { startMemcached } from '../servers/memcached.ts'
import { emptyDatabase, startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { observe, option, startRedis } from '../servers/redis.ts'
import { CLASSIC } from '../stores/mysql/harness.ts'
import { openClient } from '../stores/sqlite/drivers.ts'
import { temporaryFolder } from '../support/cleanup.ts'
import { attempt, judge, ownerActs, ownerScene, type OwnerScene } from './owner-acts.ts'
import { counting, openSite } from './site.ts'

const [FEW, MANY] = [200, 1_000]
/** Two of these many requests write, one to a session that there is and one to a new one. */
const ROUND = 25

function hex(number: number): string {
  return number.toString(16).padStart(64, '0')
}

interface Refusal {
  readonly store: Store
  refuse(): Promise<unknown>
  admit(): Promise<unknown>
  /** What the messages say. */
  readonly reason: RegExp
  /** Whether a session can be ended meanwhile. */
  readonly endsSessions: boolean
  /** How many requests read meanwhile. Default: 200. */
  readonly reads?: number
}

/** A database that its own connection makes refuse writes. */
async function sqlite(t: ExecutionContext): Promise<{ store: Store; pragma: Pragma }> {
  const client = openClient(path.join(await temporaryFolder('kts-refused-'), 'sessions.db'))
  t.teardown(() => client.close())
  const pragma: Pragma = async (text) => client.prepare(`PRAGMA ${text}`).all()
  return { store: new SqliteStore({ client, sync: false }), pragma }
}

type Pragma = (text: string) => Promise<unknown>

const refusals: Readonly<Record<string, (t: ExecutionContext) => Promise<Refusal>>> = {
  'sqlite, with a file that may not grow': async (t) => {
    const { store, pragma } = await sqlite(t)
    return {
      store,
      refuse: async () => pragma('max_page_count = 1'), // it becomes the number of pages that there are
      admit: async () => pragma('max_page_count = 1000000'),
      reason: /there is no room on the disk, or in the database \(SQLITE_FULL\)/,
      endsSessions: true,
    }
  },
  'sqlite, read-only': async (t) => {
    const { store, pragma } = await sqlite(t)
    return {
      store,
      refuse: async () => pragma('query_only = ON'),
      admit: async () => pragma('query_only = OFF'),
      reason: /the database is read-only \(SQLITE_READONLY\)/,
      endsSessions: false,
    }
  },
  'redis, at maxmemory': async (t) => {
    const server = await startRedis({ args: option('maxmemory-policy', 'noeviction') })
    const admin = observe(server.port)
    t.teardown(async () => {
      admin.disconnect()
      await server.stop()
    })
    return {
      store: new RedisStore({ url: server.url }),
      refuse: async () => admin.config('SET', 'maxmemory', '1'),
      admit: async () => admin.config('SET', 'maxmemory', '0'),
      reason: /Redis is full: .*\(OOM\)/,
      reads: MANY,
      endsSessions: true,
    }
  },
  'redis, with a disk that cannot be written': async (t) => {
    const server = await startRedis({ args: option('enable-protected-configs', 'yes') })
    const admin = observe(server.port)
    t.teardown(async () => {
      admin.disconnect()
      await server.stop()
    })
    return {
      store: new RedisStore({ url: server.url }),
      async refuse() {
        await admin.config('SET', 'save', '3600 1')
        await admin.config('SET', 'dir', '/proc') // where no file can be made
        await admin.bgsave().catch(() => undefined)
        while (!(await admin.info('persistence')).includes('rdb_last_bgsave_status:err')) continue
      },
      admit: async () => admin.config('SET', 'stop-writes-on-bgsave-error', 'no'),
      reason: /Redis cannot save to its disk and refuses writes \(MISCONF\)/,
      endsSessions: false,
    }
  },
  'redis, with a user who may not write': async (t) => {
    const server = await startRedis()
    const admin = observe(server.port)
    await admin.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+@all')
    t.teardown(async () => {
      admin.disconnect()
      await server.stop()
    })
    return {
      store: new RedisStore({ url: `redis://reader:secret@127.0.0.1:${server.port}` }),
      refuse: async () => admin.call('ACL', 'SETUSER', 'reader', '-set'),
      admit: async () => admin.call('ACL', 'SETUSER', 'reader', '+set'),
      reason: /the user may not do this/,
      endsSessions: true,
    }
  },
  'redis, which has become a replica': async (t) => {
    const [server, primary] = await Promise.all([startRedis(), startRedis()])
    const admin = observe(server.port)
    t.teardown(async () => {
      admin.disconnect()
      await Promise.all([server.stop(), primary.stop()])
    })
    return {
      store: new RedisStore({ url: server.url, timeout: 1_000 }),
      async refuse() {
        // A primary that it never reaches: so it keeps its data, and refuses all the same.
        await admin.config('SET', 'replica-serve-stale-data', 'yes')
        await primary.stop()
        await admin.replicaof('127.0.0.1', primary.port)
      },
      admit: async () => admin.replicaof('NO', 'ONE'),
      reason: /the server is a replica, which accepts no writes \(READONLY\)/,
      endsSessions: false,
    }
  },
  'memcache, full and without evictions': async (t) => {
    const server = await startMemcached({ args: ['-M', '-m', '2'] })
    t.teardown(async () => server.stop())
    const store = new MemcacheStore({ url: server.url })
    const filler = new MemcacheStore({ url: server.url, prefix: 'filler:' })
    t.teardown(async () => filler.close())
    let filled = 0
    return {
      store,
      async refuse() {
        // Large ones first, so that the smallest items find no room either.
        for (const size of [100_000, 2_300, 2_200, 2_100, 2_000]) {
          for (let isFull = false; !isFull;) {
            const text = `kts1 ${String((filled += 1)).padStart(16, '0')}${'x'.repeat(size)}`
            isFull = await filler.create(hex(filled), text, Date.now() + 3_600_000).then(
              () => false,
              () => true,
            )
          }
        }
      },
      async admit() {
        for (let each = 1; each <= filled; each += 1) await filler.destroy(hex(each))
      },
      reason: /out of memory/,
      endsSessions: true,
    }
  },
  'postgres, read-only': async (t) => {
    const database = await postgres(t)
    const set = async (how: string): Promise<void> => {
      await database.query(`BEGIN READ WRITE; ALTER DATABASE ${database.name} ${how}; COMMIT`)
      await database.forbid()
      await database.allow()
    }
    return {
      store: new PostgresStore({ url: database.url }),
      refuse: async () => set('SET default_transaction_read_only = on'),
      admit: async () => set('RESET default_transaction_read_only'),
      reason: /\(25006\); this server accepts no writes/,
      reads: MANY,
      endsSessions: false,
    }
  },
  // The server sends the code of a full disk, though it is a trigger that makes it do so.
  'postgres, with a full disk': async (t) => {
    const database = await postgres(t)
    return {
      store: new PostgresStore({ url: database.url }),
      async refuse() {
        await database.query(
          `CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$`,
        )
        await database.query(
          'CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON session FOR EACH ROW EXECUTE FUNCTION fill()',
        )
      },
      admit: async () => database.query('DROP TRIGGER fill ON session'),
      reason: /\(53100\); there is no room on the disk of the server/,
      endsSessions: true,
    }
  },
  'postgres, with a user who may not write': async (t) => {
    const database = await postgres(t)
    await database.query(`CREATE ROLE ${database.name} LOGIN PASSWORD 'secret'`)
    await database.query(`GRANT ALL ON SCHEMA public TO ${database.name}`)
    const url = new URL(database.url)
    ;[url.username, url.password] = [database.name, 'secret']
    const store = new PostgresStore({ url: url.href })
    await store.open()
    const owner = async (name: string): Promise<unknown> =>
      database.query(`ALTER TABLE session OWNER TO ${name}`)
    await owner('postgres')
    await database.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON session TO ${database.name}`)
    return {
      store,
      refuse: async () => database.query(`REVOKE INSERT, UPDATE, DELETE ON session FROM ${database.name}`),
      admit: async () => database.query(`GRANT INSERT, UPDATE, DELETE ON session TO ${database.name}`),
      reason: /\(42501\)/,
      endsSessions: false,
    }
  },
  'mysql, read-only': async (t) => {
    const { database, url } = await mariadb(t)
    return {
      store: new MysqlStore({ url }),
      refuse: async () => database.sql('SET GLOBAL read_only = ON'),
      admit: async () => database.sql('SET GLOBAL read_only = OFF'),
      reason: /the server is read-only \(ER_OPTION_PREVENTS_STATEMENT\)/,
      reads: MANY,
      endsSessions: false,
    }
  },
  'mysql, with a full table': async (t) => {
    const { database, url } = await mariadb(t, CLASSIC)
    return {
      store: new MysqlStore({ url }),
      async refuse() {
        for (const bytes of [2_000, 500, 20]) {
          for (let [isFull, at] = [false, 0]; !isFull; at += 1) {
            const row = [`filler-${bytes}-${at}`, bytes]
            isFull = await database
              .sql("INSERT INTO session VALUES (?, REPEAT('x', ?), 4294967295)", row)
              .then(
                () => false,
                () => true,
              )
          }
        }
      },
      admit: async () => database.sql("DELETE FROM session WHERE session_key LIKE 'filler%'"),
      reason: /the table is full \(ER_RECORD_FILE_FULL\)/,
      endsSessions: true,
    }
  },
  'mysql, with a user who may not write': async (t) => {
    const { database, url } = await mariadb(t)
    return {
      store: new MysqlStore({ url }),
      refuse: async () => database.sql('REVOKE INSERT, UPDATE, DELETE ON session FROM plain'),
      admit: async () => database.sql('GRANT INSERT, UPDATE, DELETE ON session TO plain'),
      reason: /this user has no right to do this with the table/,
      endsSessions: false,
    }
  },
}

let servers: { readonly postgres: PostgresServer; readonly mariadb: PrivateMariadb }
test.before('the servers start', async () => {
  const [postgres, mariadb] = await Promise.all([
    startPostgres(),
    privateMariadb('--myisam-data-pointer-size=2'), // a file of MyISAM may have 64 KiB
  ])
  servers = { postgres, mariadb }
})
test.after.always('the servers stop', async () => {
  await Promise.all([servers.postgres.stop(), servers.mariadb.stop()])
})

async function postgres(t: ExecutionContext) {
  const database = await emptyDatabase(servers.postgres)
  t.teardown(async () => database.drop())
  return database
}

/** A database, and a user with ordinary rights to it. */
async function mariadb(t: ExecutionContext, table?: string) {
  const database = await freshDatabase(servers.mariadb)
  t.teardown(async () => {
    await database.sql('DROP USER plain')
    await database.drop()
  })
  await database.sql(`CREATE USER plain IDENTIFIED BY 'secret'`)
  await database.sql(`GRANT SELECT, CREATE, INDEX ON ${database.name}.* TO plain`)
  if (table !== undefined) await database.sql(table)
  const owner = new MysqlStore({ url: database.url })
  await owner.open()
  await owner.close()
  await database.sql('GRANT INSERT, UPDATE, DELETE ON session TO plain')
  const url = new URL(database.url)
  ;[url.username, url.password] = ['plain', 'secret']
  return { database, url: url.href }
}

for (const [name, prepare] of Object.entries(refusals)) {
  test.serial(
    `F27, security 53: ${name}: no plain read fails, writes are refused as such, and the circuit stays closed`,
    async (t) => {
      const { store, refuse, admit, reason, endsSessions, reads = FEW } = await prepare(t)
      const events: SessionEvent[] = []
      const long = 'x'.repeat(2_000)
      const site = await openSite(
        {
          store,
          idleTimeout: 3_600_000,
          onEvent: (event) => events.push(event),
          owners: { verifyEvery: 300_000 },
        },
        {
          ...counting,
          begin: ({ session }) => void session.set('n', 0),
          long: ({ session }) => void session.set('long', long),
        },
      )
      t.teardown(async () => site.close())
      const ids: string[] = []
      while (ids.length < 10) ids.push((await site.ask('/begin')).cookie ?? '')
      const { manager } = site.sessions
      const scenes: (readonly [act: string, scene: OwnerScene])[] = []
      for (const act of Object.keys(ownerActs))
        scenes.push([act, await ownerScene(manager, manager, `one who ${act}`)])
      await refuse()
      events.length = 0

      const statuses: Record<'read' | 'write', Record<number, number>> = { read: {}, write: {} }
      const asked = async (kind: 'read' | 'write', path: string, id?: string): Promise<void> => {
        const { status, cookie } = await site.ask(path, id)
        statuses[kind][status] = (statuses[kind][status] ?? 0) + 1
        if (kind === 'write' && cookie !== undefined) t.fail('a cookie for what was not stored')
      }
      for (let done = 0; done < reads; done += ROUND) {
        const round = Array.from({ length: ROUND }, async (_, at) =>
          asked('read', '/look', ids[(done + at) % ids.length]),
        )
        await Promise.all([...round, asked('write', '/long', ids[0]), asked('write', '/long')])
      }
      t.deepEqual(statuses, { read: { 200: reads }, write: { 503: (2 * reads) / ROUND } })
      for (const event of events) {
        t.false(['store-down', 'store-refused'].includes(event.type), event.type)
        if (event.type !== 'store-failed') continue
        t.true(event.error instanceof SessionError)
        t.true(event.error.answered, event.error.message)
        t.regex(event.error.message, reason)
      }
      t.deepEqual((await manager.health()).ok, true)

      const acts = []
      for (const [act, scene] of scenes) acts.push({ act, scene, ...(await attempt(t, act, scene)) })
      t.log(acts.map(({ act, isDone }) => `${act}: ${isDone ? 'done' : 'refused'}`).join(', '))
      // A full backend may have room for a record as small as an owner's: what was told is judged below.
      t.is((await manager.health()).ok, true)

      const logout = await site.ask('/logout', ids[9])
      t.is(logout.status, endsSessions ? 200 : 503)
      t.is((await site.ask('/look', ids[9])).text, endsSessions ? 'null' : '0')

      await admit()
      t.is((await site.ask('/count', ids[0])).text, '1')
      t.not((await site.ask('/long')).cookie, undefined)
      for (const { act, scene, holds } of acts) await judge(t, act, scene, holds, store, false)
    },
  )
}

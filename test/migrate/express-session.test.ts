import { randomBytes } from 'node:crypto'
import test from 'ava'
import { Redis } from 'ioredis'
import { createPool as createCallbackPool } from 'mysql2'
import { createPool } from 'mysql2/promise'
import { Pool } from 'pg'
import { SessionError } from '../../src/index.ts'
import { expressSession, type ExpressSessionImporterOptions } from '../../src/migrate/index.ts'
import { FileStore } from '../../src/stores/file.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { temporaryFolder } from '../support/cleanup.ts'
import { freshDatabase, mariadbServer } from '../servers/mariadb.ts'
import { emptyDatabase, postgresServer } from '../servers/postgres.ts'
import { redisServer } from '../servers/redis.ts'
import { expressCookie, refusalOf, siteOf } from './site.ts'

const servers = await Promise.all([redisServer(), postgresServer(), mariadbServer()])
const [redisAt, postgresAt, mariadbAt] = servers
const redis = new Redis(redisAt.url)
const postgresDatabase = await emptyDatabase(postgresAt)
const postgres = new Pool({ connectionString: postgresDatabase.url, max: 2 })
// The database is dropped while the last connection is still closing.
postgres.on('error', () => undefined)
const mariadb = await freshDatabase(mariadbAt)
const mysql = createPool({ uri: mariadb.url, connectionLimit: 2 })
// The tables of connect-pg-simple and express-mysql-session, as they create them.
await postgresDatabase.query(
  'CREATE TABLE "session" (sid varchar NOT NULL PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)',
)
await postgresDatabase.query(
  'CREATE SCHEMA "old ""one"; CREATE TABLE "old ""one"."my sessions" (LIKE "session")',
)
await mariadb.sql(
  'CREATE TABLE `sessions` (`session_id` varchar(128) COLLATE utf8mb4_bin NOT NULL, `expires` int(11) unsigned NOT NULL, `data` mediumtext COLLATE utf8mb4_bin, PRIMARY KEY (`session_id`))',
)
test.after.always(async () => {
  await Promise.all([redis.quit(), postgres.end(), mysql.end()])
  await Promise.all([postgresDatabase.drop(), mariadb.drop()])
  await Promise.all(servers.map(async (server) => server.stop()))
})

const SECRET = 'keyboard cat'
const DAY = 86_400_000

/** What express-session stores beside the values. */
const cookie = (expires: number | null): object => ({
  originalMaxAge: expires === null ? null : DAY,
  expires: expires === null ? null : new Date(expires),
  httpOnly: true,
  path: '/',
})

interface Place {
  readonly options: Partial<ExpressSessionImporterOptions>
  /** Stores it as the old library does, with an expiry in ms since the epoch. */
  put(sid: string, session: object, expires: number): Promise<unknown>
  has(sid: string): Promise<boolean>
}

const places: Readonly<Record<string, Place>> = {
  'connect-redis': {
    options: { redis },
    put: async (sid, session, expires) =>
      redis.set(
        `sess:${sid}`,
        JSON.stringify(session),
        'EX',
        Math.max(1, Math.ceil((expires - Date.now()) / 1000)),
      ),
    has: async (sid) => (await redis.exists(`sess:${sid}`)) === 1,
  },
  'connect-pg-simple': {
    options: { postgres },
    put: async (sid, session, expires) =>
      postgres.query('INSERT INTO "session" (sess, expire, sid) SELECT $1, to_timestamp($2), $3', [
        session,
        Math.ceil(expires / 1000),
        sid,
      ]),
    has: async (sid) =>
      (await postgres.query('SELECT 1 FROM "session" WHERE sid = $1', [sid])).rows.length === 1,
  },
  'connect-pg-simple in a schema': {
    options: { postgres, schema: 'old "one', table: 'my sessions' },
    put: async (sid, session, expires) =>
      postgres.query(
        'INSERT INTO "old ""one"."my sessions" (sess, expire, sid) SELECT $1, to_timestamp($2), $3',
        [session, Math.ceil(expires / 1000), sid],
      ),
    has: async (sid) =>
      (await postgres.query('SELECT 1 FROM "old ""one"."my sessions" WHERE sid = $1', [sid])).rows.length ===
      1,
  },
  'express-mysql-session': {
    options: { mysql },
    put: async (sid, session, expires) =>
      mysql.query('INSERT INTO sessions (session_id, expires, data) VALUES (?, ?, ?)', [
        sid,
        Math.round(expires / 1000),
        JSON.stringify(session),
      ]),
    has: async (sid) => {
      const [rows] = await mysql.query('SELECT 1 FROM sessions WHERE session_id = ?', [sid])
      return Array.isArray(rows) && rows.length === 1
    },
  },
}

const newSid = (): string => randomBytes(24).toString('base64url')

for (const [name, { options, put, has }] of Object.entries(places)) {
  test(`a session of ${name} is found with its values, and a logout ends it there`, async (t) => {
    const site = await siteOf(t, expressSession({ secret: [SECRET], ...options }))
    const [sid, expires] = [newSid(), Date.now() + DAY]
    const session = {
      cookie: cookie(expires),
      user: 'ann',
      cart: [{ sku: 'ü', n: 1 }],
      passport: { user: 7 },
    }
    await put(sid, session, expires)
    const cookies = expressCookie('connect.sid', sid, SECRET)
    t.deepEqual(await site.look(cookies), { user: 'ann', cart: [{ sku: 'ü', n: 1 }], passport: { user: 7 } })
    t.true(await has(sid))
    t.deepEqual(await site.logOut(cookies), ['connect.sid'])
    t.false(await has(sid))
    await put(sid, session, expires)
    t.deepEqual(await site.look(cookies), {})
  })

  test(`a session of ${name} that has expired, or that there is none of, is an anonymous visit`, async (t) => {
    const site = await siteOf(t, expressSession({ secret: [SECRET], ...options }))
    const sid = newSid()
    await put(sid, { cookie: cookie(Date.now() - 5_000), user: 'ann' }, Date.now() - 5_000)
    t.deepEqual(await site.look(expressCookie('connect.sid', sid, SECRET)), {})
    t.deepEqual(await site.look(expressCookie('connect.sid', newSid(), SECRET)), {})
  })

  test(`a session of ${name} whose cookie ends with the browser is found until its record ends`, async (t) => {
    const clock = { now: Date.now() }
    const site = await siteOf(t, expressSession({ secret: [SECRET], ...options }), {
      now: () => clock.now,
      passive: () => true,
    })
    const [sid, expires] = [newSid(), Date.now() + 600_000]
    await put(sid, { cookie: cookie(null), user: 'ann' }, expires)
    const cookies = expressCookie('connect.sid', sid, SECRET)
    t.deepEqual(await site.look(cookies), { user: 'ann' })
    clock.now += 590_000
    t.deepEqual(await site.look(cookies), { user: 'ann' })
    clock.now += 20_000
    t.deepEqual(await site.look(cookies), {})
  })
}

test('the time zone of PostgreSQL shifts no expiry', async (t) => {
  for (const zone of ['UTC', 'America/New_York', 'Asia/Kolkata']) {
    const pool = new Pool({ connectionString: postgresDatabase.url, max: 1, options: `-c TimeZone=${zone}` })
    pool.on('error', () => undefined)
    t.teardown(async () => pool.end())
    const site = await siteOf(t, expressSession({ secret: SECRET, postgres: pool }))
    for (const [left, user] of [
      [60_000, 'ann'],
      [-60_000, undefined],
    ] as const) {
      const sid = newSid()
      await pool.query('INSERT INTO "session" (sess, expire, sid) SELECT $1, to_timestamp($2), $3', [
        { cookie: cookie(null), user: 'ann' },
        (Date.now() + left) / 1000,
        sid,
      ])
      t.deepEqual(
        await site.look(expressCookie('connect.sid', sid, SECRET)),
        user === undefined ? {} : { user },
        zone,
      )
    }
  }
})

test('the marker of a session without an end, which lives five years, is kept by each engine', async (t) => {
  const until = Date.now() + 5 * 365 * DAY
  const stores = [
    new RedisStore({ url: redisAt.url, prefix: 'far:' }),
    new PostgresStore({ url: postgresDatabase.url, table: 'far' }),
    new MysqlStore({ url: mariadb.url, table: 'far' }),
    new FileStore({ folder: await temporaryFolder('kts-far-') }),
  ]
  for (const store of stores) {
    await store.create('a'.repeat(64), 'kts1 aaaaaaaaaaaaaaaa far', until)
    const entry = await store.read('a'.repeat(64))
    t.true(entry !== undefined && entry.expiresAt > until - 2_000, store.traits.name)
    await store.close()
  }
})

test('every secret verifies, and what none has signed is no session', async (t) => {
  const sid = newSid()
  await places['connect-redis']?.put(sid, { cookie: cookie(null), user: 'ann' }, Date.now() + DAY)
  const found = async (
    secret: ExpressSessionImporterOptions['secret'],
    cookies: string,
  ): Promise<boolean> => {
    const site = await siteOf(t, expressSession({ secret, redis }))
    const values = await site.look(cookies)
    return JSON.stringify(values) === '{"user":"ann"}'
  }
  const signed = expressCookie('connect.sid', sid, SECRET)
  const raw = decodeURIComponent(signed)
  t.true(await found(SECRET, signed))
  t.true(await found(['new', SECRET], signed))
  t.true(await found(Buffer.from(SECRET), signed))
  t.true(await found(SECRET, raw), 'without escapes')
  t.true(await found(SECRET, raw.replace(/=(.*)/, '="$1"')), 'in quotes')
  t.true(
    await found(SECRET, `connect.sid=s%3Aplanted.x; ${signed}`),
    'one that a neighbour has planted before it',
  )
  t.false(await found('new', signed))
  t.false(await found(SECRET, `connect.sid=${sid}`))
  t.false(await found(SECRET, `connect.sid=s%3A${sid}`))
  t.false(await found(SECRET, `connect.sid=s%3A${sid}.`))
  t.false(await found(SECRET, raw.replace('s:', '')))
  t.false(await found(SECRET, raw.slice(0, -1)))
  t.false(await found(SECRET, raw.replace('s:', 's:x')))
  t.false(await found(SECRET, expressCookie('connect.sid', `sess.${sid}`, SECRET)))
})

test('a bad escape, a huge cookie and a broken record are anonymous visits', async (t) => {
  const site = await siteOf(t, expressSession({ secret: SECRET, redis }))
  for (const value of ['%', '%zz', '%E0%A4%A', 's%3A', 's%3A.', '.', 's%3A'.repeat(2_000), '"', '""'])
    t.deepEqual(await site.look(`connect.sid=${value}`), {}, value.slice(0, 20))
  for (const text of ['secret', '[]', '1', '""', `{"a":"${'x'.repeat(1_048_576)}"}`]) {
    const sid = newSid()
    await redis.set(`sess:${sid}`, text)
    t.deepEqual(await site.look(expressCookie('connect.sid', sid, SECRET)), {})
    t.notRegex(refusalOf(site.events) ?? '', /secret|xxx/)
  }
})

test('any other store of express-session is called with callbacks', async (t) => {
  const records = new Map<string, unknown>([['id', { cookie: cookie(null), user: 'ann' }]])
  let trouble: Error | undefined
  const store = {
    get: (sid: string, callback: (error: unknown, session?: unknown) => void) =>
      callback(trouble ?? null, records.get(sid)),
    destroy: (sid: string, callback: (error?: unknown) => void) => (records.delete(sid), callback()),
  }
  const site = await siteOf(t, expressSession({ name: 'app.sid', secret: SECRET, store }))
  t.deepEqual(await site.look(expressCookie('app.sid', 'id', SECRET)), { user: 'ann' })
  await site.logOut(expressCookie('app.sid', 'id', SECRET))
  t.is(records.size, 0)
  trouble = Object.assign(new Error('no such file'), { code: 'ENOENT' }) // session-file-store
  t.deepEqual(await site.look(expressCookie('app.sid', 'other', SECRET)), {})
  trouble = new Error('no connection')
  t.is(await site.look(expressCookie('app.sid', 'other', SECRET)), 503)
})

test('options that cannot work are refused', (t) => {
  const refused = (options: object): string =>
    t.throws(() => expressSession(options as ExpressSessionImporterOptions), {
      instanceOf: SessionError,
      code: 'ERR_SESSION_OPTIONS',
    })?.message ?? ''
  t.regex(refused({ redis }), /secret is missing/)
  t.regex(refused({ secret: SECRET }), /give one of redis, postgres, mysql, store/)
  t.regex(refused({ secret: SECRET, redis, postgres }), /redis and postgres cannot be given together/)
  t.regex(refused({ secrets: SECRET, redis }), /did you mean secret\?/)
  const callbacks = createCallbackPool({ uri: mariadb.url })
  t.teardown(() => callbacks.end())
  t.regex(refused({ secret: SECRET, mysql: callbacks }), /pass pool\.promise\(\)/)
})

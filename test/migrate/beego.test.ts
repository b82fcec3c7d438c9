import { randomBytes } from 'node:crypto'
import test from 'ava'
import { Redis } from 'ioredis'
import { createPool } from 'mysql2/promise'
import { Pool } from 'pg'
import { createRegistry, SessionError } from '../../src/index.ts'
import { beego, type BeegoImporterOptions } from '../../src/migrate/index.ts'
import { freshDatabase, mariadbServer } from '../servers/mariadb.ts'
import { CLASSIC_TABLE, emptyDatabase, postgresServer } from '../servers/postgres.ts'
import { redisServer } from '../servers/redis.ts'
import { gobs } from './gob/fixtures.ts'
import { refusalOf, siteOf } from './site.ts'

const servers = await Promise.all([redisServer(), postgresServer(), mariadbServer()])
const [redisAt, postgresAt, mariadbAt] = servers
const redis = new Redis(redisAt.url)
const postgresDatabase = await emptyDatabase(postgresAt)
const postgres = new Pool({ connectionString: postgresDatabase.url, max: 2 })
// The database is dropped while the last connection is still closing.
postgres.on('error', () => undefined)
const mariadb = await freshDatabase(mariadbAt)
const mysql = createPool({ uri: mariadb.url, connectionLimit: 2 })
// The tables of beego's documentation.
await postgresDatabase.query(CLASSIC_TABLE)
await mariadb.sql(
  'CREATE TABLE `session` (`session_key` char(64) NOT NULL, `session_data` blob, `session_expiry` int(11) unsigned NOT NULL, PRIMARY KEY (`session_key`)) ENGINE=MyISAM DEFAULT CHARSET=utf8',
)
test.after.always(async () => {
  await Promise.all([redis.quit(), postgres.end(), mysql.end()])
  await Promise.all([postgresDatabase.drop(), mariadb.drop()])
  await Promise.all(servers.map(async (server) => server.stop()))
})

const HOUR = 3_600

interface Place {
  readonly options: BeegoImporterOptions
  /** Stores it as beego does, as if it had been saved so many seconds ago. */
  put(id: string, gob: Buffer, age: number): Promise<unknown>
  has(id: string): Promise<boolean>
}

const places: Readonly<Record<string, Place>> = {
  redis: {
    options: { redis },
    put: async (id, gob, age) => (age < HOUR ? redis.setex(id, HOUR - age, gob) : undefined),
    has: async (id) => (await redis.exists(id)) === 1,
  },
  mysql: {
    options: { mysql },
    put: async (id, gob, age) =>
      mysql.query('INSERT INTO session VALUES (?, ?, ?)', [id, gob, Math.floor(Date.now() / 1000) - age]),
    has: async (id) => {
      const [rows] = await mysql.query('SELECT 1 FROM session WHERE session_key = ?', [id])
      return Array.isArray(rows) && rows.length === 1
    },
  },
  postgresql: {
    options: { postgres },
    put: async (id, gob, age) =>
      postgres.query("INSERT INTO session VALUES ($1, $2, current_timestamp - $3 * interval '1 second')", [
        id,
        gob,
        age,
      ]),
    has: async (id) =>
      (await postgres.query('SELECT 1 FROM session WHERE session_key = $1', [id])).rows.length === 1,
  },
}

const newId = (): string => randomBytes(16).toString('hex')
const gob = (name: string): Buffer => Buffer.from(gobs[name] ?? '', 'hex')
const cookieOf = (id: string): string => `beegosessionID=${id}`

for (const [name, { options, put, has }] of Object.entries(places)) {
  test(`a session of beego's provider ${name} is found, and a logout ends it there`, async (t) => {
    const site = await siteOf(t, beego(options))
    const id = newId()
    await put(id, gob('ann'), 60)
    t.deepEqual(await site.look(cookieOf(id)), { user: 'ann' })
    t.true(await has(id))
    t.deepEqual(await site.logOut(cookieOf(id)), ['beegosessionID'])
    t.false(await has(id))
    await put(id, gob('ann'), 0)
    t.deepEqual(await site.look(cookieOf(id)), {})
  })

  test(`a session of ${name} that beego would have collected is none, nor is one that was never saved or is broken`, async (t) => {
    const site = await siteOf(t, beego(options))
    const [old, empty, broken] = [newId(), newId(), newId()]
    await put(old, gob('ann'), HOUR + 5)
    await put(empty, Buffer.alloc(0), 0)
    await put(broken, Buffer.from('secret'), 0)
    for (const id of [old, empty, broken, newId()]) t.deepEqual(await site.look(cookieOf(id)), {})
    t.regex(refusalOf(site.events) ?? '', /beego beegosessionID: a session cannot be decoded/)
    t.notRegex(refusalOf(site.events) ?? '', /secret/)
  })
}

class User {
  name = ''
  age = 0
}

test('Go structs become instances of registered classes', async (t) => {
  const registry = createRegistry()
  registry.registerType(User)
  const types = {
    'main.User': ({ Name, Age }: { Name: string; Age: number }) =>
      Object.assign(new User(), { name: Name, age: Age }),
    '*main.Address': ({ Street }: { Street: string }) => Street,
  }
  const site = await siteOf(t, beego({ redis, types }), { registry })
  const id = newId()
  await redis.setex(id, HOUR, gob('user'))
  t.deepEqual(await site.look(cookieOf(id)), { u: { name: 'Ann', age: 41 } })
  await site.look(cookieOf(id))
  t.true(site.seen.get('u') instanceof User, 'stored and read again')
})

test('a session with a Go struct that the options do not name is an anonymous visit, and the event names it', async (t) => {
  const site = await siteOf(t, beego({ redis }))
  const id = newId()
  await redis.setex(id, HOUR, gob('address'))
  t.deepEqual(await site.look(cookieOf(id)), {})
  t.regex(refusalOf(site.events) ?? '', /holds a Go type main\.Address that the option types does not name/)
})

test('a function of types or values that throws is an anonymous visit, and a key that is no text needs values', async (t) => {
  const throws = (): never => {
    throw new TypeError('no')
  }
  const [id, keyed] = [newId(), newId()]
  await redis.setex(id, HOUR, gob('address'))
  await redis.setex(keyed, HOUR, gob('intkey'))
  const failing = await siteOf(t, beego({ redis, types: { 'main.Address': throws } }))
  t.deepEqual(await failing.look(cookieOf(id)), {})
  t.regex(refusalOf(failing.events) ?? '', /option types/)
  t.deepEqual(await failing.look(cookieOf(keyed)), {})
  t.regex(refusalOf(failing.events) ?? '', /a key that is no text/)
  const site = await siteOf(t, beego({ redis, values: (old) => ({ seven: old.get(7) }) }))
  t.deepEqual(await site.look(cookieOf(keyed)), { seven: 'x' })
})

test('dates and large integers are exact', async (t) => {
  const site = await siteOf(t, beego({ redis, name: 'gosessionid', idPrefix: 'app-' }))
  for (const name of ['time', 'big', 'bytes']) {
    const id = `app-${newId()}`
    await redis.setex(id, HOUR, gob(name))
    await site.look(`gosessionid=${id}`)
    await site.look(`gosessionid=${id}`)
    const [[, value] = []] = [...site.seen]
    t.deepEqual(
      value,
      {
        time: new Date('2026-11-27T12:00:00.123Z'),
        big: 9_007_199_254_740_993n,
        bytes: new Uint8Array([1, 2, 255]),
      }[name],
    )
  }
})

test('security: a cookie that is no ID of beego reaches no store, and a logout removes nothing but sessions', async (t) => {
  const site = await siteOf(t, beego({ redis }))
  const other = newId()
  await redis.set(other, 'of another program')
  await redis.hset('hash'.padEnd(32, '0'), 'a', 'b')
  const list = newId()
  await redis.lpush(list, 'a')
  for (const value of [
    '%',
    '%zz',
    '..',
    '',
    'a'.repeat(31),
    'g'.repeat(32),
    'A'.repeat(32),
    `${other}0`,
    'x'.repeat(9_000),
    'a%00',
  ])
    t.deepEqual(await site.look(cookieOf(value)), {}, value.slice(0, 40))
  for (const id of [other, list]) {
    t.deepEqual(await site.look(cookieOf(id)), {})
    await site.logOut(cookieOf(id))
    t.is(await redis.exists(id), 1)
  }
})

test('options that cannot work are refused', (t) => {
  const refused = (options: object): string =>
    t.throws(() => beego(options), { instanceOf: SessionError, code: 'ERR_SESSION_OPTIONS' })?.message ?? ''
  t.regex(refused({}), /give one of redis, mysql, postgres/)
  t.regex(refused({ redis, cookieName: 'a' }), /cookieName is not an option/)
  t.regex(refused({ redis, idLength: 2 }), /idLength must be/)
  t.regex(refused({ redis, types: { 'main.User': User.name } }), /types must be/)
  t.regex(refused({ redis: { get() {}, del() {} } }), /redis must be a connected client of ioredis/)
})

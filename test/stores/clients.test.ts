// What is no client of the driver is refused where it is handed over: each verb would fail as if the server were down.
import test from 'ava'
import { Redis } from 'ioredis'
import mysql from 'mysql2'
import pg from 'pg'
import { SessionError } from '../../src/index.ts'
import { CouchbaseStore } from '../../src/stores/couchbase.ts'
import { MemcacheStore } from '../../src/stores/memcache.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { drivers } from './sqlite/drivers.ts'

/** As the package redis (node-redis) makes them. */
class RedisClient {
  readonly isOpen = true
  readonly options = {}
  async sendCommand(): Promise<void> {}
  duplicate(): this {
    return this
  }
}

/** As knex is: a function with methods. */
const knex = Object.assign(() => {}, { raw: () => {}, destroy: () => {} })

const stores: Readonly<Record<string, (client: never) => unknown>> = {
  redis: (client) => new RedisStore({ client }),
  sqlite: (client) => new SqliteStore({ client }),
  postgres: (client) => new PostgresStore({ client }),
  mysql: (client) => new MysqlStore({ client }),
  memcache: (client) => new MemcacheStore({ client }),
  couchbase: (client) => new CouchbaseStore({ client, bucket: 'sessions' }),
}

const connection = mysql.createPool({ host: '127.0.0.1', port: 1 })
const others: Readonly<Record<string, unknown>> = {
  'a connection string': 'redis://ann:secret@127.0.0.1:6379',
  null: null,
  'a number': 5,
  'a function': knex,
  'an empty object': {},
  'a promise of a client': Promise.resolve({}),
  'a client of node-redis': new RedisClient(),
  'a Client of pg': new pg.Client(),
  'a connection of mysql2': Object.assign(Object.create(mysql.Connection?.prototype ?? {}), {
    query() {},
    end() {},
  }),
  'options of a driver': { host: '127.0.0.1', port: 6379 },
}

test.after.always('nothing is left open', () => {
  connection.end(() => {})
})

for (const [store, open] of Object.entries(stores)) {
  for (const [what, client] of Object.entries(others)) {
    test(`${store}: ${what} in the place of a client is refused, with what is expected`, (t) => {
      const error = t.throws(() => open(client as never), { instanceOf: SessionError })
      t.is(error.code, 'ERR_SESSION_OPTIONS')
      t.regex(error.message, new RegExp(`^${store}: client must be an? `))
      t.notRegex(error.message, /secret/)
    })
  }
}

test('clients of the drivers are taken, and those of another driver are not', (t) => {
  const redis = new Redis({ lazyConnect: true })
  const pool = new pg.Pool()
  t.notThrows(() => new RedisStore({ client: redis }))
  t.notThrows(() => new PostgresStore({ client: pool }))
  t.notThrows(() => new MysqlStore({ client: connection }))
  t.notThrows(() => new MysqlStore({ client: connection.promise() }))
  for (const open of Object.values(drivers)) {
    const client = open(':memory:')
    t.notThrows(() => new SqliteStore({ client }))
    client.close()
  }
  t.throws(() => new RedisStore({ client: pool as never }), { message: /ioredis.*BoundPool|ioredis.*Pool/ })
  t.throws(() => new PostgresStore({ client: redis as never }), { message: /Pool of pg/ })
  t.throws(() => new MysqlStore({ client: pool as never }), { message: /pool of mysql2/ })
})

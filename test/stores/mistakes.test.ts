// A client that was handed over and throws a TypeError is a mistake in a program, and not a server that is down.
import * as fs from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'
import { Redis } from 'ioredis'
import memjs from 'memjs'
import mysql from 'mysql2'
import pg from 'pg'
import type { Store } from '../../src/store.ts'
import { CouchbaseStore } from '../../src/stores/couchbase.ts'
import { FileStore } from '../../src/stores/file.ts'
import { MemcacheStore } from '../../src/stores/memcache.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { isMistake } from '../../src/stores/shared/errors.ts'
import { temporaryFolder } from '../support/cleanup.ts'

let calls = 0
const thrower = (): never => {
  calls += 1
  throw new TypeError('client.send is not a function')
}
async function rejecter(): Promise<never> {
  return thrower()
}

/** Clients that fail as one does whose version is another than the types say. */
const stores: Readonly<Record<string, () => Store>> = {
  redis: () => {
    const client = new Redis({ lazyConnect: true })
    client.info = rejecter
    return new RedisStore({ client })
  },
  'redis (in a pipeline)': () => {
    const client = new Redis({ lazyConnect: true })
    client.info = async () => ''
    client.evalsha = rejecter
    return new RedisStore({ client })
  },
  postgres: () => {
    const client = new pg.Pool()
    client.connect = ((callback: (error: Error) => void) => {
      calls += 1
      callback(new TypeError('x is not a function'))
    }) as never
    return new PostgresStore({ client })
  },
  'postgres (in a statement)': () => {
    const client = new pg.Pool()
    const connection = { query: rejecter, on() {}, removeListener() {}, release() {} }
    client.connect = ((callback: (error: undefined, client: unknown) => void) =>
      callback(undefined, connection)) as never
    return new PostgresStore({ client })
  },
  mysql: () => {
    const client = mysql.createPool({ host: '127.0.0.1', port: 1 }).promise()
    client.getConnection = rejecter
    return new MysqlStore({ client })
  },
  memcache: () => {
    const client = memjs.Client.create('127.0.0.1:1')
    client.server = thrower
    return new MemcacheStore({ client })
  },
  couchbase: () =>
    new CouchbaseStore({ client: { get: rejecter, insert: rejecter, replace() {}, remove() {} } as never }),
}

for (const [name, open] of Object.entries(stores)) {
  test.serial(
    `${name}: a TypeError of a client is told as a mistake, at once and after one call`,
    async (t) => {
      const store = open()
      calls = 0
      const error = await t.throwsAsync(store.read('a'.repeat(64)))
      t.like(error, { name: 'SessionError', code: 'ERR_SESSION_STORE', answered: false })
      t.regex(
        error.message,
        /^\w+: (?:open|read) failed: a TypeError in the store, its client or driver, which is a mistake/,
      )
      t.true(error.cause instanceof TypeError, 'its cause is the error itself, with its stack')
      t.true(isMistake(error))
      t.is(calls, 1)
      await store.close()
    },
  )
}

test('file: a TypeError of Node is told as a mistake', async (t) => {
  const folder = path.join(await temporaryFolder('kts-mistakes-'), 'sessions')
  await fs.mkdir(folder, { mode: 0o700 })
  const store = new FileStore({
    folder,
    now: () => {
      throw new ReferenceError('clock is not defined')
    },
  })
  t.teardown(async () => store.close())
  const other = new FileStore({ folder })
  await other.create('key', 'a payload of a session', Date.now() + 60_000)
  const error = await t.throwsAsync(store.read('key'), { code: 'ERR_SESSION_STORE' })
  t.regex(error.message, /^file: read failed: a ReferenceError in the store/)
  t.true(error.cause instanceof ReferenceError)
})

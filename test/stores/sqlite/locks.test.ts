// Other processes that write, transactions of the program, and writes that are committed together.
import path from 'node:path'
import test from 'ava'
import { SessionError } from '../../../src/errors.ts'
import { SqliteStore, type SqliteClient } from '../../../src/stores/sqlite.ts'
import type { Written } from '../../../src/store.ts'
import { temporaryFolder } from '../../support/cleanup.ts'
import { drivers, openClient, query } from './drivers.ts'

const base = await temporaryFolder('kts-sqlite-locks-')
const LIFE = Date.now() + 3_600_000
const OLD = 'kts1 aaaaaaaaaaaaaaaa old'
const NEW = 'kts1 bbbbbbbbbbbbbbbb new'

let files = 0
function fileName(): string {
  return path.join(base, `${(files += 1)}.db`)
}

/** A client that notes what it is told to do. */
function noted(client: SqliteClient): { client: SqliteClient; done: string[] } {
  const done: string[] = []
  return {
    done,
    client: {
      exec(sql) {
        done.push(sql)
        return client.exec(sql)
      },
      prepare(sql) {
        const statement = client.prepare(sql)
        const [verb = ''] = sql.split(/\s/)
        return {
          all(...values) {
            done.push(verb)
            return statement.all(...values)
          },
        }
      },
    },
  }
}

test('while another process writes, writes wait without blocking the process, and reads do not wait', async (t) => {
  const file = fileName()
  const store = new SqliteStore({ path: file, sync: false })
  const { entry } = (await store.create('a', OLD, LIFE)) as Written // it is new
  const other = openClient(file)
  other.exec('BEGIN IMMEDIATE')
  const writes = [
    store.replace('a', NEW, LIFE, entry),
    store.create('b', NEW, LIFE),
    store.touch('a', LIFE + 1),
    store.sweep(10),
  ]
  let isDone = false
  const all = Promise.all(writes).finally(() => (isDone = true))
  for (let turns = 0; turns < 50; turns += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1))
    t.is((await store.read('a'))?.payload, OLD)
  }
  t.false(isDone)
  other.exec('COMMIT')
  await all
  t.is((await store.read('a'))?.payload, NEW)
  t.is(await store.count(), 2)
  await store.close()
  other.close()
})

test('F27: a write that another process keeps waiting until the timeout is refused as an answer, and none of it is done later', async (t) => {
  const file = fileName()
  const store = new SqliteStore({ path: file, sync: false, timeout: 20 })
  const { entry } = (await store.create('a', OLD, LIFE)) as Written // it is new
  const other = openClient(file)
  other.exec('BEGIN IMMEDIATE')
  const calls = [
    store.replace('a', NEW, LIFE, entry),
    store.create('b', NEW, LIFE),
    store.destroy('a', entry),
  ]
  for (const outcome of await Promise.allSettled(calls)) {
    const { reason } = outcome as PromiseRejectedResult // each of them is
    if (!(reason instanceof SessionError)) return t.fail()
    t.true(reason.answered)
    t.regex(
      reason.message,
      /^sqlite: (?:replace|create|destroy) failed: another process kept the database locked for 20 ms \(SQLITE_BUSY\)$/,
    )
  }
  t.is((await store.read('a'))?.payload, OLD)
  other.exec('COMMIT')
  t.is(await store.destroy('a', entry), 'ok')
  t.is(await store.count(), 0)
  await store.close()
  return other.close()
})

test('writes of one turn of the event loop are one transaction, and a single one has none of its own', async (t) => {
  const inner = openClient(fileName())
  const { client, done } = noted(inner)
  const store = new SqliteStore({ client })
  await store.open()
  done.length = 0
  await store.create('single', OLD, LIFE)
  t.deepEqual(done, ['PRAGMA synchronous = FULL', 'INSERT'])
  done.length = 0
  await Promise.all(Array.from({ length: 50 }, async (_, at) => store.create(`key-${at}`, OLD, LIFE)))
  t.deepEqual(done, ['BEGIN IMMEDIATE', ...Array<string>(50).fill('INSERT'), 'COMMIT'])
  done.length = 0
  await Promise.all(Array.from({ length: 100 }, async (_, at) => store.create(`more-${at}`, OLD, LIFE)))
  t.is(done.filter((each) => each === 'COMMIT').length, 2)
  t.is(await store.count(), 151)
  inner.close()
})

test('a touch and a sweep do not wait for the disk, any other write does, and with sync: false none', async (t) => {
  const inner = openClient(fileName())
  const { client, done } = noted(inner)
  const store = new SqliteStore({ client })
  await store.create('a', OLD, LIFE)
  done.length = 0
  await store.touch('a', LIFE + 1)
  await store.sweep(10)
  t.deepEqual(done, ['PRAGMA synchronous = NORMAL', 'UPDATE', 'DELETE'])
  await Promise.all([store.touch('a', LIFE + 2), store.destroy('a')])
  t.deepEqual(done.slice(3), ['PRAGMA synchronous = FULL', 'BEGIN IMMEDIATE', 'UPDATE', 'DELETE', 'COMMIT'])
  const quick = new SqliteStore({ client, sync: false })
  done.length = 0
  await quick.create('b', OLD, LIFE)
  t.false(done.includes('PRAGMA synchronous = FULL'))
  inner.close()
})

test('two stores on one client wait for the disk each as it was told', async (t) => {
  const inner = openClient(fileName())
  const { client } = noted(inner)
  const level = (): unknown => Object(query(inner, 'PRAGMA synchronous')[0]).synchronous
  const [one, other] = [new SqliteStore({ client }), new SqliteStore({ client, table: 'other', sync: false })]
  for (let round = 0; round < 2; round += 1) {
    await one.create(`a${round}`, OLD, LIFE)
    t.is(level(), 2)
    await other.create(`a${round}`, OLD, LIFE)
    t.is(level(), 1)
  }
  inner.close()
})

test('a client that the program has closed is told', async (t) => {
  for (const open of Object.values(drivers)) {
    const client = open(fileName())
    const store = new SqliteStore({ client, sync: false })
    await store.open()
    client.close()
    await t.throwsAsync(store.create('a', OLD, LIFE), {
      message: 'sqlite: create failed: the client is closed',
    })
  }
})

test('of writes that are committed together, one that fails does not fail the others', async (t) => {
  const client = openClient(fileName())
  const store = new SqliteStore({ client, sync: false })
  await store.open()
  client.exec(
    "CREATE TRIGGER no BEFORE INSERT ON session WHEN NEW.session_key = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
  )
  const keys = ['one', 'bad', 'two', 'three']
  const outcomes = await Promise.allSettled(keys.map(async (key) => store.create(key, OLD, LIFE)))
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  )
  t.is(await store.count(), 3)
  client.close()
})

test('writes to one session that are committed together come one after another', async (t) => {
  const store = new SqliteStore({ path: fileName(), sync: false })
  const { entry } = (await store.create('a', OLD, LIFE)) as Written // it is new
  const outcomes = await Promise.all([
    store.replace('a', NEW, LIFE, entry),
    store.replace('a', 'kts1 cccccccccccccccc new', LIFE, entry),
    store.create('a', NEW, LIFE),
    store.destroy('a', entry),
    store.destroy('a'),
    store.touch('a', LIFE + 1),
  ])
  t.deepEqual(
    outcomes.map((outcome) => (typeof outcome === 'object' ? 'written' : outcome)),
    ['written', 'conflict', 'exists', 'conflict', 'ok', 'gone'],
  )
  await store.close()
})

test('a write in a transaction of the program is refused, and the transaction is left alone', async (t) => {
  const client = openClient(fileName())
  const store = new SqliteStore({ client, sync: false })
  await store.open()
  client.exec('CREATE TABLE orders (n INTEGER)')
  client.exec('BEGIN')
  client.exec('INSERT INTO orders VALUES (7)')
  const refused = {
    message:
      /^sqlite: the client is in a transaction of the program: give the store a connection of its own$/,
  }
  await t.throwsAsync(store.create('a', OLD, LIFE), refused)
  const both = await Promise.allSettled([store.create('a', OLD, LIFE), store.create('b', OLD, LIFE)])
  t.true(both.every(({ status }) => status === 'rejected'))
  await t.throwsAsync(store.read('a'), refused)
  client.exec('COMMIT')
  t.is(query(client, 'SELECT n FROM orders').length, 1)
  t.is(typeof (await store.create('a', OLD, LIFE)), 'object')
  client.close()
})

test('a client of a database in memory is refused, since its sessions would be lost', async (t) => {
  const client = openClient(':memory:')
  await t.throwsAsync(new SqliteStore({ client }).open(), {
    message: /^sqlite: the database of the client is in memory/,
  })
  client.close()
})

test('F21: close waits for the writes under way, refuses later ones, and leaves the client open', async (t) => {
  const client = openClient(fileName())
  const store = new SqliteStore({ client, sync: false })
  const writes = ['a', 'b', 'c'].map(async (key) => store.create(key, OLD, LIFE))
  await store.close()
  t.is(query(client, 'SELECT session_key FROM session').length, 3)
  await Promise.all(writes)
  await t.throwsAsync(store.read('a'), { message: 'sqlite: read after close' })
  await t.throwsAsync(store.create('d', OLD, LIFE), { message: 'sqlite: create after close' })
  await store.close()
  client.close()
})

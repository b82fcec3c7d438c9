import process from 'node:process'
import test from 'ava'
import { Redis } from 'ioredis'
import { RedisStore } from '../../../src/stores/redis.ts'
import { startProxy } from '../../servers/proxy.ts'
import { observe, startRedis, until } from '../../servers/redis.ts'
import { freeze } from '../../servers/server.ts'
import { HOUR, keep, payload, randomKey, soon } from './session.ts'

const FAILED = { name: 'SessionError', code: 'ERR_SESSION_STORE' }

const server = await startRedis()
const observer = observe(server.port)
test.after.always(async () => {
  observer.disconnect()
  await server.stop()
})

test.serial('F1: a store that is opened before its server works once the server is up', async (t) => {
  const gone = await startRedis()
  await gone.stop()
  const store = new RedisStore({ url: gone.url, timeout: 300 })
  t.teardown(async () => store.close())
  const error = await t.throwsAsync(store.open(), FAILED)
  t.is(error.message, `redis: open failed: 127.0.0.1:${gone.port} cannot be reached (ECONNREFUSED)`)
  await t.throwsAsync(store.read(randomKey()), FAILED)
  const back = await startRedis({ port: gone.port })
  t.teardown(async () => back.stop())
  await store.open()
  t.is(await store.read(randomKey()), undefined)
})

test.serial('a verb waits for a server that is down, within its deadline', async (t) => {
  const first = await startRedis()
  const store = new RedisStore({ url: first.url, timeout: 10_000 })
  t.teardown(async () => store.close())
  await store.open()
  await first.stop()
  const reading = store.read(randomKey())
  const second = await startRedis({ port: first.port })
  t.teardown(async () => second.stop())
  t.is(await reading, undefined)
})

test.serial('a server that has been down for long is tried once more, and not waited for', async (t) => {
  const proxy = await startProxy(server)
  t.teardown(async () => proxy.stop())
  const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeout: 1_000 })
  t.teardown(async () => store.close())
  await store.open()
  proxy.cut()
  await t.throwsAsync(store.read(randomKey()), FAILED)
  t.true(proxy.connections > 4)
  await t.throwsAsync(store.read(randomKey()), FAILED) // now it is as long as the deadline
  const whileWaiting = proxy.connections
  await t.throwsAsync(store.read(randomKey()), FAILED)
  t.true(proxy.connections - whileWaiting <= 3)
  proxy.mend()
  t.is(await store.read(randomKey()), undefined)
})

test.serial(
  'first verbs of the same moment share one connection, and a failed attempt is forgotten',
  async (t) => {
    const proxy = await startProxy(server)
    t.teardown(async () => proxy.stop())
    const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeout: 300 })
    t.teardown(async () => store.close())
    proxy.stall()
    const inVain = await Promise.allSettled(Array.from({ length: 50 }, async () => store.read(randomKey())))
    t.true(inVain.every(({ status }) => status === 'rejected'))
    t.is(proxy.connections, 1)
    proxy.cut() // the attempt has failed, or is about to
    proxy.mend()
    const reads = await Promise.all(Array.from({ length: 50 }, async () => store.read(randomKey())))
    t.is(reads.length, 50)
    t.is(proxy.connections, 2)
  },
)

test.serial(
  'F2: a connection that was cut is an error in time, and no matter once the way is free',
  async (t) => {
    const proxy = await startProxy(server)
    t.teardown(async () => proxy.stop())
    const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeout: 300 })
    t.teardown(async () => store.close())
    const { key, entry } = await keep(store)
    proxy.cut()
    const error = await t.throwsAsync(store.replace(key, payload(), soon(), entry), FAILED)
    t.regex(error.message, /^redis: replace failed: /)
    t.is(await observer.get(`session:${key}`), entry.payload)
    proxy.mend()
    t.is(typeof (await store.replace(key, payload(), soon(), entry)), 'object')
  },
)

test.serial(
  'F3: a server that takes everything and answers nothing is an error within the deadline',
  async (t) => {
    const stalled = await startRedis()
    t.teardown(async () => stalled.stop())
    const store = new RedisStore({ url: stalled.url, timeout: 300 })
    t.teardown(async () => store.close())
    const { key } = await keep(store)
    freeze(stalled.pid)
    const verbs = Array.from({ length: 20 }, async () => store.read(key, soon()))
    for (const each of await Promise.allSettled(verbs)) t.is(each.status, 'rejected')
    await t.throwsAsync(store.touch(key, soon()), FAILED)
    process.kill(stalled.pid, 'SIGCONT')
    t.truthy(await store.read(key))
  },
)

test.serial('F4: a slow server only makes verbs slow', async (t) => {
  const proxy = await startProxy(server)
  t.teardown(async () => proxy.stop())
  const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}` })
  t.teardown(async () => store.close())
  await store.open()
  proxy.delay(100)
  const { key, entry } = await keep(store)
  const [read, written] = await Promise.all([store.read(key), store.replace(key, payload(), soon(), entry)])
  t.truthy(read)
  t.is(typeof written, 'object')
})

test.serial(
  'F5: after a lost reply to an applied write, the retry neither conflicts nor writes twice',
  async (t) => {
    const proxy = await startProxy(server)
    t.teardown(async () => proxy.stop())
    const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}` })
    t.teardown(async () => store.close())
    await warm(store)
    const [key, first, second] = [randomKey(), payload(), payload()]
    proxy.dropReply()
    const created = await store.create(key, first, soon())
    t.is(typeof created, 'object')
    if (created === 'exists') return

    proxy.dropReply()
    t.is(typeof (await store.replace(key, second, soon(), created.entry)), 'object')
    t.is(await observer.get(`session:${key}`), second)

    proxy.dropReply()
    t.is(await store.touch(key, soon(2 * HOUR)), 'ok')
    proxy.dropReply()
    t.is((await store.read(key, soon(3 * HOUR)))?.payload, second)
    proxy.dropReply()
    t.is(await store.destroy(key), 'gone') // it is; who did it has been forgotten
  },
)

test.serial('F5: an answer that may be the effect of an earlier try is a rejection', async (t) => {
  const proxy = await startProxy(server)
  t.teardown(async () => proxy.stop())
  const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}` })
  t.teardown(async () => store.close())
  await warm(store)
  const { key, entry } = await keep(store)
  proxy.dropReply()
  const error = await t.throwsAsync(store.destroy(key, entry), FAILED)
  t.is(error.message, 'redis: destroy failed: the connection was lost')
  t.is(await observer.exists(`session:${key}`), 0)
})

test.serial('F6: an idle connection that was reset is replaced without an error', async (t) => {
  const proxy = await startProxy(server)
  t.teardown(async () => proxy.stop())
  const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}` })
  t.teardown(async () => store.close())
  const { key, entry } = await keep(store)
  proxy.reset()
  t.is((await store.read(key))?.payload, entry.payload)
  proxy.reset()
  t.is(typeof (await store.replace(key, payload(), soon(), entry)), 'object')
})

test.serial('F7: a full Redis is reported as such; read, touch and destroy still succeed', async (t) => {
  const full = await startRedis()
  t.teardown(async () => full.stop())
  const admin = observe(full.port)
  t.teardown(() => admin.disconnect())
  const store = new RedisStore({ url: full.url })
  t.teardown(async () => store.close())
  const { key, entry } = await keep(store)
  await admin.config('SET', 'maxmemory', '1')
  const error = await t.throwsAsync(store.create(randomKey(), payload(), soon()), FAILED)
  t.is(
    error.message,
    'redis: create failed: Redis is full: maxmemory is reached and nothing can be evicted (OOM)',
  )
  await t.throwsAsync(store.replace(key, payload(), soon(), entry), { message: /OOM/ })
  t.is((await store.read(key, soon(2 * HOUR)))?.payload, entry.payload)
  t.is(await store.touch(key, soon(3 * HOUR)), 'ok')
  t.is(await store.destroy(key, entry), 'ok')
})

test.serial(
  'F7: a server that became a replica is left, and used again when it is the primary',
  async (t) => {
    const demoted = await startRedis()
    t.teardown(async () => demoted.stop())
    const admin = observe(demoted.port)
    t.teardown(() => admin.disconnect())
    const store = new RedisStore({ url: demoted.url, timeout: 5_000 })
    t.teardown(async () => store.close())
    const { key, entry } = await keep(store)
    await admin.call('REPLICAOF', '127.0.0.1', '1')
    const writing = store.replace(key, payload(), soon(), entry)
    await until('the store was refused', async () => (await admin.info('errorstats')).includes('READONLY'))
    await admin.call('REPLICAOF', 'NO', 'ONE')
    t.is(typeof (await writing), 'object')

    const impatient = new RedisStore({ url: demoted.url, timeout: 300 })
    t.teardown(async () => impatient.close())
    await admin.call('REPLICAOF', '127.0.0.1', '1')
    const error = await t.throwsAsync(impatient.create(randomKey(), payload(), soon()), FAILED)
    t.is(error.message, 'redis: create failed: the server is a replica, which accepts no writes (READONLY)')
  },
)

test.serial('verbs under way at close finish or reject', async (t) => {
  const store = new RedisStore({ url: server.url })
  const verbs = [store.read(randomKey()), store.create(randomKey(), payload(), soon())]
  await store.close()
  for (const outcome of await Promise.allSettled(verbs)) {
    t.true(outcome.status === 'fulfilled' || outcome.reason.code === 'ERR_SESSION_STORE')
  }
  await t.throwsAsync(store.read(randomKey()), { ...FAILED, message: 'redis: read after close' })
})

test.serial('verbs that wait for the server at close stop waiting, and connect no more', async (t) => {
  const proxy = await startProxy(server)
  t.teardown(async () => proxy.stop())
  const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeout: 60_000 })
  proxy.cut()
  const reading = store.read(randomKey())
  await until('it tries again and again', async () => proxy.connections > 3)
  await store.close()
  proxy.mend()
  await t.throwsAsync(reading, FAILED)
  const { connections } = proxy
  await t.throwsAsync(store.read(randomKey()), FAILED)
  t.is(proxy.connections, connections)
})

test.serial("the application's client is used, and never closed", async (t) => {
  const client = new Redis(server.url)
  t.teardown(() => client.disconnect())
  const store = new RedisStore({ client, prefix: 'handed:' })
  t.teardown(async () => store.close())
  await store.open()
  const { key } = await keep(store)
  const listeners = client.listenerCount('close')
  await store.close()
  await t.throwsAsync(store.read(key), { message: 'redis: read after close' })
  t.is(client.status, 'ready')
  t.is(client.listenerCount('close'), listeners - 1)
  t.is(await client.exists(`handed:${key}`), 1)
})

test.serial('a client that repeats lost commands by itself causes no wrong answers', async (t) => {
  const proxy = await startProxy(server)
  t.teardown(async () => proxy.stop())
  const client = new Redis({ port: proxy.port, host: '127.0.0.1', retryStrategy: () => 10 })
  t.teardown(() => client.disconnect())
  client.on('error', () => undefined)
  const store = new RedisStore({ client })
  t.teardown(async () => store.close())
  await warm(store)
  const { key, entry } = await keep(store)
  const text = payload()
  proxy.dropReply()
  t.is(typeof (await store.replace(key, text, soon(), entry)), 'object')
  const fresh = randomKey()
  proxy.dropReply()
  t.is(typeof (await store.create(fresh, payload(), soon())), 'object')
  proxy.dropReply()
  await t.throwsAsync(store.destroy(key, { payload: text, expiresAt: 0 }), FAILED)
  t.is(await observer.exists(`session:${key}`), 0)
})

/** Has the server learn every script, so that its first reply to a verb is to the deed. */
async function warm(store: RedisStore): Promise<void> {
  const { key, entry } = await keep(store)
  await store.replace(key, payload(), soon(), entry)
  await store.touch(key, soon())
  await store.read(key)
  await store.destroy(key)
}

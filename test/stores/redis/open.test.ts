// What `open` proves, on real servers: that every verb would be carried out.
import test, { type ExecutionContext } from 'ava'
import { Cluster, Redis } from 'ioredis'
import { RedisStore, type RedisStoreOptions } from '../../../src/stores/redis.ts'
import { startRedisCluster } from '../../servers/redis-cluster.ts'
import { bulk, startRedisStub } from '../../servers/redis-stub.ts'
import { observe, startRedis, startSentinel } from '../../servers/redis.ts'
import { keep } from './session.ts'
import { commandsDuring } from './watch.ts'

const RIGHTS = ['+evalsha', '+eval', '+get', '+getrange', '+set', '+del', '+pttl', '+pexpire']
const FAILED = { name: 'SessionError', code: 'ERR_SESSION_STORE', answered: true }

const server = await startRedis()
const observer = observe(server.port)
const warnings: (Error & { code?: string })[] = []
process.on('warning', (warning) => warnings.push(warning))
test.after.always(async () => {
  observer.disconnect()
  await server.stop()
})

let users = 0
/** The address of the server for a user with these rights only. */
async function asUser(...rights: readonly string[]): Promise<string> {
  const name = `user-${(users += 1)}`
  await observer.call('ACL', 'SETUSER', name, 'reset', 'on', '>secret', ...rights)
  return `redis://${name}:secret@127.0.0.1:${server.port}`
}

async function refusal(t: ExecutionContext, options: RedisStoreOptions): Promise<string> {
  const store = new RedisStore(options)
  t.teardown(async () => store.close())
  const error = await t.throwsAsync(store.open())
  t.like(error, FAILED)
  return error.message
}

async function opened(t: ExecutionContext, options: RedisStoreOptions): Promise<RedisStore> {
  const store = new RedisStore(options)
  t.teardown(async () => store.close())
  await t.notThrowsAsync(store.open())
  return store
}

test.serial('open leaves nothing behind, and the documented rights are enough for it', async (t) => {
  const url = await asUser('~session:*', ...RIGHTS)
  const sent = await commandsDuring(observer, async () => opened(t, { url }))
  t.deepEqual(
    sent.filter((name) => !['hello', 'auth', 'client', 'info'].includes(name)),
    ['evalsha', 'eval', 'eval'],
  )
  t.is(await observer.dbsize(), 0)
})

for (const right of RIGHTS.filter((each) => each !== '+evalsha')) {
  test.serial(`open rejects without the right ${right}, which a verb needs`, async (t) => {
    const url = await asUser('~session:*', ...RIGHTS.filter((each) => each !== right))
    t.regex(await refusal(t, { url }), /^redis: open failed: the user may not do this.* \(NOPERM\)$/)
  })
}

test.serial('open rejects where the user may not use the keys, or only read them', async (t) => {
  for (const pattern of ['~other:*', '%R~session:*']) {
    const url = await asUser(pattern, ...RIGHTS)
    t.is(
      await refusal(t, { url }),
      'redis: open failed: the user may not do this, or not with these keys (NOPERM)',
    )
  }
  await opened(t, { url: await asUser('~other:*', ...RIGHTS), prefix: 'other:' })
})

test.serial(
  'open rejects at a replica, and says so; one that becomes the primary meanwhile is waited for',
  async (t) => {
    const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(server.port)] })
    t.teardown(async () => replica.stop())
    const client = new Redis(replica.port)
    t.teardown(() => client.disconnect())
    for (const options of [{ url: replica.url }, { client }])
      t.is(
        await refusal(t, { ...options, timeout: 300 }),
        'redis: open failed: the server is a replica, which accepts no writes (READONLY)',
      )
    const opening = opened(t, { url: replica.url, timeout: 20_000 })
    await client.replicaof('NO', 'ONE')
    await opening
  },
)

test.serial('F27: a server that is full, or has too few replicas, is opened: it serves reads', async (t) => {
  for (const [setting, value] of [
    ['maxmemory', '1'],
    ['min-replicas-to-write', '3'],
  ] as const) {
    await observer.config('SET', setting, value)
    const store = await opened(t, { url: server.url, timeout: 500 })
    t.is(await store.read('a'.repeat(64)), undefined)
    t.like(await t.throwsAsync(keep(store)), FAILED, 'writes are refused meanwhile')
    await observer.config('SET', setting, '0')
  }
})

test('a client of another kind than its server is refused when the store opens', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(async () => cluster.stop())
  const sentinel = await startSentinel(server.port)
  t.teardown(async () => sentinel.stop())
  const clients = [
    [new Redis(Number(cluster.nodes[0]?.port)), /belongs to a cluster: hand over a Cluster of ioredis/],
    [new Redis(sentinel.port), /the server is a sentinel: give the client its option sentinels$/],
  ] as const
  for (const [client, message] of clients) {
    t.teardown(() => client.disconnect())
    t.regex(await refusal(t, { client }), message)
  }
  const single = new Cluster([{ host: '127.0.0.1', port: server.port }])
  single.on('error', () => undefined)
  t.teardown(() => single.disconnect())
  const store = new RedisStore({ client: single, timeout: 300 })
  t.teardown(async () => store.close())
  await t.throwsAsync(store.open(), { message: /: the client is not connected \(its status is \w+\)$/ })
  await opened(t, { url: cluster.url, mode: 'cluster' })
})

test('a plain client of a cluster that is one node with all slots is accepted', async (t) => {
  const alone = await startRedis({ args: ['--cluster-enabled', 'yes'] })
  const client = new Redis(alone.port)
  t.teardown(async () => {
    client.disconnect()
    await alone.stop()
  })
  await client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  while (!String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
    await new Promise((resolve) => setTimeout(resolve, 20))
  const store = await opened(t, { client })
  await keep(store)
})

test.serial('where EVALSHA is not allowed, scripts are sent by their text, for good', async (t) => {
  const renamed = await startRedis({ args: ['--rename-command', 'EVALSHA', ''] })
  const watch = observe(renamed.port)
  t.teardown(async () => {
    watch.disconnect()
    await renamed.stop()
  })
  const url = await asUser('~session:*', ...RIGHTS.filter((each) => each !== '+evalsha'))
  for (const [at, options] of [
    [observer, { url }],
    [watch, { url: renamed.url }],
  ] as const) {
    const store = await opened(t, options)
    const sent = await commandsDuring(at, async () => {
      const { key, entry } = await keep(store)
      t.is((await store.read(key))?.payload, entry.payload)
      t.is(await store.destroy(key), 'ok')
    })
    t.deepEqual(sent, ['eval', 'eval', 'eval'])
  }
})

// The texts of predixy, of Envoy, and of a Redis whose command was renamed. A real proxy is not among the servers of the tests.
for (const words of [
  "ERR unknown command 'info'",
  "unsupported command 'info'",
  'ERR unsupported command',
  'invalid request',
]) {
  test.serial(`a proxy that answers INFO with '${words}' is accepted, with one warning`, async (t) => {
    const stub = await startRedisStub(([name]) =>
      name === 'info' || name === 'hello' || name === 'evalsha'
        ? `-${words}\r\n`
        : name === 'eval'
          ? bulk('ok')
          : '+OK\r\n',
    )
    t.teardown(async () => stub.stop())
    const before = warnings.length
    const store = await opened(t, { url: stub.url })
    t.is(await store.touch('a'.repeat(64), Date.now() + 1_000), 'ok')
    await new Promise(setImmediate)
    const told = warnings.slice(before).filter(({ code }) => code === 'KTS_REDIS_INFO')
    t.is(told.length, 1)
    t.regex(told[0]?.message ?? '', /does not answer INFO: .* was not checked\.$/)
  })
}

test.serial(
  'a user without the right to INFO gets no warning, as the documentation allows that',
  async (t) => {
    const before = warnings.length
    await opened(t, { url: await asUser('~session:*', ...RIGHTS) })
    await new Promise(setImmediate)
    t.is(warnings.length, before)
  },
)

// Where none of several servers can be used, the error tells the reason of one of them: ioredis says only that all have failed.
import { readFile } from 'node:fs/promises'
import test from 'ava'
import type { RedisMode } from '../../../src/stores/redis.ts'
import { RedisStore } from '../../../src/stores/redis.ts'
import { startRedisCluster } from '../../servers/redis-cluster.ts'
import { observe, startRedis, startRedisTls, startSentinel } from '../../servers/redis.ts'
import { freePort } from '../../servers/server.ts'

const FAILED = { name: 'SessionError', code: 'ERR_SESSION_STORE' }
const modes: readonly RedisMode[] = ['single', 'cluster', 'sentinel']

const secure = await startRedisTls()
const plain = await startRedis()
test.after.always(async () => {
  await secure.stop()
  await plain.stop()
})

async function told(url: string, mode: RedisMode, timeout = 20_000): Promise<string> {
  const store = new RedisStore({ url: mode === 'sentinel' ? `${url}?master=mymaster` : url, mode, timeout })
  const message = await store.open().then(
    () => 'open',
    (error: Error) => error.message,
  )
  await store.close()
  return message
}

for (const mode of modes) {
  test(`${mode}: an unknown certificate authority is told, at once`, async (t) => {
    const started = performance.now()
    const address = `127.0.0.1:${secure.port}`
    t.is(
      await told(`rediss://${address}`, mode, 60_000),
      `redis: open failed: ${address} cannot be reached (DEPTH_ZERO_SELF_SIGNED_CERT)`,
    )
    t.true(performance.now() - started < 50_000)
  })

  test(`${mode}: a server that speaks TLS only is told, to a client without it`, async (t) => {
    const address = `127.0.0.1:${secure.port}`
    const message = await told(`redis://${address}`, mode)
    t.is(
      message,
      `redis: open failed: ${address} cannot be reached (ECONNRESET); it may speak TLS only: rediss:`,
    )
  })

  test(`${mode}: a server that speaks no TLS is told, to a client with it`, async (t) => {
    const message = await told(`rediss://127.0.0.1:${plain.port}`, mode, 400)
    t.regex(message, /^redis: open failed: no answer within 400 ms: the server may not speak TLS$/)
  })

  test(`${mode}: an address at which nothing listens is told, and a name that is unknown`, async (t) => {
    const address = `127.0.0.1:${await freePort()}`
    t.is(
      await told(`redis://${address}`, mode),
      `redis: open failed: ${address} cannot be reached (ECONNREFUSED)`,
    )
    const message = await told('redis://nowhere.invalid:7000', mode)
    t.regex(
      message,
      /^redis: open failed: nowhere\.invalid:7000 cannot be reached \((?:ENOTFOUND|EAI_AGAIN)\)$/,
    )
  })
}

test('a Redis in the place of a Sentinel is told, and a Sentinel that asks for a password', async (t) => {
  t.regex(await told(plain.url, 'sentinel'), /no Sentinel answers there: use redis or redis_cluster$/)
  const sentinel = await startSentinel(plain.port)
  const admin = observe(sentinel.port)
  t.teardown(async () => {
    admin.disconnect()
    await sentinel.stop()
  })
  await admin.call('ACL', 'SETUSER', 'default', 'resetpass', '>secret')
  t.regex(
    await told(`redis://127.0.0.1:${sentinel.port}`, 'sentinel'),
    /ask for a user and a password \(NOAUTH\)/,
  )
})

test('a primary that the Sentinels name and that cannot be reached is told by its own address', async (t) => {
  const primary = await startRedis()
  const sentinel = await startSentinel(primary.port)
  t.teardown(async () => sentinel.stop())
  await primary.stop()
  t.is(
    await told(`redis://127.0.0.1:${sentinel.port}`, 'sentinel'),
    `redis: open failed: 127.0.0.1:${primary.port}, which the sentinels name, cannot be reached (ECONNREFUSED)`,
  )
})

test('the reason of a node is told to each verb, and the store works as soon as it is gone', async (t) => {
  const cluster = await startRedisCluster()
  t.teardown(async () => cluster.stop())
  const dead = `127.0.0.1:${await freePort()}`
  const store = new RedisStore({ url: `redis://${dead}`, mode: 'cluster', timeout: 2_000 })
  t.teardown(async () => store.close())
  await t.throwsAsync(store.read('a'.repeat(64)), {
    ...FAILED,
    message: `redis: read failed: ${dead} cannot be reached (ECONNREFUSED)`,
  })
  t.is(await told(`redis://${dead};${cluster.url.replace('redis://', '')}`, 'cluster', 5_000), 'open')
  const ca = await readFile(secure.certificate, 'utf8')
  const trusting = new RedisStore({ url: `rediss://127.0.0.1:${secure.port}`, mode: 'cluster', tls: { ca } })
  t.teardown(async () => trusting.close())
  await t.throwsAsync(trusting.open(), { ...FAILED, message: /belongs to no cluster: use redis$/ })
})

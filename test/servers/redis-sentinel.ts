import { given, observe, startRedis, startSentinel, until, type RedisServer } from './redis.ts'
import type { Server } from './server.ts'

/** A private primary and its replica, watched by three sentinels under the name `mymaster`. */
export interface RedisSentinel extends Server {
  readonly primary: RedisServer
  readonly replica: RedisServer
  readonly sentinels: readonly number[]
}

/** The sentinels of the test run, `REDIS_SENTINEL_URL`, or private ones. */
export async function redisSentinelServer(): Promise<Server> {
  return given('REDIS_SENTINEL_URL') ?? startRedisSentinel()
}

/** Starts five servers; resolves when the sentinels know each other and the replica is in step. */
export async function startRedisSentinel(): Promise<RedisSentinel> {
  const primary = await startRedis()
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(primary.port)] })
  const sentinels = await Promise.all([1, 2, 3].map(async () => startSentinel(primary.port)))
  for (const { port } of sentinels) {
    const client = observe(port)
    await until('the sentinels know each other and the replica', async () => {
      return /status=ok,.*slaves=1,sentinels=3/.test(await client.info('sentinel'))
    })
    client.disconnect()
  }
  const client = observe(primary.port)
  await until('the replica is in step', async () =>
    (await client.info('replication')).includes('state=online'),
  )
  client.disconnect()
  return {
    url: `redis://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(';')}?master=mymaster`,
    primary,
    replica,
    sentinels: sentinels.map(({ port }) => port),
    stop: async () => {
      await Promise.all([...sentinels, primary, replica].map(async (each) => each.stop()))
    },
  }
}

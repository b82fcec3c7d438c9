import { randomBytes } from 'node:crypto'
import couchbase from 'couchbase'
import { CouchbaseStore } from '../../src/stores/couchbase.ts'
import { parseCouchbaseConfig } from '../../src/stores/couchbase/config.ts'
import type { RedisMode } from '../../src/stores/redis/config.ts'
import { MemcacheStore } from '../../src/stores/memcache.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import type { Store } from '../../src/store.ts'
import type { StoreHarness } from '../../src/testing/index.ts'
import { couchbaseServer } from '../servers/couchbase.ts'
import { memcachedServer } from '../servers/memcached.ts'
import { emptyDatabase, postgresServer } from '../servers/postgres.ts'
import { redisClusterServer } from '../servers/redis-cluster.ts'
import { redisSentinelServer } from '../servers/redis-sentinel.ts'
import { bench } from '../stores/mysql/harness.ts'
import { openLaboratory } from '../stores/redis/harness.ts'
import { testWalks, type Grounds } from './walker.ts'

const COUNT = 2_000
/** Long timeouts, since the machine may be busy and time is not what is tested here. */
const timeout = 30_000

const engines: Readonly<Record<string, () => Promise<Grounds>>> = {
  redis_cluster: async () => redis('cluster', await redisClusterServer()),
  redis_sentinel: async () => redis('sentinel', await redisSentinelServer()),
  memcache: async () => {
    const { port, stop } = await memcachedServer()
    const [url, prefix] = [`127.0.0.1:${port}`, `${randomBytes(6).toString('hex')}:`]
    return { harness: turned((now) => new MemcacheStore({ url, prefix, timeout, now })), stop }
  },
  couchbase: async () => {
    const server = await couchbaseServer()
    const { cluster = server.url, username, password, bucket } = parseCouchbaseConfig(server.url)
    const client = await couchbase.connect(cluster, { username, password })
    const prefix = `${randomBytes(6).toString('hex')}:`
    return {
      harness: turned((now) => new CouchbaseStore({ client, bucket, prefix, timeout, now })),
      stop: async () => {
        await client.close()
        await server.stop()
      },
    }
  },
  mysql: async () => {
    const { harness, end } = await bench('ours')
    return { harness, stop: end }
  },
  postgres: async () => {
    const server = await postgresServer()
    const { url, query, drop } = await emptyDatabase(server)
    const older = ['session_expiry', 'session_due'].map(
      (name) => `${name} = ${name} - $1 * interval '1 millisecond'`,
    )
    return {
      harness: {
        open: () => new PostgresStore({ url, timeout }),
        now: Date.now,
        advance: async (ms) => void (await query(`UPDATE session SET ${older.join(', ')}`, [ms])),
      },
      stop: async () => {
        await drop()
        await server.stop()
      },
    }
  },
}

for (const [engine, open] of Object.entries(engines)) testWalks(engine, { count: COUNT }, open)

/** Stores with a clock of the test. */
function turned(open: (now: () => number) => Store): StoreHarness {
  let clock = Date.now()
  const now = (): number => clock
  return { open: () => open(now), now, advance: (ms) => void (clock += ms), still: true }
}

async function redis(
  mode: RedisMode,
  { url, stop }: { readonly url: string; readonly stop: () => Promise<void> },
): Promise<Grounds> {
  const laboratory = await openLaboratory(url, mode)
  const { url: own, prefix } = laboratory
  return {
    harness: { ...laboratory.harness, open: () => new RedisStore({ url: own, mode, prefix, timeout }) },
    stop: async () => {
      await laboratory.stop()
      await stop()
    },
  }
}

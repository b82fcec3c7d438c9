import test from 'ava'
import { Cluster, Redis } from 'ioredis'
import { parseRedisConfig } from '../../../src/stores/redis/config.ts'
import { RedisStore } from '../../../src/stores/redis.ts'
import type { StoreHarness } from '../../../src/testing/index.ts'
import { redisClusterServer } from '../../servers/redis-cluster.ts'
import { redisServer } from '../../servers/redis.ts'
import { openLaboratory, testContract, type Laboratory } from './harness.ts'

const servers = [await redisServer(), await redisClusterServer()] as const
const single = await openLaboratory(servers[0].url, 'single')
const cluster = await openLaboratory(servers[1].url, 'cluster')

const { addresses, username, password } = parseRedisConfig(cluster.url, 'cluster')
const nodes = addresses.map((each) => ('path' in each ? {} : each))
// Clients as other people make them: prefixes of their own, queues, retries, numbers as text.
const clients = [
  new Redis(single.url, { keyPrefix: single.prefix, stringNumbers: true }),
  new Cluster(nodes, { keyPrefix: cluster.prefix, redisOptions: { username, password } }),
] as const

test.after.always(async () => {
  for (const client of clients) client.disconnect()
  for (const laboratory of [single, cluster]) await laboratory.stop()
  for (const server of servers) await server.stop()
})

function harness({ harness: { now, advance } }: Laboratory, client: Redis | Cluster): StoreHarness {
  return { open: () => new RedisStore({ client, maxBytes: 2 ** 21 }), now, advance, counts: true }
}

await testContract('a client for one server', harness(single, clients[0]))
await testContract('a client for a cluster', harness(cluster, clients[1]))

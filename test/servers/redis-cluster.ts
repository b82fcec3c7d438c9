import type { Redis } from 'ioredis'
import { given, observe, onFreePorts, option, startRedis, until, type RedisServer } from './redis.ts'
import { freePort, type Server } from './server.ts'

const SLOTS = 16_384
const PRIMARIES = 3

/** A private Redis Cluster: three primaries, each with a replica. */
export interface RedisCluster extends Server {
  readonly nodes: readonly RedisServer[]
}

/** The cluster of the test run, `REDIS_CLUSTER_URL`, or a private one. */
export async function redisClusterServer(): Promise<Server> {
  return given('REDIS_CLUSTER_URL') ?? startRedisCluster()
}

/** Starts six servers and makes a cluster of them; resolves when every slot is served and every replica is in step. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes = await Promise.all(Array.from({ length: 2 * PRIMARIES }, async () => onFreePorts(startNode)))
  const clients = nodes.map(({ port }) => observe(port))
  try {
    await unite(nodes, clients)
  } finally {
    for (const client of clients) client.disconnect()
  }
  return {
    url: `redis://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(';')}`,
    nodes,
    stop: async () => void (await Promise.all(nodes.map(async (node) => node.stop()))),
  }
}

async function startNode(): Promise<RedisServer> {
  const bus = await freePort()
  return startRedis({
    args: [
      ...option('cluster-enabled', 'yes'),
      ...option('cluster-port', bus),
      ...option('cluster-node-timeout', 4_000),
      ...option('cluster-replica-validity-factor', 0),
    ],
  })
}

async function unite(nodes: readonly RedisServer[], clients: readonly Redis[]): Promise<void> {
  const [first] = clients
  if (first === undefined) return
  for (const [at, client] of clients.entries()) {
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(at + 1))
    if (at >= PRIMARIES) continue
    const [from, to] = [at, at + 1].map((n) => Math.floor((n * SLOTS) / PRIMARIES))
    await client.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(Number(to) - 1))
  }
  for (const node of nodes.slice(1)) {
    const bus = await busOf(node)
    await first.call('CLUSTER', 'MEET', '127.0.0.1', String(node.port), bus)
  }
  await until('every node knows every other', async () => {
    const all = await Promise.all(clients.map(async (client) => String(await client.call('CLUSTER', 'INFO'))))
    return all.every((info) => info.includes(`cluster_known_nodes:${nodes.length}`))
  })
  for (const [at, replica] of clients.slice(PRIMARIES).entries()) {
    const primary = String(await clients[at]?.call('CLUSTER', 'MYID'))
    await until('the primary is known', async () => {
      await replica.call('CLUSTER', 'REPLICATE', primary)
      return true
    })
  }
  await until('the cluster serves and its replicas are in step', async () => {
    const all = await Promise.all(clients.map(async (client) => String(await client.call('CLUSTER', 'INFO'))))
    const roles = await Promise.all(clients.map(async (client) => client.info('replication')))
    const maps = await Promise.all(clients.map(async (client) => client.cluster('SLOTS')))
    return (
      maps.every((ranges) => ranges.flatMap(([, , ...servers]) => servers).length === nodes.length) &&
      all.every((info) => info.includes('cluster_state:ok')) &&
      roles.every((role, at) => role.includes(at < PRIMARIES ? 'state=online' : 'master_link_status:up'))
    )
  })
}

async function busOf({ port }: RedisServer): Promise<string> {
  const client = observe(port)
  try {
    const [, bus] = await client.config('GET', 'cluster-port')
    return String(bus)
  } finally {
    client.disconnect()
  }
}

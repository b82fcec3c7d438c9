import test from 'ava'
import { Cluster, type Redis } from 'ioredis'
import { RedisStore } from '../../../src/stores/redis.ts'
import { Crowd } from '../../engines/crowd.ts'
import { counting, openSite } from '../../engines/site.ts'
import { startRedisCluster } from '../../servers/redis-cluster.ts'
import { observe, replicated } from '../../servers/redis.ts'
import { keep, randomKey, soon } from './session.ts'
import { Workers } from './workers.ts'

const cluster = await startRedisCluster()
const nodes = cluster.nodes.map(({ port }) => observe(port))
const own = new RedisStore({ url: cluster.url, mode: 'cluster', timeout: 20_000 })
const client = new Cluster(
  cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
  { enableAutoPipelining: true },
)
client.on('error', () => undefined)
const lent = new RedisStore({ client, timeout: 20_000 })
test.after.always(async () => {
  await Promise.all([own.close(), lent.close()])
  for (const each of [client, ...nodes]) each.disconnect()
  await cluster.stop()
})

/** Sessions in one and the same slot, and sessions anywhere. */
function keys(): readonly string[] {
  return Array.from({ length: 12 }, (_, at) => (at % 2 === 0 ? `{move}${randomKey()}` : randomKey()))
}

async function servesSlot(node: Redis, slot: number): Promise<boolean> {
  const lines = String(await node.call('CLUSTER', 'NODES')).split('\n')
  const [own = ''] = lines.filter((line) => line.includes('myself,master'))
  return own
    .split(' ')
    .slice(8)
    .some((range) => {
      const [from, to = from] = range.split('-').map(Number)
      return slot >= Number(from) && slot <= Number(to)
    })
}

async function find<T>(items: readonly T[], is: (item: T) => Promise<boolean>): Promise<T> {
  for (const item of items) if (await is(item)) return item
  throw new Error('there is none')
}

for (const [who, store] of [
  ['a store of its own client', own],
  ['a client that was handed over', lent],
] as const) {
  test.serial(`F7: while a slot moves, ${who} loses nothing and mixes up no sessions`, async (t) => {
    const slot = Number(await nodes[0]?.call('CLUSTER', 'KEYSLOT', '{move}'))
    const source = await find(nodes, async (node) => servesSlot(node, slot))
    const target = await find(
      nodes,
      async (node) => node !== source && (await node.info('replication')).includes('role:master'),
    )
    const [from, to] = [
      String(await source.call('CLUSTER', 'MYID')),
      String(await target.call('CLUSTER', 'MYID')),
    ]

    const workers = await Workers.start(store, keys())
    await workers.more(100)
    await source.config('RESETSTAT')
    await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from)
    await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to)
    for (;;) {
      const [key] = Object(await source.call('CLUSTER', 'GETKEYSINSLOT', slot, 1))
      if (key === undefined) break
      await source.call('MIGRATE', '127.0.0.1', String(target.options.port), key, 0, 5_000)
      await workers.more(20) // with one half here and the other there
    }
    for (const node of [target, source]) await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', to)
    await workers.more(200)
    await t.notThrowsAsync(workers.stop())
    t.true(await servesSlot(target, slot))
    const refusals = await source.info('errorstats')
    t.true(refusals.includes('errorstat_ASK:') && refusals.includes('errorstat_MOVED:'))
  })
}

test.serial('F7: when a primary dies, what its replica had is kept, and verbs continue', async (t) => {
  const kept = await Promise.all(Array.from({ length: 30 }, async () => keep(own)))
  const ended = await Promise.all(Array.from({ length: 30 }, async () => keep(own)))
  for (const { key } of ended) await own.destroy(key)
  const site = await openSite({ provider: 'redis_cluster', providerConfig: cluster.url }, counting)
  t.teardown(async () => site.close())
  const crowd = await Crowd.gather(site, 6)
  await crowd.more(60)
  const primary = await find(nodes, async (node) => servesSlot(node, 0))
  for (const node of nodes) {
    if ((await node.info('replication')).includes('role:master')) await replicated(node)
  }
  const [server] = cluster.nodes.filter(({ port }) => port === primary.options.port)
  await server?.stop('SIGKILL')

  for (const store of [own, lent]) {
    const seen = await Promise.all(kept.map(async ({ key }) => store.read(key, soon())))
    t.deepEqual(
      seen.map((entry) => entry?.payload),
      kept.map(({ entry }) => entry.payload),
    )
    const gone = await Promise.all(ended.map(async ({ key }) => store.read(key)))
    t.deepEqual(new Set(gone), new Set([undefined]))
    const workers = await Workers.start(store, keys())
    await workers.more(100)
    await t.notThrowsAsync(workers.stop())
  }
  await crowd.more(60)
  // What the dead primary acknowledged last may be lost with it; nothing is counted twice, and no user is logged out.
  for (const { n, most } of await crowd.disperse()) t.true(n > 0 && n <= most, `${n} of ${most}`)
  const heir = await find(nodes, async (node) => node !== primary && (await servesSlot(node, 0)))
  t.not(heir, primary)
})

test.serial('count counts on every primary, and replicas once', async (t) => {
  const store = new RedisStore({ url: cluster.url, mode: 'cluster', prefix: 'count:', timeout: 20_000 })
  t.teardown(async () => store.close())
  await Promise.all(Array.from({ length: 100 }, async () => keep(store)))
  t.is(await store.count(), 100)
  t.is(await new RedisStore({ client, prefix: 'count:' }).count(), 100)
})

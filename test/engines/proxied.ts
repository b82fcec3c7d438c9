import type { Store } from '../../src/store.ts'
import { couchbaseServer } from '../servers/couchbase.ts'
import { freshDatabase, mariadbServer } from '../servers/mariadb.ts'
import { memcachedServer } from '../servers/memcached.ts'
import { emptyDatabase, postgresServer } from '../servers/postgres.ts'
import { startProxy, type Proxy } from '../servers/proxy.ts'
import { observe, option, redisServer, startRedis, startSentinel, until } from '../servers/redis.ts'
import type { Server } from '../servers/server.ts'
import type { Engine } from './engine.ts'
import { makeStore } from './stores.ts'

/** A running engine behind a proxy: `config` leads through the proxy, `direct` past it. */
export interface ProxiedEngine extends Engine {
  readonly proxy: Proxy
  readonly direct: string
  /** A store that uses the proxy and gives up after this many ms. */
  store(timeout: number): Store
}

/** Starts an engine behind a proxy, by the name of its provider: each engine that is a server. */
export const proxiedEngines: Readonly<Record<string, () => Promise<ProxiedEngine>>> = {
  redis: async () => before('redis', await redisServer()),
  redis_cluster: clusterOfOne,
  redis_sentinel: sentinelOfOne,
  memcache: async () => before('memcache', await memcachedServer()),
  couchbase: async () => before('couchbase', await couchbaseServer(), true),
  mysql: async () => {
    const server = await mariadbServer()
    const { url } = await freshDatabase(server)
    return before('mysql', { url, stop: server.stop })
  },
  postgres: async () => {
    const server = await postgresServer()
    const { url } = await emptyDatabase(server)
    return before('postgres', { url, stop: server.stop })
  },
}

/** A Redis Cluster of one node, which announces the address of the proxy to clients. */
async function clusterOfOne(): Promise<ProxiedEngine> {
  const server = await startRedis({
    args: [...option('cluster-enabled', 'yes'), ...option('cluster-announce-ip', '127.0.0.1')],
  })
  const engine = await before('redis_cluster', server)
  const node = observe(server.port)
  await node.config('SET', 'cluster-announce-port', engine.proxy.port)
  await node.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await until('the cluster serves', async () =>
    String(await node.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
  )
  node.disconnect()
  return engine
}

/** A primary without a replica, and a sentinel that knows it by the proxy's address. */
async function sentinelOfOne(): Promise<ProxiedEngine> {
  const { direct, proxy, stop } = await before('redis', await startRedis())
  const sentinel = await startSentinel(proxy.port)
  const config = `redis://127.0.0.1:${sentinel.port}?master=mymaster`
  return {
    config,
    direct,
    proxy,
    store: (timeout) => makeStore('redis_sentinel', config, timeout),
    stop: async () => void (await Promise.all([sentinel.stop(), stop()])),
  }
}

async function before(provider: string, server: Server, isTold = false): Promise<ProxiedEngine> {
  const url = new URL(server.url)
  const proxy = await startProxy({ host: url.hostname, port: Number(url.port), isTold })
  const config = new URL(url)
  config.host = `127.0.0.1:${proxy.port}`
  return {
    config: config.href,
    direct: server.url,
    proxy,
    store: (timeout) => makeStore(provider, config.href, timeout),
    stop: async () => {
      await proxy.stop()
      await server.stop()
    },
  }
}

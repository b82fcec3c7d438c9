import { couchbaseServer } from '../servers/couchbase.ts'
import { freshDatabase, mariadbServer } from '../servers/mariadb.ts'
import { memcachedServer } from '../servers/memcached.ts'
import { emptyDatabase, postgresServer } from '../servers/postgres.ts'
import { redisClusterServer } from '../servers/redis-cluster.ts'
import { redisSentinelServer } from '../servers/redis-sentinel.ts'
import { redisServer } from '../servers/redis.ts'
import path from 'node:path'
import { temporaryFolder } from '../support/cleanup.ts'

/** A running engine, with the config string by which an application uses it. */
export interface Engine {
  readonly config: string
  stop(): Promise<void>
}

/** Starts an engine, by the name of its provider: each engine whose sessions outlive the process. */
export const engines: Readonly<Record<string, () => Promise<Engine>>> = {
  file: async () => {
    const folder = await temporaryFolder('kts-engine-')
    return { config: folder, stop: async () => {} }
  },
  sqlite: async () => {
    const folder = await temporaryFolder('kts-engine-')
    return { config: path.join(folder, 'sessions.db'), stop: async () => {} }
  },
  redis: async () => byUrl(await redisServer()),
  redis_cluster: async () => byUrl(await redisClusterServer()),
  redis_sentinel: async () => byUrl(await redisSentinelServer()),
  memcache: async () => byUrl(await memcachedServer()),
  couchbase: async () => byUrl(await couchbaseServer()),
  mysql: async () => {
    const server = await mariadbServer()
    const { url } = await freshDatabase(server)
    return { config: url, stop: async () => server.stop() }
  },
  postgres: async () => {
    const server = await postgresServer()
    const { url } = await emptyDatabase(server)
    return { config: url, stop: async () => server.stop() }
  },
}

function byUrl({ url, stop }: { readonly url: string; stop: () => Promise<void> }): Engine {
  return { config: url, stop }
}

import type { ConnectionOptions } from 'node:tls'
import type { Cluster, Redis } from 'ioredis'
import { loadDriver } from '../shared/driver.ts'
import { leaveAtFailover } from './failover.ts'
import type { RedisAddress, RedisConfig } from './config.ts'

/**
 * Makes a client for what a config string says; it does not connect yet.
 *
 * It never holds a command back and never sends one twice: what cannot be sent now is told at once, and what becomes of it
 * is decided by the verb, which knows what is safe and how much time is left. It does not reconnect either; the next verb
 * makes a new client, so nobody knocks at a server that nobody needs.
 */
export async function createRedisClient(
  config: RedisConfig,
  timeout: number,
  tls: ConnectionOptions | undefined,
): Promise<Redis | Cluster> {
  const { Cluster, Redis } = await loadDriver('ioredis', async () => import('ioredis'))
  const { mode, addresses, username, password, db, master } = config
  const isSecure = config.tls || tls !== undefined
  const secure = isSecure ? { tls: { ...tls } } : {}
  const connection = {
    ...secure,
    username,
    password,
    family: 0, // IPv4 and IPv6, whichever answers
    connectTimeout: timeout,
    socketTimeout: timeout, // a server that has gone silent: let go of it and of what waits for it
    retryStrategy: null,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
  }
  const patience = { lazyConnect: true, enableOfflineQueue: false, enableAutoPipelining: true }
  if (mode === 'cluster') {
    return new Cluster(addresses.map(hostAndPort), {
      ...patience,
      clusterRetryStrategy: null,
      retryDelayOnFailover: 0,
      slotsRefreshTimeout: timeout,
      redisOptions: { ...connection, enableReadyCheck: false },
    })
  }
  if (mode === 'sentinel') {
    const sentinels = addresses.map(hostAndPort)
    const client = new Redis({
      ...connection,
      ...patience,
      db,
      name: master,
      sentinels,
      sentinelRetryStrategy: () => null,
      sentinelCommandTimeout: timeout,
      ...(isSecure && { sentinelTLS: { ...tls }, enableTLSForSentinelMode: true }),
    })
    const waiting = { lazyConnect: true, enableReadyCheck: false, maxRetriesPerRequest: null }
    leaveAtFailover(client, master, () =>
      sentinels.map((address) => new Redis({ ...secure, ...address, ...waiting })),
    )
    return client
  }
  // Without the driver's own look at INFO, which writes to the console where a user may not have it.
  return new Redis({ ...connection, ...patience, ...addresses[0], db, enableReadyCheck: false })
}

/** Where the client will knock, for errors. */
export function whereabouts({ addresses }: RedisConfig): string {
  return addresses.map((each) => ('path' in each ? each.path : `${each.host}:${each.port}`)).join(', ')
}

/** A socket of this machine is the address of a single server alone. */
function hostAndPort(address: RedisAddress): { host: string; port: number } {
  return 'path' in address ? { host: '127.0.0.1', port: 6_379 } : address
}

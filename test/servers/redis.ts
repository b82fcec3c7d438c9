import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Redis } from 'ioredis'
import { selfSigned } from './certificates.ts'
import { tools } from './packages.ts'
import { freePort, start, type Running, type Server } from './server.ts'

/** A private redis-server. */
export interface RedisServer extends Server {
  readonly port: number
  readonly folder: string
  /** Its path as a socket of this machine. */
  readonly socket: string
  readonly pid: number
  /** Ends it, at once with `SIGKILL` as if it had died. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** How a private redis-server differs from the usual. */
export interface RedisServerOptions {
  /** Instead of a free one: that of a server which was stopped. */
  readonly port?: number
  readonly args?: readonly string[]
  /** As `args`, for those that name a file in the server's folder. */
  readonly argsIn?: (folder: string) => readonly string[]
  readonly prepare?: (folder: string) => Promise<void>
}

/** Only from this machine, nothing on disk, replicas in step at once. */
const LOCAL: readonly string[] = [
  ...option('bind', '127.0.0.1'),
  ...option('save', ''),
  ...option('repl-diskless-sync-delay', 0),
  ...option('repl-ping-replica-period', 1),
]

/** The server of the test run, `REDIS_URL`, or a private one. */
export async function redisServer(): Promise<Server> {
  return given('REDIS_URL') ?? startRedis()
}

/** Starts a redis-server that keeps nothing on disk. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const running = await start({
    tool: tools.redis,
    ...(options.port !== undefined && { port: options.port }),
    args: (port, folder) => [
      ...LOCAL,
      ...option('port', port),
      ...option('dir', folder),
      ...option('unixsocket', path.join(folder, 'redis.sock')),
      ...(options.args ?? []),
      ...(options.argsIn?.(folder) ?? []),
    ],
    ...(options.prepare && { prepare: options.prepare }),
    answers,
  })
  return {
    url: `redis://127.0.0.1:${running.port}`,
    port: running.port,
    folder: running.folder,
    socket: path.join(running.folder, 'redis.sock'),
    pid: running.pid,
    stop: async (signal) => running.stop(signal),
  }
}

/** Tries again with other ports, where `attempt` found a free one that another program took before it was used. */
export async function onFreePorts<T>(attempt: () => Promise<T>, tries = 5): Promise<T> {
  try {
    return await attempt()
  } catch (error) {
    if (tries === 1) throw error
    return onFreePorts(attempt, tries - 1)
  }
}

/** A redis-server that speaks TLS. */
export interface RedisTlsServer extends RedisServer {
  /** The file of its certificate, which it signed itself. */
  readonly certificate: string
  /** The port at which it does not speak TLS. */
  readonly plainPort: number
}

/** A private redis-server that speaks TLS, with a certificate for these names. */
export async function startRedisTls(
  names = 'DNS:localhost,IP:127.0.0.1',
  args: readonly string[] = [],
): Promise<RedisTlsServer> {
  return onFreePorts(async () => launchTls(names, args))
}

async function launchTls(names: string, args: readonly string[]): Promise<RedisTlsServer> {
  const port = await freePort()
  const server = await startRedis({
    prepare: async (folder) => void (await selfSigned(folder, names)),
    args,
    argsIn: (folder) => [
      ...option('tls-port', port),
      ...option('tls-auth-clients', 'no'),
      ...option('tls-cert-file', path.join(folder, 'cert.pem')),
      ...option('tls-key-file', path.join(folder, 'cert-key.pem')),
      ...option('tls-ca-cert-file', path.join(folder, 'cert.pem')),
    ],
  })
  return {
    ...server,
    port,
    plainPort: server.port,
    url: `rediss://127.0.0.1:${port}`,
    certificate: path.join(server.folder, 'cert.pem'),
  }
}

/** Until `ask` answers truthfully. */
export async function until(what: string, ask: () => Promise<boolean>, tries = 300): Promise<void> {
  for (let left = tries; left > 0; left -= 1) {
    if (await ask().catch(() => false)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`waited in vain: ${what}`)
}

/** A client to look at one server with, from outside of any store. It queues until the server is there. */
export function observe(port: number): Redis {
  const client = new Redis({ host: '127.0.0.1', port, retryStrategy: () => 50, maxRetriesPerRequest: null })
  client.on('error', () => undefined)
  return client
}

/** Until the replicas of a primary have all that it has now. */
export async function replicated(primary: Redis): Promise<void> {
  const [, written] = /master_repl_offset:(\d+)/.exec(await primary.info('replication')) ?? []
  await until('the replicas are in step', async () => {
    const followers = [...(await primary.info('replication')).matchAll(/^slave\d+:.*offset=(\d+)/gm)]
    return followers.length > 0 && followers.every(([, offset]) => Number(offset) >= Number(written))
  })
}

/** A server that the environment names; it is not ours to stop. */
export function given(variable: string): Server | undefined {
  const url = process.env[variable]
  return url === undefined || url === '' ? undefined : { url, stop: async () => undefined }
}

/** Starts a sentinel on the primary at `primary`. */
export async function startSentinel(primary: number): Promise<Running> {
  const configuration = [
    `sentinel monitor mymaster 127.0.0.1 ${primary} 2`,
    'sentinel down-after-milliseconds mymaster 1000',
    'sentinel failover-timeout mymaster 4000',
    'sentinel parallel-syncs mymaster 1',
  ]
  return start({
    tool: tools.redis,
    prepare: async (folder) => writeFile(path.join(folder, 'sentinel.conf'), configuration.join('\n')),
    args: (port, folder) => [
      path.join(folder, 'sentinel.conf'),
      '--sentinel',
      ...option('port', port),
      ...option('bind', '127.0.0.1'),
      ...option('dir', folder),
    ],
    answers,
  })
}

/** A setting of redis-server as arguments. */
export function option(name: string, value: string | number): readonly [string, string] {
  return [`--${name}`, String(value)]
}

async function answers(port: number): Promise<void> {
  const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: null })
  client.on('error', () => undefined)
  try {
    await client.connect()
  } finally {
    client.disconnect()
  }
}

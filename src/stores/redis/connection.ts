import type { ConnectionOptions } from 'node:tls'
import type { Cluster, Redis } from 'ioredis'
import { Deadlines, startDeadline } from '../shared/deadlines.ts'
import { driverError } from '../shared/driver.ts'
import { errnoOf, lateError, refusedError } from '../shared/errors.ts'
import type { RedisAddress, RedisConfig } from './config.ts'
import { hidesReason, NodeFailure, tlsHint, whereabouts } from './errors.ts'
import type { RedisSettings } from './options.ts'

/** Older versions are not maintained, and the scripts are not tested on them. */
const OLDEST = [6, 0] as const

/** How often a client is left because its server became a replica, in ms at least. */
const MIN_STAY = 500

/** How long it may take until a verb that has a client sends its command, in ms. */
const MAX_TURN = 100

/** How long one server is looked at, to learn why none can be used, in ms. */
const MAX_LOOK = 1_000

/**
 * The client of a store: the application's, or one that is made at the first verb and again after its connection was lost.
 * Concurrent verbs share one attempt to connect; after a failure the next verb makes a new one.
 */
export class RedisConnection {
  readonly #make: () => Promise<Redis | Cluster>
  readonly #isOwner: boolean
  /** The error of one server, where `error` says only that all have failed. */
  readonly #reasonOf: (error: unknown) => Promise<unknown>
  readonly #isSecure: boolean
  #hasReached = false
  #hasWarned = false
  readonly #timeout: number
  readonly #deadlines = new Deadlines()
  readonly #lose = (): void => void (this.#losses += 1)
  #latest: Redis | Cluster | undefined
  #ready: Promise<Redis | Cluster> | undefined
  #losses = 0
  #staysUntil = 0
  readonly #leaving = new Map<Redis | Cluster, NodeJS.Timeout>()

  constructor({ source, timeout, tls }: RedisSettings) {
    this.#isOwner = 'addresses' in source
    this.#make = async () => ('addresses' in source ? createRedisClient(source, timeout, tls) : source)
    this.#reasonOf = async (error) => ('addresses' in source ? reasonOf(error, source, timeout, tls) : error)
    this.#isSecure = 'addresses' in source && (source.tls || tls !== undefined)
    this.#timeout = timeout
  }

  /** Why there may be no answer at all, for the end of a sentence. */
  get hint(): string | undefined {
    if (this.#isOwner) return this.#isSecure && !this.#hasReached ? 'the server may not speak TLS' : undefined
    const { status = 'ready' } = this.#latest ?? {}
    return status === 'ready' ? undefined : `the client is not connected (its status is ${status})`
  }

  /** How many connections the application's client has lost. It may have repeated by itself the commands on them. */
  get losses(): number {
    return this.#losses
  }

  /** A client that is connected to a server of a suitable version. */
  async use(): Promise<Redis | Cluster> {
    if (this.#ready !== undefined) return this.#ready
    const ready = this.#connect()
    const drop = (): void => {
      if (this.#ready === ready) this.#ready = undefined
    }
    this.#ready = ready
    try {
      const client = await ready
      if (client.status === 'end') drop()
      else if (this.#isOwner) client.once('end', drop)
    } catch {
      drop()
    }
    return ready
  }

  /**
   * Leaves a client that is connected to the wrong server, so that the next verb makes another one. The commands that it has
   * sent are still answered. If the new one leads to the same server it is kept for a while.
   */
  forget(client: Redis | Cluster): void {
    const now = performance.now()
    if (!this.#isOwner || this.#latest !== client || now < this.#staysUntil) return
    this.#staysUntil = now + MIN_STAY
    this.#latest = undefined
    this.#ready = undefined
    // What is sent after QUIT would never be answered, so verbs that have the client already come first.
    const timer = setTimeout(() => {
      this.#leaving.delete(client)
      client.quit().catch(() => client.disconnect())
    }, MAX_TURN)
    this.#leaving.set(client, timer.unref())
  }

  async close(): Promise<void> {
    // The application's client may never connect, and is not waited for.
    const client = this.#isOwner ? await this.#ready?.catch(() => undefined) : undefined
    this.#ready = undefined
    this.#unwatch()
    for (const [left, timer] of this.#leaving) {
      clearTimeout(timer)
      left.disconnect()
    }
    this.#leaving.clear()
    if (client === undefined || !this.#isOwner) return
    const deadline = startDeadline('timeout', this.#timeout)
    const late = (): Error => lateError('redis', 'close', deadline)
    await this.#deadlines.within(deadline, client.quit(), late).catch(() => client.disconnect())
  }

  async #connect(): Promise<Redis | Cluster> {
    const client = await this.#make()
    this.#latest = client
    if (!this.#isOwner) {
      this.#unwatch() // an earlier attempt may have failed
      client.on('close', this.#lose).on('-node', this.#lose)
      const info = this.#checked(await infoOf(client))
      if (!('nodes' in client)) await assertClient(client, info)
      return client
    }
    try {
      const info = this.#checked(await this.#reach(client))
      if (!('nodes' in client)) assertSingle(info)
      this.#hasReached = true
      return client
    } catch (error) {
      client.disconnect()
      throw await this.#reasonOf(error)
    }
  }

  /** What INFO has answered, with a version that is not too old; `''` if it cannot be asked. */
  #checked(info: string | undefined): string {
    if (info === undefined && !this.#hasWarned) {
      this.#hasWarned = true
      process.emitWarning(
        'redis: the server, or a proxy before it, does not answer INFO: whether it is a single server of version ' +
          `${OLDEST.join('.')} or newer was not checked.`,
        { type: 'SessionWarning', code: 'KTS_REDIS_INFO' },
      )
    }
    assertVersion(info ?? '')
    return info ?? ''
  }

  /** Connects a client that was made here, and returns what the server says about itself. */
  async #reach(client: Redis | Cluster): Promise<string | undefined> {
    // The first error event tells what failed; the promises only tell that the connection is closed. And if SELECT fails,
    // ioredis continues with another database than the configured one.
    let trouble: unknown
    client.on('error', (error: unknown) => {
      trouble ??= error
    })
    const ended = new Promise<never>((_resolve, reject) => {
      client.once('end', () => reject(new Error('Connection is closed.')))
    })
    const reached = client.connect().then(async () => infoOf(client))
    try {
      const deadline = startDeadline('timeout', this.#timeout)
      const info = await this.#deadlines.within(
        deadline,
        Promise.race([reached, ended]),
        () => new ConnectTimeout(),
      )
      if (trouble !== undefined) throw trouble
      return info
    } catch (error) {
      throw trouble ?? error
    }
  }

  #unwatch(): void {
    this.#latest?.off('close', this.#lose).off('-node', this.#lose)
  }
}

/** A server that accepts the connection and never answers counts as unreachable. */
class ConnectTimeout extends Error {
  readonly code = 'ETIMEDOUT'
}

/**
 * Makes a client, not yet connected.
 *
 * It never queues a command and never sends one twice: a command that cannot be sent fails at once, and the verb, which
 * knows what is safe and how much time is left, decides what to do. It does not reconnect either: the next verb makes a new
 * client, so an idle process does not knock at a server that is down.
 */
export async function createRedisClient(
  config: RedisConfig,
  timeout: number,
  tls: ConnectionOptions | undefined,
): Promise<Redis | Cluster> {
  const { Cluster, Redis } = await loadDriver()
  const { mode, addresses, username, password, db, master } = config
  const isSecure = config.tls || tls !== undefined
  const secure = isSecure ? { tls: { ...tls } } : {}
  const connection = {
    ...secure,
    protocol: 2 as const, // the verbs need no more, and not every proxy knows HELLO
    username,
    password,
    family: 0, // IPv4 and IPv6, whichever answers
    connectTimeout: timeout,
    socketTimeout: timeout, // closes a connection that no longer answers, with all commands on it
    retryStrategy: null,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: null,
  }
  const sending = { lazyConnect: true, enableOfflineQueue: false, enableAutoPipelining: true }
  if (mode === 'cluster') {
    return new Cluster(addresses.map(hostAndPort), {
      ...sending,
      clusterRetryStrategy: null,
      retryDelayOnFailover: 0,
      slotsRefreshTimeout: timeout,
      // ioredis would replace the names of hosts by addresses, for which their certificates are not.
      ...(isSecure && { dnsLookup: keepName }),
      redisOptions: { ...connection, enableReadyCheck: false },
    })
  }
  if (mode === 'sentinel') {
    const sentinels = addresses.map(hostAndPort)
    const client = new Redis({
      ...connection,
      ...sending,
      enableReadyCheck: false, // as below
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
  // Without ioredis's own ready check by INFO, which writes to the console if the user has no right to it.
  return new Redis({ ...connection, ...sending, ...addresses[0], db, enableReadyCheck: false })
}

function keepName(host: string, found: (error: null, address: string) => void): void {
  found(null, host)
}

/**
 * Disconnects a client as soon as the Sentinels name another primary. The old primary learns of its demotion seconds later,
 * and would accept writes and lose them until then. (The failover detector of ioredis writes to the console when a Sentinel
 * dies.)
 */
function leaveAtFailover(client: Redis, master: string, listen: () => readonly Redis[]): void {
  let listeners: readonly Redis[] = []
  client.once('ready', () => {
    listeners = listen()
    for (const listener of listeners) {
      listener.on('error', () => undefined) // one Sentinel is enough, and ioredis reconnects to this one
      listener.on('message', (_channel: string, text: string) => {
        if (text.startsWith(`${master} `)) client.disconnect()
      })
      listener.subscribe('+switch-master').catch(() => undefined)
    }
  })
  client.once('end', () => {
    for (const listener of listeners) listener.disconnect()
  })
}

/** Only a single server can have the address of a socket file. */
function hostAndPort(address: RedisAddress): { host: string; port: number } {
  return 'path' in address ? { host: '127.0.0.1', port: 6_379 } : address
}

/** The server's INFO: `''` if the user has no right to it, `undefined` if there is no such command, as behind some proxies. */
async function infoOf(client: Redis | Cluster): Promise<string | undefined> {
  try {
    return await client.info('server')
  } catch (error) {
    const isReply = error instanceof Error && error.name === 'ReplyError'
    if (!isReply || /^(?!NOPERM|ERR|invalid)[A-Z]{3,}\b|max number of clients/.test(error.message))
      throw error
    return error.message.startsWith('NOPERM') ? '' : undefined
  }
}

/**
 * The error of the first address that cannot be connected to, where `told` says only that all have failed; otherwise `told`, with
 * a question about TLS where it behaves so.
 * ioredis tries the nodes of a Cluster, and Sentinels, with clients of its own, and drops what they say.
 */
async function reasonOf(
  told: unknown,
  config: RedisConfig,
  timeout: number,
  tls: ConnectionOptions | undefined,
): Promise<unknown> {
  const isSecure = config.tls || tls !== undefined
  if (config.mode === 'single') {
    const code = errnoOf(told)
    return tlsHint(code, isSecure) === '' ? told : new NodeFailure(whereabouts(config), code, isSecure)
  }
  if (config.mode === 'sentinel' && errnoOf(told) !== '') {
    // What Sentinels fail with has no code, so it is the server that they have named.
    const { address, port }: { readonly address?: unknown; readonly port?: unknown } = Object(told)
    const where = typeof address === 'string' ? `${address}:${String(port)}` : 'the server'
    return new NodeFailure(`${where}, which the sentinels name,`, errnoOf(told), isSecure)
  }
  if (!hidesReason(told)) return told
  const { Redis } = await loadDriver()
  const secure = isSecure ? { tls: { ...tls } } : {}
  const failures = await Promise.all(
    config.addresses.map(async (address) => {
      const client = new Redis({
        ...secure,
        ...hostAndPort(address),
        family: 0,
        lazyConnect: true,
        retryStrategy: null,
        enableReadyCheck: false,
        connectTimeout: Math.min(timeout / 4, MAX_LOOK),
      })
      let trouble: unknown
      client.on('error', (each: unknown) => (trouble ??= each))
      const failure = await client.connect().then(
        () => undefined,
        (each: unknown) => trouble ?? each,
      )
      client.disconnect()
      const { host, port } = hostAndPort(address)
      const code = errnoOf(failure)
      return code === '' ? undefined : new NodeFailure(`${host}:${port}`, code, isSecure)
    }),
  )
  return failures.find((failure) => failure !== undefined) ?? told
}

function assertVersion(info: string): void {
  const [, major, minor] = /^redis_version:(\d+)\.(\d+)/m.exec(info) ?? []
  if (major === undefined || minor === undefined) return
  const isOld = Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1])
  if (!isOld) return
  throw refusedError(
    'redis',
    `Redis ${OLDEST.join('.')} or newer is needed, and the server is ${major}.${minor}`,
  )
}

function assertSingle(info: string): void {
  // Valkey and Redict say `server_mode`.
  const [, kind] = /^(?:redis|server)_mode:(\w+)/m.exec(info) ?? []
  if (kind === 'cluster') throw refusedError('redis', 'the server belongs to a cluster: use redis_cluster')
  if (kind === 'sentinel') throw refusedError('redis', 'the server is a sentinel: use redis_sentinel')
}

/** A plain client is of use at a node of a cluster only if that one node has all slots. */
async function assertClient(client: Redis, info: string): Promise<void> {
  if (/^(?:redis|server)_mode:cluster/m.test(info)) {
    const cluster = await client.cluster('INFO').catch(() => '')
    if (/^cluster_size:1\s*$/m.test(cluster)) return
    throw refusedError('redis', 'the server belongs to a cluster: hand over a Cluster of ioredis as client')
  }
  if (/^(?:redis|server)_mode:sentinel/m.test(info))
    throw refusedError('redis', 'the server is a sentinel: give the client its option sentinels')
}

async function loadDriver(): Promise<Pick<typeof import('ioredis'), 'Cluster' | 'Redis'>> {
  try {
    // Its default export is the class that all others are properties of. Not every bundler has them as exports too.
    const { default: driver } = await import('ioredis')
    return driver
  } catch (error) {
    throw driverError('ioredis', error)
  }
}

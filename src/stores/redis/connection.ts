import type { Cluster, Redis } from 'ioredis'
import { SessionError } from '../../errors.ts'
import { withDeadline } from '../shared/deadline.ts'

/** Older ones get no fixes any more, and nobody tries the scripts on them. */
const OLDEST = [6, 2] as const

/**
 * The way to Redis: a client that was handed over, or one made when it is first needed and made anew after it was lost.
 * Whoever asks while it connects waits for the same attempt. An attempt that failed is forgotten.
 */
export class RedisConnection {
  readonly #make: () => Promise<Redis | Cluster>
  readonly #owned: boolean
  readonly #timeout: number
  readonly #lose = (): void => void (this.#losses += 1)
  #latest: Redis | Cluster | undefined
  #ready: Promise<Redis | Cluster> | undefined
  #losses = 0

  constructor(source: Redis | Cluster | (() => Promise<Redis | Cluster>), timeout: number) {
    this.#owned = typeof source === 'function'
    this.#make = typeof source === 'function' ? source : async () => source
    this.#timeout = timeout
  }

  /** How many connections a handed-over client lost so far. It may have sent again by itself what was on them. */
  get losses(): number {
    return this.#losses
  }

  /** A client that is connected, to a server of which is known that it is new enough. */
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
      else if (this.#owned) client.once('end', drop)
    } catch {
      drop()
    }
    return ready
  }

  /** Lets go of a client that leads to the wrong server. */
  forget(client: Redis | Cluster): void {
    if (!this.#owned) return
    if (this.#latest === client) this.#ready = undefined
    client.disconnect()
  }

  async close(): Promise<void> {
    const client = await this.#ready?.catch(() => undefined)
    this.#ready = undefined
    this.#unwatch()
    if (client === undefined || !this.#owned) return
    await withDeadline('redis: close', this.#timeout, client.quit()).catch(() => client.disconnect())
  }

  async #connect(): Promise<Redis | Cluster> {
    const client = await this.#make()
    this.#latest = client
    if (!this.#owned) {
      this.#unwatch() // an attempt before this one may have failed
      client.on('close', this.#lose).on('-node', this.#lose)
      inspectAge(await infoOf(client))
      return client
    }
    try {
      const info = await this.#reach(client)
      inspectAge(info)
      if (!('nodes' in client)) inspectKind(info)
      return client
    } catch (error) {
      client.disconnect()
      throw error
    }
  }

  /** Connects a client of our own, and resolves to what the server tells of itself. */
  async #reach(client: Redis | Cluster): Promise<string> {
    // What goes wrong is told by the first error event. The promises only tell that the connection is closed, and when
    // SELECT fails the driver goes on, with another database than the one that was asked for.
    let trouble: unknown
    client.on('error', (error: unknown) => {
      trouble ??= error
    })
    const ended = new Promise<never>((_resolve, reject) => {
      client.once('end', () => reject(new Error('Connection is closed.')))
    })
    const reached = client.connect().then(async () => infoOf(client))
    try {
      const info = await withDeadline('redis: connect', this.#timeout, Promise.race([reached, ended]))
      if (trouble !== undefined) throw trouble
      return info
    } catch (error) {
      if (trouble !== undefined) throw trouble
      throw error instanceof SessionError ? new ConnectTimeout() : error
    }
  }

  #unwatch(): void {
    this.#latest?.off('close', this.#lose).off('-node', this.#lose)
  }
}

/** A server that takes connections and says nothing is one that cannot be reached. */
class ConnectTimeout extends Error {
  readonly code = 'ETIMEDOUT'
}

/** What the server tells of itself; nothing where the user may not ask. */
async function infoOf(client: Redis | Cluster): Promise<string> {
  try {
    return await client.info('server')
  } catch (error) {
    if (error instanceof Error && /NOPERM|unknown command/i.test(error.message)) return ''
    throw error
  }
}

function inspectAge(info: string): void {
  const [, major, minor] = /^redis_version:(\d+)\.(\d+)/m.exec(info) ?? []
  if (major === undefined || minor === undefined) return
  const isOld = Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1])
  if (isOld) throw refused(`Redis ${OLDEST.join('.')} or newer is needed, the server is a ${major}.${minor}`)
}

function inspectKind(info: string): void {
  const [, kind] = /^redis_mode:(\w+)/m.exec(info) ?? []
  if (kind === 'cluster') throw refused('the server belongs to a cluster: use redis_cluster')
  if (kind === 'sentinel') throw refused('the server is a sentinel: use redis_sentinel')
}

function refused(why: string): SessionError {
  return new SessionError('ERR_SESSION_STORE', `redis: ${why}`)
}

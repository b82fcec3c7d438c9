import type { Cluster, Redis } from 'ioredis'
import { SessionError } from '../../errors.ts'
import { withDeadline } from './deadline.ts'

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
  #watched: Redis | Cluster | undefined
  #ready: Promise<Redis | Cluster> | undefined
  #losses = 0

  constructor(source: Redis | Cluster | (() => Promise<Redis | Cluster>), timeout: number) {
    this.#owned = typeof source === 'function'
    this.#make = typeof source === 'function' ? source : async () => source
    this.#timeout = timeout
  }

  /** How many connections were lost so far. A client with other settings than ours may have sent again what was on them. */
  get losses(): number {
    return this.#losses
  }

  /** A client that is connected, to a server of which is known that it is new enough. */
  async use(): Promise<Redis | Cluster> {
    this.#ready ??= this.#connect()
    return this.#ready
  }

  /** Lets go of a client that leads to the wrong server. */
  forget(client: Redis | Cluster): void {
    if (this.#owned) client.disconnect()
  }

  async close(): Promise<void> {
    const client = await this.#ready?.catch(() => undefined)
    this.#ready = undefined
    this.#unwatch()
    if (client === undefined || !this.#owned) return
    await withDeadline('redis: close', this.#timeout, client.quit()).catch(() => client.disconnect())
  }

  async #connect(): Promise<Redis | Cluster> {
    const attempt = this.#attempt()
    attempt.catch(() => {
      this.#ready = undefined
    })
    return attempt
  }

  async #attempt(): Promise<Redis | Cluster> {
    const client = await this.#make()
    this.#watch(client)
    if (!this.#owned) {
      inspectAge(await infoOf(client))
      return client
    }
    // What went wrong is told by the first error event; the promise only tells that the connection is closed.
    let trouble: unknown
    client.on('error', (error: unknown) => {
      trouble ??= error
    })
    const ended = new Promise<never>((_resolve, reject) => {
      client.once('end', () => {
        this.#ready = undefined
        reject(new Error('Connection is closed.'))
      })
    })
    ended.catch(() => undefined)
    try {
      await withDeadline('redis: connect', this.#timeout, Promise.race([client.connect(), ended]))
      const info = await withDeadline('redis: connect', this.#timeout, infoOf(client))
      inspectAge(info)
      if (!('nodes' in client)) inspectKind(info)
      // The driver goes on when SELECT fails, with another database than the one that was asked for.
      if (trouble !== undefined) throw trouble
    } catch (error) {
      client.disconnect()
      throw error instanceof SessionError ? error : (trouble ?? error)
    }
    return client
  }

  #watch(client: Redis | Cluster): void {
    this.#unwatch()
    this.#watched = client
    client.on('close', this.#lose)
    client.on('-node', this.#lose)
  }

  #unwatch(): void {
    this.#watched?.off('close', this.#lose)
    this.#watched?.off('-node', this.#lose)
    this.#watched = undefined
  }
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

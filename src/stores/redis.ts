import { Buffer } from 'node:buffer'
import type { ConnectionOptions } from 'node:tls'
import type { Cluster, Redis } from 'ioredis'
import { SessionError } from '../errors.ts'
import { versionOf, type Counting, type Entry, type Store, type StoreTraits, type Written } from '../store.ts'
import { RedisRetry, type RedisVerb } from './redis/retry.ts'
import { createRedisClient, whereabouts } from './redis/client.ts'
import { parseRedisConfig, type RedisMode } from './redis/config.ts'
import { RedisConnection } from './redis/connection.ts'
import { countKeys } from './redis/count.ts'
import * as scripts from './redis/scripts.ts'

/** Settings of the {@link RedisStore}. Either `client` or `url` is needed. */
export interface RedisStoreOptions {
  /** An ioredis client of your own, for one server, Sentinel or Cluster. The store never closes it. */
  readonly client?: Redis | Cluster
  /** Where Redis is: a URL, or one of beego's config strings. The store makes a client of its own and closes it. */
  readonly url?: string
  /** What `url` leads to: one server, some nodes of a Cluster, or Sentinels. Default: `'single'`. */
  readonly mode?: RedisMode
  /** TLS settings for `url`, such as `ca`; with them the connection is encrypted even if the URL does not say `rediss:`. */
  readonly tls?: ConnectionOptions
  /** What the names of all keys begin with. Default: `'session:'`. */
  readonly prefix?: string
  /** How long a verb may take in all, connecting and trying again included, in ms. Default: 5,000. */
  readonly timeout?: number
  /** The largest payload in bytes. Default: 512 MiB, as much as a value of Redis may have. */
  readonly maxBytes?: number
  /** The clock, in ms since the epoch. Only spans of it reach Redis. Default: `Date.now`. */
  readonly now?: () => number
}

type Answer = 'ok' | 'gone' | 'conflict' | 'exists'

const TIMEOUT = 5_000
const MAX_BYTES: number = 512 * 1024 * 1024
const LONGEST = 1e15 // ms, more than 30,000 years; Redis refuses what does not fit into its clock

/**
 * Sessions in Redis 6.2 or newer: one string per session, which Redis itself lets expire.
 * Every verb is one script and one round trip; those of concurrent requests share their packets.
 *
 * The clock of Redis alone decides when a session ends: it is told how long from now, never until when, so that clocks
 * that disagree shorten nobody's life.
 *
 * ```ts
 * const store = new RedisStore({ url: 'redis://127.0.0.1:6379' })
 * await store.open() // rejects here, at start, if Redis cannot be reached or refuses
 * ```
 */
export class RedisStore implements Store, Counting {
  readonly traits: StoreTraits

  readonly #connection: RedisConnection
  readonly #retry: RedisRetry
  readonly #prefix: string

  /** A store for beego's `sessionproviderconfig`: fields with commas between, JSON, or a URL. It connects at its first use. */
  static fromConfig(
    config: string,
    { now }: { readonly now: () => number },
    mode: RedisMode = 'single',
  ): RedisStore {
    return new RedisStore({ url: config, mode, now })
  }

  constructor(options: RedisStoreOptions) {
    const { client, url, mode = 'single', tls, now = Date.now } = options
    const config = url === undefined ? undefined : parseRedisConfig(url, mode)
    const maxBytes = positive('maxBytes', options.maxBytes ?? MAX_BYTES)
    const timeout = positive('timeout', options.timeout ?? config?.timeout ?? TIMEOUT)
    const source = client ?? (config && (async () => createRedisClient(config, timeout, tls)))
    if (source === undefined || (client !== undefined && config !== undefined)) {
      throw new SessionError('ERR_SESSION_OPTIONS', 'redis: either client or url must be given, and not both')
    }
    this.#prefix = options.prefix ?? config?.prefix ?? 'session:'
    this.#connection = new RedisConnection(source, timeout)
    const where = config === undefined ? 'the server' : whereabouts(config)
    this.#retry = new RedisRetry(this.#connection, { where, timeout, now, prefix: this.#prefix })
    this.traits = {
      name: 'redis',
      location: 'server',
      revocable: true,
      shared: true,
      durable: true,
      resolution: 1,
      maxBytes,
    }
  }

  /** Connects now; rejects if Redis cannot be reached, refuses, or is too old. */
  async open(): Promise<void> {
    await this.#retry.within('open', async () => this.#connection.use())
  }

  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    const args = (now: number): readonly string[] => [extendTo === undefined ? '0' : span(extendTo, now)]
    const { reply, now } = await this.#retry.run({ name: 'read', script: scripts.READ, key, args })
    if (reply === null) return undefined
    const [payload, left] = Array.isArray(reply) ? reply : []
    if (typeof payload !== 'string' || !Number.isFinite(Number(left))) throw unexpected('read')
    // Counted from the moment of asking, so that the entry lives at least so long. Without a life of its own it stays.
    return { payload, expiresAt: Number(left) < 0 ? Infinity : now + Number(left) }
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    this.#refuseLarge('create', payload)
    const args = (now: number): readonly string[] => [payload, span(expiresAt, now)]
    const answer = await this.#answer({ name: 'create', script: scripts.CREATE, key, args }, ['ok', 'exists'])
    return answer === 'ok' ? { entry: { payload, expiresAt } } : answer
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    this.#refuseLarge('replace', payload)
    const args = (now: number): readonly string[] => [versionOf(base.payload), payload, span(expiresAt, now)]
    const verb = { name: 'replace', script: scripts.REPLACE, key, args, doubtful: 'conflict' } as const
    const answer = await this.#answer(verb, ['ok', 'conflict', 'gone'])
    return answer === 'ok' ? { entry: { payload, expiresAt } } : answer
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    const args = (now: number): readonly string[] => [span(expiresAt, now)]
    return this.#answer({ name: 'touch', script: scripts.TOUCH, key, args }, ['ok', 'gone'])
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    const verb = { name: 'destroy', script: scripts.DESTROY, key }
    if (base === undefined) return this.#answer({ ...verb, args: () => [''] }, ['ok', 'gone'])
    return this.#answer({ ...verb, args: () => [versionOf(base.payload)], doubtful: 'gone' }, [
      'ok',
      'conflict',
      'gone',
    ])
  }

  /** How many sessions live, by SCAN over all primaries. What comes and goes meanwhile may be in the sum or not. */
  async count(): Promise<number> {
    const client = await this.#retry.within('count', async () => this.#connection.use())
    return countKeys(client, this.#prefix, async (step) => this.#retry.within('count', step))
  }

  async close(): Promise<void> {
    this.#retry.close()
    await this.#connection.close()
  }

  async #answer<A extends Answer>(verb: RedisVerb, answers: readonly A[]): Promise<A> {
    const { reply } = await this.#retry.run(verb)
    const answer = answers.find((each) => each === reply)
    if (answer === undefined) throw unexpected(verb.name)
    return answer
  }

  #refuseLarge(name: string, payload: string): void {
    const { maxBytes } = this.traits
    if (payload.length * 3 <= maxBytes) return
    const bytes = Buffer.byteLength(payload)
    if (bytes <= maxBytes) return
    throw new SessionError(
      'ERR_SESSION_LIMIT',
      `redis: ${name} refused: ${bytes} bytes, and at most ${maxBytes} are kept`,
    )
  }
}

/** From `now` until `moment`, in whole ms. Redis counts it down by its own clock. */
function span(moment: number, now: number): string {
  return String(Math.min(Math.ceil(moment - now), LONGEST))
}

function positive(field: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new SessionError('ERR_SESSION_OPTIONS', `redis: ${field} must be a whole number above 0`)
}

function unexpected(name: string): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE',
    `redis: ${name} failed: the server gave an answer that makes no sense`,
  )
}

import { randomBytes } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import {
  isAnswer,
  versionOf,
  type Counting,
  type Diagnosing,
  type Diagnosis,
  type Entry,
  type Store,
  type StoreTraits,
  type Written,
} from '../store.ts'
import type { RedisMode } from './redis/config.ts'
import { RedisConnection } from './redis/connection.ts'
import { diagnoseRedis } from './redis/diagnosis.ts'
import { namesIn, patternOf } from './redis/keys.ts'
import { redisSettings, type RedisStoreOptions } from './redis/options.ts'
import { RedisRetry, type RedisAnswer, type RedisVerb } from './redis/retry.ts'
import * as scripts from './redis/scripts.ts'
import { storeError } from './shared/errors.ts'
import { assertFits } from './shared/payload-limit.ts'

export type { RedisMode, RedisStoreOptions }

type Answer = 'ok' | 'gone' | 'conflict' | 'exists'

/** The longest life in ms, more than 30,000 years: Redis refuses what overflows its clock. */
const LONGEST = 1e15

/** How many keys the server scans in one step of `count`; that takes it well below a millisecond. */
const SCAN_BATCH = 1_000

/**
 * Sessions in Redis 6.0 or newer: one string per session, with an expiry of Redis. Every verb is one script and one round
 * trip, and concurrent verbs share packets.
 *
 * Redis receives durations, never times, and its own clock decides when a session expires. So clocks that differ between
 * processes shorten no session.
 *
 * ```ts
 * const store = new RedisStore({ url: 'redis://127.0.0.1:6379' })
 * await store.open() // rejects at startup if Redis cannot be reached or refuses
 * ```
 */
export class RedisStore implements Store, Counting, Diagnosing {
  readonly traits: StoreTraits
  /** The option `prefix`, after the `keyPrefix` of a given client. */
  readonly namespace: string

  readonly #connection: RedisConnection
  readonly #retry: RedisRetry
  readonly #prefix: string

  /**
   * A store from beego's `sessionproviderconfig`: fields separated by commas, JSON, or a URL. It connects at its first
   * verb.
   */
  static fromConfig(
    config: string,
    { now }: { readonly now: () => number },
    mode: RedisMode = 'single',
  ): RedisStore {
    return new RedisStore({ url: config, mode, now })
  }

  /** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong, or `url` malformed */
  constructor(options: RedisStoreOptions) {
    const settings = redisSettings(options)
    this.#prefix = settings.prefix
    this.namespace = `${options.client?.options.keyPrefix ?? ''}${settings.prefix}`
    this.#connection = new RedisConnection(settings)
    this.#retry = new RedisRetry(this.#connection, settings)
    this.traits = {
      name: 'redis',
      location: 'server',
      revocable: true,
      shared: true,
      durable: true,
      resolution: 1,
      maxBytes: settings.maxBytes,
    }
  }

  /**
   * Connects, and runs scripts on a key that does not exist; rejects if Redis cannot be reached, refuses, is too old or a replica, or
   * if the user has not the rights for all verbs. A server that is full or cannot save for the moment is accepted.
   */
  async open(): Promise<void> {
    const verb = { name: 'open', key: `open-${randomBytes(8).toString('hex')}`, isRead: true }
    await this.#retry.open([
      { ...verb, script: scripts.READ, args: () => ['0'] },
      { ...verb, script: scripts.PROBE, args: () => [], isText: true },
    ])
  }

  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    const { reply, now } = await this.#look(key, extendTo)
    if (reply === null) return undefined
    const [payload, left] = Array.isArray(reply) ? reply : []
    if (typeof payload !== 'string' || !Number.isFinite(Number(left))) throw unexpected('read')
    // Counted from the time of the request, so that the entry lives at least so long. A key without an expiry stays forever.
    return { payload, expiresAt: Number(left) < 0 ? Infinity : now + Number(left) }
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    assertFits(this.traits, 'create', payload)
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
    assertFits(this.traits, 'replace', payload)
    const version = versionOf(base.payload)
    const args = (now: number): readonly string[] => [version, payload, span(expiresAt, now)]
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
    const args = (): readonly string[] => [versionOf(base.payload)]
    return this.#answer({ ...verb, args, doubtful: 'gone' }, ['ok', 'conflict', 'gone'])
  }

  /**
   * Counts the sessions with SCAN on all primaries, a batch at a time so that no server is blocked. Sessions that come or
   * go meanwhile may be counted or not; while Redis shrinks its table, a session may be counted twice.
   */
  async count(): Promise<number> {
    const client = await this.#retry.within('count', async () => this.#connection.use())
    const servers = 'nodes' in client ? client.nodes('master') : [client]
    // ioredis adds its own keyPrefix to keys, but not to patterns.
    const prefix = `${client.options.keyPrefix ?? ''}${this.#prefix}`
    let sum = 0
    for (const server of servers) sum += await this.#countOn(server, prefix)
    return sum
  }

  /** What the server does when it is full, whether it survives a restart, and whose keys there are. */
  async diagnose(): Promise<Diagnosis> {
    const client = await this.#retry.within('diagnose', async () => this.#connection.use())
    const prefix = `${client.options.keyPrefix ?? ''}${this.#prefix}`
    return this.#retry.within('diagnose', async () => diagnoseRedis(client, prefix))
  }

  async close(): Promise<void> {
    this.#retry.close()
    await this.#connection.close()
  }

  /** Reads, and extends the life unless the server refuses that. */
  async #look(key: string, extendTo: number | undefined): Promise<RedisAnswer> {
    const args = (now: number): readonly string[] => [extendTo === undefined ? '0' : span(extendTo, now)]
    try {
      const isExtending = extendTo !== undefined
      return await this.#retry.run({
        name: 'read',
        script: scripts.READ,
        key,
        args,
        isRead: true,
        isExtending,
      })
    } catch (error) {
      if (extendTo === undefined || !isAnswer(error)) throw error
      return this.#look(key, undefined)
    }
  }

  async #countOn(server: Redis | Cluster, prefix: string): Promise<number> {
    const pattern = patternOf(prefix)
    let [sum, cursor] = [0, '0']
    do {
      const from = cursor
      const [next, keys] = await this.#retry.within('count', async () =>
        server.scan(from, 'MATCH', pattern, 'COUNT', SCAN_BATCH),
      )
      sum += namesIn(keys, prefix).length
      cursor = next
    } while (cursor !== '0')
    return sum
  }

  async #answer<A extends Answer>(verb: RedisVerb, answers: readonly A[]): Promise<A> {
    const { reply } = await this.#retry.run(verb)
    if (!answers.includes(reply as A)) throw unexpected(verb.name)
    return reply as A
  }
}

/** The whole ms from `now` to `moment`. Redis counts them down with its own clock. */
function span(moment: number, now: number): string {
  return String(Math.min(Math.ceil(moment - now), LONGEST))
}

function unexpected(name: string): Error {
  return storeError('redis', `${name} failed: the server gave an unexpected answer`)
}

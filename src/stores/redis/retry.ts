import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import { SessionError } from '../../errors.ts'
import { withDeadline } from '../shared/deadline.ts'
import type { RedisConnection } from './connection.ts'
import { runAlone, runScript, type Script } from './scripts.ts'
import { harmless, errorInfoOf } from './errors.ts'

/** A verb of the store, to be run under its deadline. */
export interface RedisVerb {
  readonly name: string
  readonly script: Script
  readonly key: string
  /** The arguments of the script, for the time at which it is sent. */
  readonly args: (now: number) => readonly string[]
  /** The answer that proves nothing when the verb may have been applied before: it may tell of our own deed. */
  readonly doubtful?: string
}

export interface RedisAnswer {
  readonly reply: unknown
  /** When it was asked for. */
  readonly now: number
}

interface Settings {
  /** What errors call the server. */
  readonly where: string
  readonly prefix: string
  readonly timeout: number
  readonly now: () => number
}

/** What has gone wrong so far with one verb. */
interface Past {
  trouble?: unknown
}

const MAX_PAUSE = 250

/**
 * Runs verbs until they have an answer, a certain failure, or no time left. A failover or a moving slot so costs a moment
 * and no error. Trying again is safe even when the first try may have been applied: the scripts recognise their own work.
 */
export class RedisRetry {
  readonly #connection: RedisConnection
  readonly #settings: Settings
  /** Since when nothing has worked. */
  #downSince: number | undefined
  #closed = false

  constructor(connection: RedisConnection, settings: Settings) {
    this.#connection = connection
    this.#settings = settings
  }

  /** @throws SessionError `ERR_SESSION_STORE`, also when an answer proves nothing */
  async run(verb: RedisVerb): Promise<RedisAnswer> {
    const past: Past = {}
    return this.within(verb.name, async () => this.#persist(verb, past), past)
  }

  /** Does it within the deadline, and tells what goes wrong in words without secrets. */
  async within<T>(name: string, work: () => Promise<T>, past: Past = {}): Promise<T> {
    const { timeout, where } = this.#settings
    if (this.#closed) throw closed(name)
    let isOver = false
    const working = work().finally(() => {
      isOver = true
    })
    try {
      return await withDeadline(`redis: ${name} failed`, timeout, working)
    } catch (thrown) {
      // When time runs out during another try, the trouble that the tries before had tells more.
      const error = isOver ? thrown : (past.trouble ?? thrown)
      if (error instanceof SessionError) throw error
      const { reason } = errorInfoOf(error, where)
      throw new SessionError('ERR_SESSION_STORE', `redis: ${name} failed: ${reason}`, {
        cause: harmless(error),
      })
    }
  }

  /** From now on nothing is run. */
  close(): void {
    this.#closed = true
  }

  async #persist(verb: RedisVerb, past: Past): Promise<RedisAnswer> {
    const { where, timeout } = this.#settings
    const startedAt = performance.now()
    let doubt: unknown
    for (let tries = 0; ; tries += 1) {
      if (this.#closed) throw closed(verb.name)
      let sentBy: Redis | Cluster | undefined
      try {
        sentBy = await this.#connection.use()
        const { losses } = this.#connection
        const answer = await this.#ask(sentBy, verb, tries)
        this.#downSince = undefined
        if (losses !== this.#connection.losses) doubt ??= new Error('Connection is closed.')
        if (doubt !== undefined && answer.reply === verb.doubtful) throw doubt
        return answer
      } catch (error) {
        if (error === doubt || error instanceof SessionError) throw error
        const trouble = errorInfoOf(error, where)
        if (!trouble.passing) throw error
        past.trouble = error
        if (sentBy !== undefined) {
          if (trouble.doubtful) doubt ??= error
          if (trouble.misled) this.#connection.forget(sentBy)
        }
        const pause = Math.min(MAX_PAUSE, 10 * 2 ** tries) * (0.5 + Math.random())
        const at = performance.now()
        this.#downSince ??= at
        // For what has been down for long nobody waits. Yet the first try may have joined somebody's that was about to fail.
        const isHopeless = tries > 0 && at - this.#downSince > timeout
        const isLate = at + pause - startedAt > timeout
        if (isHopeless || isLate || this.#closed) throw error
        await sleep(pause)
      }
    }
  }

  async #ask(client: Redis | Cluster, { script, key, args }: RedisVerb, tries: number): Promise<RedisAnswer> {
    const now = this.#settings.now()
    const run = tries === 0 ? runScript : runAlone
    return { reply: await run(client, script, this.#settings.prefix + key, args(now)), now }
  }
}

function closed(name: string): SessionError {
  return new SessionError('ERR_SESSION_STORE', `redis: ${name} after close`)
}

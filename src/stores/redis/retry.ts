import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import { SessionError } from '../../errors.ts'
import { Deadlines, msLeft, startDeadline, type Deadline } from '../shared/deadlines.ts'
import {
  closedError,
  isMistake,
  lateError,
  mistakeError,
  noAnswer,
  refusedError,
  storeError,
} from '../shared/errors.ts'
import type { RedisConnection } from './connection.ts'
import { errorInfoOf, harmless, whereabouts } from './errors.ts'
import type { RedisSettings } from './options.ts'
import { refusesHashes, runAlone, runScript, runText, type Script } from './scripts.ts'

/** A verb of the store, as {@link RedisRetry} runs it. */
export interface RedisVerb {
  readonly name: string
  readonly script: Script
  readonly key: string
  /** The arguments of the script, given the time at which it is sent. */
  readonly args: (now: number) => readonly string[]
  /** The answer that is inconclusive if an earlier try may have been applied: it may be the effect of that try. */
  readonly doubtful?: string
  /** It changes no session, so it does not matter whether an earlier try is still under way. */
  readonly isRead?: boolean
  /** It is sent by its text, although the server may know its hash. */
  readonly isText?: boolean
  /** It reads and also extends the life; it is not to wait for a server that refuses the latter. */
  readonly isExtending?: boolean
}

/** What a script answered. */
export interface RedisAnswer {
  readonly reply: unknown
  /** The time at which the script was sent. */
  readonly now: number
}

/** What a verb remembers of its earlier tries. */
interface Past {
  trouble?: unknown
  /** The failure of a try that may have been applied, or may still be. */
  doubt?: unknown
}

/** The longest wait between two tries, in ms. */
const MAX_PAUSE = 250

/** The least time that is left for a try after a refusal, in ms. */
const LONGEST_REST = 200

/**
 * Runs a verb until it has an answer, a definite failure, or no time left. So a failover or a moving slot costs a moment, not
 * an error. A retry is safe even if the first try may have been applied: the scripts recognise their own version.
 */
export class RedisRetry {
  readonly #connection: RedisConnection
  readonly #settings: RedisSettings
  /** What error messages call the server. */
  readonly #where: string
  readonly #deadlines = new Deadlines()
  /** The time since which no try was answered. */
  #downSince: number | undefined
  /** For each verb, the time since which no try has succeeded that was answered. */
  readonly #refusedSince = new Map<string, number>()
  /** Whether the server takes scripts by their hash, as far as is known. */
  #takesHashes = true
  #isClosed = false

  constructor(connection: RedisConnection, settings: RedisSettings) {
    this.#connection = connection
    this.#settings = settings
    this.#where = whereabouts(settings.source)
  }

  /** @throws SessionError `ERR_SESSION_STORE` if it fails, or if its answer is inconclusive */
  async run(verb: RedisVerb): Promise<RedisAnswer> {
    const past: Past = {}
    return this.within(verb.name, async (deadline) => this.#persist(verb, past, deadline), past)
  }

  /** Connects, without a second try, and runs several verbs, all within one timeout. */
  async open(verbs: readonly RedisVerb[]): Promise<void> {
    const past: Past = {}
    const work = async (deadline: Deadline): Promise<void> => {
      await this.#connection.use()
      for (const verb of verbs) await this.#persist(verb, past, deadline)
    }
    await this.within('open', work, past)
  }

  /** Runs `work` within the timeout of the store, and describes its failure without a key, a payload or a password. */
  async within<T>(name: string, work: (deadline: Deadline) => Promise<T>, past: Past = {}): Promise<T> {
    if (this.#isClosed) throw closedError('redis', name)
    const deadline = startDeadline('timeout', this.#settings.timeout)
    let isOver = false
    const working = work(deadline).finally(() => {
      isOver = true
    })
    try {
      return await this.#deadlines.within(deadline, working, () => this.#late(name, deadline))
    } catch (thrown) {
      // If the time runs out during a retry, the failure of an earlier try is the better explanation.
      const error = isOver ? thrown : (past.trouble ?? thrown)
      if (error instanceof SessionError) throw error
      if (isMistake(error)) throw mistakeError('redis', `${name} failed`, harmless(error))
      const { reason, answered } = errorInfoOf(error, this.#where)
      const failure = answered && isOver && past.doubt === undefined ? refusedError : storeError
      throw failure('redis', `${name} failed: ${reason}`, harmless(error))
    }
  }

  #late(name: string, deadline: Deadline): Error {
    const { hint } = this.#connection
    const late = lateError('redis', name, deadline)
    return hint === undefined ? late : storeError('redis', `${name} failed: ${noAnswer(deadline)}: ${hint}`)
  }

  /** Refuses every verb from now on. */
  close(): void {
    this.#isClosed = true
  }

  /** Since when the server is silent, or has answered this verb with refusals. */
  #since({ name }: RedisVerb, isAnswered: boolean, at: number): number {
    if (!isAnswered) return (this.#downSince ??= at)
    this.#downSince = undefined
    const since = this.#refusedSince.get(name) ?? at
    this.#refusedSince.set(name, since)
    return since
  }

  async #send(client: Redis | Cluster, verb: RedisVerb, now: number, isFirst: boolean): Promise<unknown> {
    const { script } = verb
    const [key, args] = [this.#settings.prefix + verb.key, verb.args(now)] as const
    if (!isFirst || verb.isText === true) return runAlone(client, script, key, args)
    if (!this.#takesHashes) return runText(client, script, key, args)
    try {
      return await runScript(client, script, key, args)
    } catch (error) {
      if (!refusesHashes(error)) throw error
      const reply = await runAlone(client, script, key, args)
      this.#takesHashes = false
      return reply
    }
  }

  async #persist(verb: RedisVerb, past: Past, deadline: Deadline): Promise<RedisAnswer> {
    const settings = this.#settings
    for (let tries = 0; ; tries += 1) {
      if (this.#isClosed) throw closedError('redis', verb.name)
      let sentBy: Redis | Cluster | undefined
      try {
        sentBy = await this.#connection.use()
        const { losses } = this.#connection
        const now = settings.now()
        const reply = await this.#send(sentBy, verb, now, tries === 0)
        this.#downSince = undefined
        this.#refusedSince.delete(verb.name)
        if (losses !== this.#connection.losses) past.doubt ??= new Error('Connection is closed.')
        if (past.doubt !== undefined && reply === verb.doubtful) throw past.doubt
        return { reply, now }
      } catch (error) {
        if (error === past.doubt || error instanceof SessionError || isMistake(error)) throw error
        const trouble = errorInfoOf(error, this.#where)
        if (sentBy !== undefined && trouble.misled) this.#connection.forget(sentBy)
        if (!trouble.passing || (verb.isExtending === true && trouble.readable)) throw error
        past.trouble = error
        if (sentBy !== undefined && trouble.doubtful && verb.isRead !== true) past.doubt ??= error
        const pause = Math.min(MAX_PAUSE, 10 * 2 ** tries) * (0.5 + Math.random())
        const at = performance.now()
        const since = this.#since(verb, trouble.answered, at)
        // A server that has been down for long is not waited for, nor one that has refused this verb for long. The first try may
        // have joined an attempt that was about to fail, so there is always a second one.
        const isHopeless = tries > 0 && at - since > deadline.ms
        // So that a server which answers is not taken for one that does not, because the time ends during a try.
        const rest = trouble.answered ? Math.min(LONGEST_REST, deadline.ms / 10) : 0
        if (isHopeless || pause > msLeft(deadline) - rest || this.#isClosed) throw error
        await sleep(pause)
      }
    }
  }
}

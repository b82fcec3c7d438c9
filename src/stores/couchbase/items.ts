import { Buffer } from 'node:buffer'
import { setTimeout as pause } from 'node:timers/promises'
import type { Collection, Transcoder } from 'couchbase'
import { SessionError } from '../../errors.ts'
import type { Item, Items } from '../shared/cas-verbs.ts'
import { Deadlines, msLeft, type Deadline } from '../shared/deadlines.ts'
import { isMistake, noAnswer } from '../shared/errors.ts'
import type { CouchbaseConnection } from './connection.ts'
import { CouchbaseError, Failure } from './errors.ts'

/** The options that every call of the driver accepts. */
interface CallOptions {
  readonly timeout: number
}

/** A token that no document has. A request without any token would apply to every state. */
const NO_TOKEN = '18446744073709551614'

/** The document holds the exact expiry. The server drops it this much later, because its clock may be ahead of ours. */
const GRACE_SECONDS = 5

/** The protocol takes a number up to 30 days for a duration, and a larger one for a time since the epoch, even a past one. */
const FIRST_SECOND: number = 30 * 24 * 60 * 60 + 1
const LAST_SECOND = 0xff_ff_ff_fe
const LAST_MOMENT: number = (LAST_SECOND - GRACE_SECONDS) * 1_000

/** The wait before a busy server is asked again, in ms: the first one, and the longest. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [5, 200]

/** In ms. */
const LONGEST_REST = 100

/** Stores text unchanged, and marks it as text for other drivers. */
const transcoder: Transcoder = {
  encode: (text) => [Buffer.from(String(text)), 0x04_00_00_00],
  decode: (bytes) => bytes.toString(),
}

/** The documents with one prefix. A document is text: the expiry in ms, a line end, and the payload. */
export class CouchbaseItems implements Items {
  readonly #connection: CouchbaseConnection
  readonly #collection: Collection
  readonly #prefix: string
  readonly #deadlines = new Deadlines()

  constructor(connection: CouchbaseConnection, prefix: string) {
    this.#connection = connection
    this.#collection = connection.collection
    this.#prefix = prefix
  }

  moment(expiresAt: number): number {
    return Math.min(Math.max(Math.ceil(expiresAt), 0), LAST_MOMENT)
  }

  async get(key: string, deadline: Deadline): Promise<Item | undefined> {
    const found = await this.#call(
      deadline,
      async (options) => this.#collection.get(this.#prefix + key, { transcoder, ...options }),
      Failure.notFound,
    )
    if (typeof found === 'string') return undefined
    const [head = '', moment = ''] = /^(\d{1,16})\n/.exec(found.content) ?? []
    return {
      payload: found.content.slice(head.length),
      expiresAt: Number(moment),
      token: found.cas.toString(),
    }
  }

  async add(key: string, payload: string, expiresAt: number, deadline: Deadline): Promise<Item | 'exists'> {
    const added = await this.#call(
      deadline,
      async (options) =>
        this.#collection.insert(this.#prefix + key, `${expiresAt}\n${payload}`, {
          transcoder,
          expiry: expiryOf(expiresAt),
          ...options,
        }),
      Failure.exists,
    )
    return typeof added === 'string' ? 'exists' : { payload, expiresAt, token: added.cas.toString() }
  }

  async replace(
    key: string,
    { payload, expiresAt, token }: Item,
    deadline: Deadline,
  ): Promise<Item | 'changed' | 'gone'> {
    const replaced = await this.#call(
      deadline,
      async (options) =>
        this.#collection.replace(this.#prefix + key, `${expiresAt}\n${payload}`, {
          transcoder,
          expiry: expiryOf(expiresAt),
          cas: known(token),
          ...options,
        }),
      Failure.changed,
      Failure.notFound,
    )
    if (typeof replaced === 'string') return replaced === Failure.changed ? 'changed' : 'gone'
    return { payload, expiresAt, token: replaced.cas.toString() }
  }

  async delete(key: string, token: unknown, deadline: Deadline): Promise<'ok' | 'changed' | 'gone'> {
    const removed = await this.#call(
      deadline,
      async (options) =>
        this.#collection.remove(this.#prefix + key, {
          ...(token !== undefined && { cas: known(token) }),
          ...options,
        }),
      Failure.changed,
      Failure.notFound,
    )
    if (typeof removed === 'string') return removed === Failure.changed ? 'changed' : 'gone'
    return 'ok'
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  /** The answer of the server, or the name of the `expected` failure. While the server is busy it is asked again. */
  async #call<T extends object, F extends string>(
    deadline: Deadline,
    ask: (options: CallOptions) => Promise<T>,
    ...expected: readonly F[]
  ): Promise<T | F> {
    const late = (): Error => new Error(noAnswer(deadline))
    // What is left over when the driver gives up, so that a refusal is told and not the deadline. A request that the driver
    // was repeating then has been processed by a server that answers.
    const rest = Math.min(LONGEST_REST, deadline.ms / 10)
    let refusal: unknown
    for (let wait = FIRST_PAUSE; ; wait = Math.min(wait * 2, LONGEST_PAUSE)) {
      const timeout = Math.ceil(msLeft(deadline) - rest)
      if (timeout <= 0) throw refusal ?? late()
      try {
        return await this.#deadlines.within(deadline, ask({ timeout }), late)
      } catch (error) {
        const name = error instanceof Error ? error.name : ''
        const failure = expected.find((each) => each === name)
        if (failure !== undefined) return failure
        if (name === Failure.tooLarge) throw tooLarge()
        if (isMistake(error)) throw error
        const failed = new CouchbaseError(error)
        if (failed.isTimeout && failed.answered) await pause(Math.max(msLeft(deadline) - 1, 0))
        if ((name !== Failure.busy && name !== Failure.locked) || wait >= timeout) throw failed
        refusal = failed
      }
      await pause(Math.min(wait * (0.5 + Math.random()), Math.max(msLeft(deadline) - rest, 0)))
    }
  }
}

function expiryOf(expiresAt: number): Date {
  return new Date(Math.max(Math.ceil(expiresAt / 1_000) + GRACE_SECONDS, FIRST_SECOND) * 1_000)
}

function known(token: unknown): string {
  return typeof token === 'string' && /^[1-9]\d*$/.test(token) ? token : NO_TOKEN
}

function tooLarge(): SessionError {
  return new SessionError('ERR_SESSION_LIMIT', 'couchbase: the server accepts no document as large as this')
}

import { Buffer } from 'node:buffer'
import { setTimeout as pause } from 'node:timers/promises'
import type { Collection, Transcoder } from 'couchbase'
import { SessionError } from '../../errors.ts'
import { CouchbaseError, Failure } from './errors.ts'
import type { Item, Items } from '../shared/items.ts'

/** What every call to the driver takes. */
interface Bounds {
  readonly timeout: number
}

/** A token that no document has, for what is none: without a token any state would do. */
const NOBODYS = '18446744073709551614'

/** The moment of death stands in the document. The server drops that by its own clock, which may be a bit ahead of ours. */
const GRACE_SECONDS = 5

/** Up to 30 days the protocol takes a number for a duration. Above it, even what is long past is a moment. */
const FIRST_SECOND: number = 30 * 24 * 60 * 60 + 1
const LAST_SECOND = 0xff_ff_ff_fe
const LAST_MOMENT: number = (LAST_SECOND - GRACE_SECONDS) * 1_000

/** How long to wait when the server is busy, in ms, at first and at most. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [5, 200]

/** Text as it is, marked as such for other drivers. */
const transcoder: Transcoder = {
  encode: (text) => [Buffer.from(String(text)), 0x04_00_00_00],
  decode: (bytes) => bytes.toString(),
}

/**
 * The documents of one prefix, for as long as one call may take. A document is text: the moment of death, a line end, and
 * the payload as it is.
 */
export class CouchbaseItems implements Items {
  readonly #collection: Collection
  readonly #prefix: string
  readonly #until: number

  constructor(collection: Collection, prefix: string, until: number) {
    this.#collection = collection
    this.#prefix = prefix
    this.#until = until
  }

  moment(expiresAt: number): number {
    return Math.min(Math.max(Math.ceil(expiresAt), 0), LAST_MOMENT)
  }

  async get(key: string): Promise<Item | undefined> {
    const found = await this.#call(
      async (bounds) => this.#collection.get(this.#prefix + key, { transcoder, ...bounds }),
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

  async add(key: string, payload: string, expiresAt: number): Promise<Item | 'exists'> {
    const added = await this.#call(
      async (bounds) =>
        this.#collection.insert(this.#prefix + key, `${expiresAt}\n${payload}`, {
          transcoder,
          expiry: expiryOf(expiresAt),
          ...bounds,
        }),
      Failure.exists,
    )
    return typeof added === 'string' ? 'exists' : { payload, expiresAt, token: added.cas.toString() }
  }

  async replace(key: string, { payload, expiresAt, token }: Item): Promise<Item | 'changed' | 'gone'> {
    const replaced = await this.#call(
      async (bounds) =>
        this.#collection.replace(this.#prefix + key, `${expiresAt}\n${payload}`, {
          transcoder,
          expiry: expiryOf(expiresAt),
          cas: known(token),
          ...bounds,
        }),
      Failure.changed,
      Failure.notFound,
    )
    if (typeof replaced === 'string') return replaced === Failure.changed ? 'changed' : 'gone'
    return { payload, expiresAt, token: replaced.cas.toString() }
  }

  async delete(key: string, token: unknown): Promise<'ok' | 'changed' | 'gone'> {
    const removed = await this.#call(
      async (bounds) => this.#collection.remove(this.#prefix + key, { cas: known(token), ...bounds }),
      Failure.changed,
      Failure.notFound,
    )
    if (typeof removed === 'string') return removed === Failure.changed ? 'changed' : 'gone'
    return 'ok'
  }

  /** What the server answers, or which of the `expected` failures it is. While the server is busy it is asked again. */
  async #call<T extends object, F extends string>(
    ask: (bounds: Bounds) => Promise<T>,
    ...expected: readonly F[]
  ): Promise<T | F> {
    for (let wait = FIRST_PAUSE; ; wait = Math.min(wait * 2, LONGEST_PAUSE)) {
      const timeout = Math.ceil(this.#until - performance.now())
      if (timeout <= 0) throw new Error('no answer within the timeout')
      try {
        return await ask({ timeout })
      } catch (error) {
        const name = error instanceof Error ? error.name : ''
        const failure = expected.find((each) => each === name)
        if (failure !== undefined) return failure
        if (name === Failure.tooLarge) throw tooLarge()
        if ((name !== Failure.busy && name !== Failure.locked) || wait >= timeout)
          throw new CouchbaseError(error)
      }
      await pause(wait * (0.5 + Math.random()))
    }
  }
}

function expiryOf(expiresAt: number): Date {
  return new Date(Math.max(Math.ceil(expiresAt / 1_000) + GRACE_SECONDS, FIRST_SECOND) * 1_000)
}

function known(token: unknown): string {
  return typeof token === 'string' && /^[1-9]\d*$/.test(token) ? token : NOBODYS
}

function tooLarge(): SessionError {
  return new SessionError('ERR_SESSION_LIMIT', 'couchbase: the server takes no document as large as this')
}

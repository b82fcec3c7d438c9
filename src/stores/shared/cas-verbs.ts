import { SessionError } from '../../errors.ts'
import { isAnswer, sameVersion, type Entry, type StoreTraits, type Written } from '../../store.ts'
import { Deadlines, msLeft, startDeadline, type Deadline } from './deadlines.ts'
import {
  closedError,
  isMistake,
  lateError,
  mistakeError,
  Refusal,
  refusedError,
  storeError,
} from './errors.ts'
import { assertFits } from './payload-limit.ts'

/** A session as a backend with a compare-and-swap token keeps it. */
export interface Item {
  readonly payload: string
  /** As the backend keeps it, see {@link Items.moment}. */
  readonly expiresAt: number
  /** It changes with each write, a touch included. */
  readonly token: unknown
}

/**
 * A backend with a compare-and-swap token. Each method but `moment` and `close` is one round trip, one atomic step of the
 * server, and rejects when the deadline passes. An expired item may remain for a while.
 */
export interface Items {
  /** The time that is stored for `expiresAt`: not earlier, and as close as the backend's clock allows. */
  moment(expiresAt: number): number
  get(key: string, deadline: Deadline): Promise<Item | undefined>
  add(key: string, payload: string, expiresAt: number, deadline: Deadline): Promise<Item | 'exists'>
  /** Replaces payload and `expiresAt` of the item that has the token of `item`. Never creates. */
  replace(key: string, item: Item, deadline: Deadline): Promise<Item | 'changed' | 'gone'>
  /** Removes the item if it has this token; whatever it is, if the token is `undefined`. */
  delete(key: string, token: unknown, deadline: Deadline): Promise<'ok' | 'changed' | 'gone'>
  /** Closes the connections that were made for it. */
  close(): Promise<void>
}

/** Each failed try means that another write was applied in between. A hundred in a row are no coincidence. */
const TRIES = 100

/**
 * The verbs of a store whose backend compares tokens, and the connection behind them.
 *
 * Such a backend can extend a life only by setting it, with get-and-touch for example, and that could shorten it. So `read`
 * ignores `extendTo`, and `touch` is a compare-and-swap of an unchanged payload. It changes the token but not the version;
 * a writer whose token is outdated by a touch compares versions and tries again.
 */
export class CasVerbs<I extends Items> {
  readonly #traits: StoreTraits
  readonly #timeout: number
  readonly #now: () => number
  readonly #open: () => Promise<I>
  readonly #deadlines = new Deadlines()
  #items: I | undefined
  #opening: Promise<I> | undefined
  #isClosed = false

  /** @param open connects; it is called at the first verb, and again after it failed */
  constructor(
    traits: StoreTraits,
    { timeout, now }: { readonly timeout: number; readonly now: () => number },
    open: () => Promise<I>,
  ) {
    this.#traits = traits
    this.#timeout = timeout
    this.#now = now
    this.#open = open
  }

  async read(key: string): Promise<Entry | undefined> {
    return this.run('read', async (items, deadline) => {
      const item = await this.#living(items, key, deadline)
      return item && entryOf(item)
    })
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    assertFits(this.#traits, 'create', payload)
    return this.run('create', async (items, deadline) => {
      const moment = items.moment(expiresAt)
      return persist(deadline, async () => {
        const added = await items.add(key, payload, moment, deadline)
        if (added !== 'exists') return { entry: entryOf(added) }
        const there = await items.get(key, deadline)
        if (there === undefined) return 'changed'
        if (this.#lives(there)) return 'exists'
        const next = { payload, expiresAt: moment, token: there.token }
        const replaced = await items.replace(key, next, deadline)
        return typeof replaced === 'object' ? { entry: entryOf(replaced) } : 'changed'
      })
    })
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    assertFits(this.#traits, 'replace', payload)
    return this.run('replace', async (items, deadline) => {
      const moment = items.moment(expiresAt)
      return this.#swap(items, key, base, deadline, async (token) => {
        const replaced = await items.replace(key, { payload, expiresAt: moment, token }, deadline)
        return typeof replaced === 'object' ? { entry: entryOf(replaced) } : replaced
      })
    })
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.run('touch', async (items, deadline) => {
      const moment = items.moment(expiresAt)
      return persist(deadline, async () => {
        const item = await this.#living(items, key, deadline)
        if (item === undefined) return 'gone'
        if (item.expiresAt >= moment) return 'ok'
        const replaced = await items.replace(key, { ...item, expiresAt: moment }, deadline)
        return typeof replaced === 'object' ? 'ok' : replaced
      })
    })
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.run('destroy', async (items, deadline) => {
      if (base !== undefined)
        return this.#swap(items, key, base, deadline, async (token) => items.delete(key, token, deadline))
      // Without a token no writer can get ahead of it, however many there are.
      if ((await this.#living(items, key, deadline)) === undefined) return 'gone'
      return (await items.delete(key, undefined, deadline)) === 'ok' ? 'ok' : 'gone'
    })
  }

  /** Runs `work` with the items, connected, and a deadline that starts now. Wraps what it throws in a `SessionError`. */
  async run<T>(verb: string, work: (items: I, deadline: Deadline) => Promise<T>): Promise<T> {
    const { name } = this.#traits
    if (this.#isClosed) throw closedError(name, verb)
    const deadline = startDeadline('timeout', this.#timeout)
    try {
      return await work(this.#items ?? (await this.#connected(verb, deadline)), deadline)
    } catch (cause) {
      if (cause instanceof SessionError) throw cause
      if (isMistake(cause)) throw mistakeError(name, `${verb} failed`, cause)
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw (isAnswer(cause) ? refusedError : storeError)(name, `${verb} failed: ${reason}`, cause)
    }
  }

  /** Refuses every verb from now on, and closes the connection. */
  async close(): Promise<void> {
    this.#isClosed = true
    const items = await this.#opening?.catch(() => undefined)
    await items?.close()
  }

  /** Concurrent verbs share one attempt to connect. After a failure the next verb makes a new one. */
  #connected(verb: string, deadline: Deadline): Promise<I> {
    this.#opening ??= this.#open().then(
      (items) => (this.#items = items),
      (error: unknown) => {
        this.#opening = undefined
        throw error
      },
    )
    const late = (): Error => lateError(this.#traits.name, verb, deadline)
    return this.#deadlines.within(deadline, this.#opening, late)
  }

  /**
   * Applies `write` to the living item if it has the version of `base`. The first try uses the token of `base`. If that is
   * outdated, the item may still have the same version, so the next try reads it and compares.
   */
  async #swap<T>(
    items: I,
    key: string,
    base: Entry | undefined,
    deadline: Deadline,
    write: (token: unknown) => Promise<T | 'changed'>,
  ): Promise<T | 'conflict' | 'gone'> {
    let token = base !== undefined && this.#lives(base) ? base.token : undefined
    return persist<T | 'conflict' | 'gone'>(deadline, async () => {
      if (token === undefined) {
        const item = await this.#living(items, key, deadline)
        if (item === undefined) return 'gone'
        if (base !== undefined && !sameVersion(item.payload, base.payload)) return 'conflict'
        token = item.token
      }
      const outcome = await write(token)
      token = undefined
      return outcome
    })
  }

  async #living(items: I, key: string, deadline: Deadline): Promise<Item | undefined> {
    const item = await items.get(key, deadline)
    return item !== undefined && this.#lives(item) ? item : undefined
  }

  #lives({ expiresAt }: Entry): boolean {
    return expiresAt > this.#now()
  }
}

/** Tries until no other write has come in between, or the time is over: the server has answered then, and nothing is applied. */
async function persist<T>(deadline: Deadline, attempt: () => Promise<T | 'changed'>): Promise<T> {
  for (let tries = 0; tries < TRIES && (tries === 0 || msLeft(deadline) > 0); tries += 1) {
    const outcome = await attempt()
    if (outcome !== 'changed') return outcome
  }
  throw new Refusal('other requests kept writing to the same session')
}

/** A copy for the caller. */
function entryOf({ payload, expiresAt, token }: Item): Entry {
  return { payload, expiresAt, token }
}

import { isRefusal, type StoreCalls } from './store-calls.ts'
import { startDeadline, type Deadline } from '../../stores/shared/deadlines.ts'
import { isMistake } from '../../stores/shared/errors.ts'
import { SessionError } from '../../errors.ts'
import type { StoreVerb } from '../events.ts'
import { SharedReads } from './shared-reads.ts'
import type { ManagerSettings } from '../options.ts'
import type { ManagerStatus } from '../tracing.ts'
import { isAnswer, sameVersion, type Entry, type Store, type Written } from '../../store.ts'

/** With fewer pending calls than this, reads are not coalesced. */
const CROWD = 8

/** Errors of writes that the store has refused, and that were looked for: they are not stored. */
const refusedWrites = new WeakSet<Error>()

/**
 * A store whose writes have a known outcome where that is possible: after a rejected write, the version of the stored payload
 * tells whether it was applied, and if it was not, the write is sent once more, unless the store has answered with a refusal.
 * Every call ends by its operation's deadline.
 */
export class GuardedStore {
  readonly store: Store
  readonly calls: StoreCalls
  readonly #openTimeout: number
  readonly #sharedReads = new SharedReads()
  /** What is told of this store and its manager. */
  readonly status: ManagerStatus

  constructor(
    { store, openTimeout, name }: Pick<ManagerSettings, 'store' | 'openTimeout' | 'name'>,
    calls: StoreCalls,
  ) {
    this.store = store
    this.calls = calls
    this.status = {
      name,
      store: store.traits.name,
      get pending() {
        return calls.pending
      },
      get breaker() {
        return calls.breaker
      },
    }
    this.#openTimeout = openTimeout
  }

  read(key: string, extendTo: number | undefined, deadline: Deadline): Promise<Entry | undefined> {
    const { calls, store } = this
    const read = (): Promise<Entry | undefined> => store.read(key, extendTo)
    if (calls.pending < CROWD || store.traits.location === 'client') return calls.run('read', read, deadline)
    return this.#sharedReads.load(
      key,
      () => calls.run('read', read, deadline),
      () => calls.run('read', read, startDeadline('openTimeout', this.#openTimeout), true),
      (loaded) => calls.join('read', loaded, deadline),
    )
  }

  touch(key: string, expiresAt: number, deadline: Deadline): Promise<'ok' | 'gone'> {
    return this.calls.run('touch', () => this.store.touch(key, expiresAt), deadline)
  }

  /** As the store's `create`, settled. It is sent once: one that arrives late must not bring back what was ended since. */
  async create(
    key: string,
    payload: string,
    expiresAt: number,
    deadline: Deadline,
  ): Promise<Written | 'exists'> {
    const create = (): Promise<Written | 'exists'> => this.store.create(key, payload, expiresAt)
    try {
      return await this.calls.run('create', create, deadline)
    } catch (error) {
      const stored = await this.#reread(key, error, deadline)
      if (stored === undefined) throw isAnswer(error) ? notApplied(error) : error
      return sameVersion(stored.payload, payload) ? { entry: stored } : 'exists'
    }
  }

  /** As the store's `replace`, settled. Rejects if another commit hides whether this one was applied before it. */
  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
    deadline: Deadline,
  ): Promise<Written | 'conflict' | 'gone'> {
    const replace = (): Promise<Written | 'conflict' | 'gone'> =>
      this.store.replace(key, payload, expiresAt, base)
    try {
      return await this.calls.run('replace', replace, deadline)
    } catch (error) {
      const stored = await this.#reread(key, error, deadline)
      if (stored === undefined) return 'gone'
      if (sameVersion(stored.payload, payload)) return { entry: stored }
      if (!sameVersion(stored.payload, base.payload)) throw error
      if (isAnswer(error)) throw notApplied(error)
      if (isMistake(error)) throw error
      const again = await this.#again('replace', replace, error, deadline)
      return again === 'conflict' ? this.#ours(key, payload, error, deadline) : again
    }
  }

  /**
   * As the store's `destroy`, settled. With `base` an unknown outcome stays a rejection if the entry is no longer there: that
   * does not tell which request ended it.
   */
  async destroy(
    key: string,
    base: Entry | undefined,
    deadline: Deadline,
    until?: number,
  ): Promise<'ok' | 'conflict' | 'gone'> {
    const destroy = (): Promise<'ok' | 'conflict' | 'gone'> => this.store.destroy(key, base, until)
    try {
      return await this.calls.run('destroy', destroy, deadline)
    } catch (error) {
      const stored = await this.#reread(key, error, deadline)
      if (stored === undefined && base !== undefined) throw error
      if (stored === undefined) return 'gone'
      if (base !== undefined && !sameVersion(stored.payload, base.payload)) return 'conflict'
      if (isAnswer(error)) throw notApplied(error)
      if (isMistake(error)) throw error
      const again = await this.#again('destroy', destroy, error, deadline)
      // The first attempt may have arrived late: then no other request has ended it.
      if (again === 'gone' && base !== undefined) throw error
      return again
    }
  }

  /** A second attempt. If it is refused, the outcome of the first one is still unknown. */
  async #again<T>(verb: StoreVerb, call: () => Promise<T>, error: unknown, deadline: Deadline): Promise<T> {
    return this.calls.run(verb, call, deadline).catch((failure: unknown) => {
      throw isRefusal(failure) ? error : failure
    })
  }

  /** What is stored after a write was rejected. Rejects with `error` if that cannot be read. */
  async #reread(key: string, error: unknown, deadline: Deadline): Promise<Entry | undefined> {
    if (!isUnknown(error) || this.store.traits.location === 'client') throw error
    return this.calls
      .run('read', () => this.store.read(key), deadline)
      .catch(() => {
        throw error
      })
  }

  async #ours(key: string, payload: string, error: unknown, deadline: Deadline): Promise<Written> {
    const stored = await this.#reread(key, error, deadline)
    if (stored === undefined || !sameVersion(stored.payload, payload)) throw error
    return { entry: stored }
  }
}

/** Whether a write that was rejected with `error` may have been applied, or may still be. */
export function isUnknown(error: unknown): boolean {
  const isTrouble = error instanceof SessionError && error.code === 'ERR_SESSION_STORE'
  return isTrouble && !isRefusal(error) && !refusedWrites.has(error)
}

/** Whether a write was rejected by an answer of the store, and is known not to be stored. */
export function wasRefused(error: unknown): boolean {
  return error instanceof Error && refusedWrites.has(error)
}

/** A copy of the error for one write: a store may reject several calls with the same object. */
function notApplied(error: unknown): unknown {
  if (!(error instanceof SessionError)) return error
  const { code, message, status, answered, stack } = error
  const copy = new SessionError(code, message, {
    ...('cause' in error && { cause: error.cause }),
    status,
    answered,
  })
  if (stack !== undefined) copy.stack = stack
  refusedWrites.add(copy)
  return copy
}

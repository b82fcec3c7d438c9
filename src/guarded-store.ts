import { SessionError } from './errors.ts'
import type { Events, StoreVerb } from './events.ts'
import { VERSION_LENGTH, type Entry, type Store, type Written } from './store.ts'

/**
 * A store whose failures are reported, wrapped in a `SessionError`, and settled where that is possible: when a write is
 * rejected its outcome is unknown, and the version in the stored payload tells whether it was applied.
 */
export class GuardedStore {
  readonly store: Store
  readonly #events: Events

  constructor(store: Store, events: Events) {
    this.store = store
    this.#events = events
  }

  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    return this.run('read', () => this.store.read(key, extendTo))
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.run('touch', () => this.store.touch(key, expiresAt))
  }

  /** As the store's, and settled. */
  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    const create = async (): Promise<Written | 'exists'> =>
      this.run('create', () => this.store.create(key, payload, expiresAt))
    try {
      return await create()
    } catch (error) {
      const stored = await this.#reread(key, error)
      if (stored !== undefined) return sameVersion(stored.payload, payload) ? { entry: stored } : 'exists'
      const again = await create()
      // The first attempt may have arrived late; what exists is ours then.
      return again === 'exists' ? this.#ours(key, payload, error) : again
    }
  }

  /** As the store's, and settled; rejects where somebody else's commit hides whether ours was applied before it. */
  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    const replace = async (): Promise<Written | 'conflict' | 'gone'> =>
      this.run('replace', () => this.store.replace(key, payload, expiresAt, base))
    try {
      return await replace()
    } catch (error) {
      const stored = await this.#reread(key, error)
      if (stored === undefined) return 'gone'
      if (sameVersion(stored.payload, payload)) return { entry: stored }
      if (!sameVersion(stored.payload, base.payload)) throw error
      const again = await replace()
      return again === 'conflict' ? this.#ours(key, payload, error) : again
    }
  }

  /** Unconditional without `base`. An unknown outcome stays a rejection: absence would not tell who ended the entry. */
  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.run('destroy', () => this.store.destroy(key, base))
  }

  /** Runs a verb; reports and wraps its failure. */
  async run<T>(verb: StoreVerb, call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (cause) {
      const error =
        cause instanceof SessionError
          ? cause
          : new SessionError('ERR_SESSION_STORE', `${this.store.traits.name}: ${verb} failed`, { cause })
      if (error.code === 'ERR_SESSION_STORE') this.#events.emit({ type: 'store-failed', verb, error })
      throw error
    }
  }

  /** What is stored after a write was rejected; rejects where that cannot be found out. */
  async #reread(key: string, error: unknown): Promise<Entry | undefined> {
    const unknown = error instanceof SessionError && error.code === 'ERR_SESSION_STORE'
    if (!unknown || this.store.traits.location === 'client') throw error
    return this.store.read(key).catch(() => {
      throw error
    })
  }

  async #ours(key: string, payload: string, error: unknown): Promise<Written> {
    const stored = await this.#reread(key, error)
    if (stored === undefined || !sameVersion(stored.payload, payload)) throw error
    return { entry: stored }
  }
}

/** Whether two payloads are the same commit. */
export function sameVersion(one: string, other: string): boolean {
  return one.slice(0, VERSION_LENGTH) === other.slice(0, VERSION_LENGTH)
}

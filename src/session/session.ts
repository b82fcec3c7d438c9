import { inspect } from 'node:util'
import type { Draft } from './draft.ts'
import { SessionError } from '../errors.ts'
import { maxAgeOf } from './expiry.ts'
import type { SessionValues } from './schema.ts'
import type { Committed, SessionState } from './state.ts'

/** @internal The manager's side of a session: what needs a store or a clock. */
export interface SessionOperations {
  id(state: SessionState): string
  expiresAt(state: SessionState): number
  setMaxAge(state: SessionState, maxAge: number | undefined): void
  regenerate(state: SessionState): void
  claim(state: SessionState, key: string): Promise<unknown>
  commit(state: SessionState): Promise<Committed>
  destroy(state: SessionState): Promise<void>
}

/** @internal A session with this state. `Session` has no public constructor: sessions come from the manager. */
export let createSession: <V extends SessionValues>(
  state: SessionState,
  operations: SessionOperations,
) => Session<V>

/** @internal The state behind a session, for the manager and the middleware. */
export let stateOf: <V extends SessionValues>(session: Session<V>) => SessionState

/** The keys of a session that holds `V`: those of its schema, or any text. */
export type SessionKey<V> = keyof V & string

/**
 * What a route holds as `ctx.session`: a snapshot of the stored session and a log of this request's changes, committed
 * by compare-and-swap before the response leaves.
 *
 * Values come back as what they were: numbers, dates, maps, instances of registered classes. An object that was read and
 * then changed in place counts as set. Nothing is stored for a session that nobody writes to.
 */
export class Session<V extends SessionValues = SessionValues> {
  readonly #state: SessionState
  readonly #operations: SessionOperations

  static {
    createSession = (state, operations) => new Session(state, operations)
    stateOf = (session) => session.#state
    // What console.log and a logger's error dump show of a session, and of everything that holds one.
    Object.defineProperty(Session.prototype, inspect.custom, { value: () => 'Session {}' })
  }

  private constructor(state: SessionState, operations: SessionOperations) {
    this.#state = state
    this.#operations = operations
  }

  /** The session ID, 256 random bits in base64url. After `regenerate()` the new one, and with `rotateAfter` another after some commits. Treat it like a password. */
  get id(): string {
    this.#refuseReadOnly()
    return this.#operations.id(this.#state)
  }

  /** Whether the session did not exist before this request. */
  get isNew(): boolean {
    return this.#state.isNew
  }

  /**
   * The store failed when this request began, and `onStoreError` is `'anonymous'`: the session looks empty, has no ID, and whatever
   * would change it throws `ERR_SESSION_STORE`. What is stored stays as it is, and so does the cookie.
   */
  get isReadOnly(): boolean {
    return this.#state.failure !== undefined
  }

  /** When the session began, in ms since the epoch; `regenerate()` does not change it. */
  get createdAt(): number {
    return this.#state.createdAt
  }

  /** When it ends unless it is used again, in ms since the epoch; never later than its absolute timeout. */
  get expiresAt(): number {
    return this.#operations.expiresAt(this.#state)
  }

  /**
   * How long this session and its cookie live after their last use, in ms, where that is not what the settings say:
   * "remember me". With the next commit the cookie gets this `Max-Age`, and again whenever the session is used; the idle
   * timeout becomes as long, if it is not longer anyway. It is kept with the session, through `regenerate()` too.
   * `undefined`, the default, goes back to the settings.
   *
   * The name is koa-session's.
   *
   * @throws SessionError `ERR_SESSION_OPTIONS` if it is longer than `absoluteTimeout` or 400 days
   */
  get maxAge(): number | undefined {
    return maxAgeOf(this.#state.draft)
  }

  set maxAge(ms: number | undefined) {
    this.#writable()
    this.#operations.setMaxAge(this.#state, ms)
  }

  /** How many keys it holds. */
  get size(): number {
    return this.#state.draft.keys().length
  }

  /**
   * The value under `key`, decoded on first use, or `undefined`. The same object every time within a request.
   *
   * @throws SessionError `ERR_SESSION_DECODE` if this program cannot decode what is stored: an unregistered or newer
   * class, or damage. The other keys work, and the stored text stays as it is.
   */
  get<K extends SessionKey<V>>(key: K): V[K] | undefined {
    // The schema was checked on the way in and on decode; without one V[K] is any.
    return this.#state.draft.get(key) as V[K] | undefined
  }

  /**
   * Stores `value` under `key` with the next commit.
   *
   * @throws SessionError `ERR_SESSION_VALUE`, with the path of the part that cannot be kept exactly
   */
  set<K extends SessionKey<V>>(key: K, value: V[K]): this {
    this.#writable().set(key, value)
    return this
  }

  /** Forgets `key`; tells whether it was there. Wins over what other requests do to the key meanwhile. */
  delete(key: SessionKey<V>): boolean {
    return this.#writable().delete(key)
  }

  /**
   * Changes the value under `key`, exactly: if another request commits in between, `change` runs again on its newer
   * value, so no increment is lost. It may return the new value, or change an object in place and return nothing. It
   * must be synchronous and do nothing else, since it may run more than once.
   *
   * @returns the value as this request sees it now
   */
  update<K extends SessionKey<V>>(
    key: K,
    change: (value: V[K] | undefined) => V[K] | void,
  ): V[K] | undefined {
    // As in `get`: the draft hands `change` what `get` would return.
    return this.#writable().update(key, change as (value: unknown) => unknown) as V[K] | undefined
  }

  /**
   * Reads and forgets, a flash message for instance. Two concurrent requests may both get it; `claim` is exact. Where
   * nobody may ever see the answer, to a prefetch or to `HEAD`, it only reads.
   */
  take<K extends SessionKey<V>>(key: K): V[K] | undefined {
    const draft = this.#writable()
    // As in `get`.
    return (this.#state.openOptions.unseen === true ? draft.get(key) : draft.take(key)) as V[K] | undefined
  }

  /**
   * Reads and forgets at once, for this request alone: of many concurrent ones exactly one gets the value, the others
   * `undefined`. For one-time tokens and OAuth state. Commits the removal immediately, and nothing else.
   */
  async claim<K extends SessionKey<V>>(key: K): Promise<V[K] | undefined> {
    this.#writable()
    // As in `get`.
    return (await this.#operations.claim(this.#state, key)) as V[K] | undefined
  }

  /** Whether `key` holds a value. Decodes nothing. */
  has(key: SessionKey<V>): boolean {
    return this.#state.draft.has(key)
  }

  /** The keys, as an iterator like that of `Map`. Decodes nothing. */
  *keys(): IterableIterator<SessionKey<V>> {
    for (const key of this.#state.draft.keys()) yield key
  }

  /** Pairs of key and value, each decoded when the iterator reaches it. */
  *entries(): IterableIterator<[SessionKey<V>, V[SessionKey<V>]]> {
    // The key is there, so what `get` returns is its value.
    for (const key of this.keys()) yield [key, this.get(key) as V[SessionKey<V>]]
  }

  [Symbol.iterator](): IterableIterator<[SessionKey<V>, V[SessionKey<V>]]> {
    return this.entries()
  }

  /** Forgets everything. A session that is still empty at commit is removed from the store. */
  clear(): void {
    this.#writable().clear()
  }

  /**
   * Gives the session a new ID at the next commit; the data stays, the old ID is dead from then on. Call it whenever
   * the user's rights change, at login above all. Requests that began under the old ID can no longer commit.
   */
  regenerate(): void {
    this.#writable()
    this.#operations.regenerate(this.#state)
  }

  /**
   * Ends the session now, in the store too: no concurrent request can bring it back. What is set on this object
   * afterwards begins a new session under a new ID.
   */
  async destroy(): Promise<void> {
    this.#refuseReadOnly()
    await this.#operations.destroy(this.#state)
  }

  /**
   * Stores the changes now instead of before the response: for streams and long work. `'gone'` if another request ended
   * the session meanwhile; then nothing was stored. Objects read before may have been replaced by a concurrent
   * request's: `get` them again.
   */
  async commit(): Promise<Committed> {
    return this.#operations.commit(this.#state)
  }

  /** Shows neither ID nor values. */
  toJSON(): { isNew: boolean } {
    return { isNew: this.isNew }
  }

  #writable(): Draft {
    this.#refuseReadOnly()
    if (this.#state.closed) {
      throw new SessionError(
        'ERR_SESSION_STATE',
        'the request is over, so this change would not be saved; open the session again with manager.open() and commit() it',
      )
    }
    return this.#state.draft
  }

  #refuseReadOnly(): void {
    const { failure: cause } = this.#state
    if (cause === undefined) return
    const text =
      'the store failed when this session was opened, so it is empty and read-only; ask isReadOnly first'
    throw new SessionError('ERR_SESSION_STORE', text, { cause })
  }
}

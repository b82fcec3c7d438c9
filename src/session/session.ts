import { inspect } from 'node:util'
import type { DeepReadonly } from './deep-readonly.ts'
import type { Draft } from './draft.ts'
import { SessionError } from '../errors.ts'
import { maxAgeOf } from './expiry.ts'
import {
  ANY_COPY,
  asyncUpdate,
  callbackGiven,
  fixedProperty,
  isThenable,
  notASession,
  notAwaited,
  promised,
  quote,
  regenerateCallback,
  unknownProperty,
  unseenClaim,
  warn,
  type MemberKind,
  type Use,
} from './misuse.ts'
import type { Owner } from './owners/owner.ts'
import { isOutdated, ownerIn, refreshed, type SessionOwner, type SignInOptions } from './owners/sign-in.ts'
import type { SessionValues } from './schema.ts'
import { isAnswer } from '../store.ts'
import type { Committed, SessionState } from './state.ts'
import type { SessionChange } from './watch.ts'

/** @internal The manager's side of a session: what needs a store or a clock. */
export interface SessionOperations {
  id(state: SessionState): string
  expiresAt(state: SessionState): number
  setMaxAge(state: SessionState, maxAge: number | undefined): void
  regenerate(state: SessionState): void
  signIn(state: SessionState, owner: string | Owner, options: SignInOptions): void
  confirm(state: SessionState, method: string): void
  isFresh(state: SessionState, ms: number, method: string | undefined): boolean
  watch(state: SessionState, signal: AbortSignal | undefined): AsyncGenerator<SessionChange, void, undefined>
  claim(state: SessionState, key: string): Promise<unknown>
  commit(state: SessionState): Promise<Committed>
  destroy(state: SessionState): Promise<boolean>
  reload(state: SessionState): Promise<Committed>
  discard(state: SessionState): void
}

/** @internal A session with this state. `Session` has no public constructor: sessions come from the manager. */
export let createSession: <V extends SessionValues>(
  state: SessionState,
  operations: SessionOperations,
) => Session<V>

/** @internal The state behind a session, for the manager and the middleware. */
export let stateOf: <V extends SessionValues>(session: Session<V>) => SessionState

/**
 * @internal The handlers of the request are done: changes throw from now on, and what was changed is stored. Rejects without that
 * if an operation that no handler has waited for was lost.
 */
export let commitRequest: <V extends SessionValues>(session: Session<V>) => Promise<unknown>

/** @internal The handlers have failed: changes throw from now on. Resolves when what they have begun is over. */
export let abandonRequest: <V extends SessionValues>(session: Session<V>) => Promise<void>

/** @internal Drops the changes that are not stored, and reads the session again. `'gone'` if it has ended. */
export let reloadSession: <V extends SessionValues>(session: Session<V>) => Promise<Committed>

/** @internal Drops the changes that are not stored. */
export let discardChanges: <V extends SessionValues>(session: Session<V>) => void

/** @internal Whether the request has changes that are not stored. */
export let isChanged: <V extends SessionValues>(session: Session<V>) => boolean

/**
 * @internal The text of a value as it is now.
 *
 * @throws SessionError `ERR_SESSION_VALUE` if it cannot be stored
 */
export let textOf: <V extends SessionValues>(session: Session<V>, key: string) => string | undefined

/** The property that leads from a session, as the program holds it, to the object behind it. Only this file has the symbol. */
const TARGET = Symbol('target')

/** What test runners, loggers and the language itself look for in any object: to read these names is no mistake. */
const PROBES: ReadonlySet<string> = new Set([
  'then',
  'inspect',
  'stack',
  'asymmetricMatch',
  '$$typeof',
  'nodeType',
  'tagName',
  '_isMockFunction',
  '__esModule',
])

/** The properties of every session. */
const members = new Map<PropertyKey, MemberKind>()

const asyncFunctions: unknown = Object.getPrototypeOf(async () => {})

/** A `claim`, `destroy` or `commit` that the program has called during a request. */
interface BegunOperation {
  readonly kind: 'claim' | 'destroy' | 'commit'
  readonly key: unknown
  readonly result: ObservedPromise<unknown>
}

/** The keys of a session that holds `V`: those of its schema, or any text. */
export type SessionKey<V> = keyof V & string

/**
 * What a route holds as `ctx.session`: a snapshot of the stored session and a log of this request's changes, committed
 * by compare-and-swap before the response leaves.
 *
 * Values come back as what they were: numbers, dates, maps, instances of registered classes. An object that was read and
 * then changed in place counts as set. Nothing is stored for a session that is not written to.
 */
export class Session<V extends SessionValues = SessionValues> {
  readonly #state: SessionState
  readonly #operations: SessionOperations
  /** What the program holds: this object behind {@link Session.#handler}. */
  readonly #proxy: this
  /** How many calls of `destroy()` are under way. */
  #ending: number
  /** The key of each `claim()` that is under way. */
  #claiming: unknown[] | undefined
  #begun: BegunOperation[] | undefined

  /** Makes a property that sessions do not have an error. One handler serves all sessions, so that none costs closures. */
  static readonly #handler: ProxyHandler<Session> = {
    get(session, property) {
      if (property === TARGET) return session
      const value: unknown = session[property as keyof Session] // any other property is `undefined`
      if (typeof value === 'function') return members.has(property) ? (value.bind(session) as unknown) : value
      if (value === undefined) session.#refuseUnknown(property, 'read')
      return value
    },
    has(session, property) {
      return Reflect.has(session, property) || session.#refuseUnknown(property, 'ask')
    },
    getOwnPropertyDescriptor(session, property) {
      const own = Reflect.getOwnPropertyDescriptor(session, property)
      if (own === undefined) session.#refuseUnknown(property, 'ask')
      return own
    },
    set(session, property, value) {
      if (typeof property === 'symbol') return Reflect.set(session, property, value)
      if (property !== 'maxAge') session.#refuseWrite(property, 'assign')
      session.maxAge = value as number | undefined // anything else is refused there
      return true
    },
    defineProperty(session, property, descriptor) {
      if (typeof property === 'string') session.#refuseWrite(property, 'assign')
      return Reflect.defineProperty(session, property, descriptor)
    },
    deleteProperty(session, property) {
      if (typeof property === 'string') session.#refuseWrite(property, 'delete')
      return Reflect.deleteProperty(session, property)
    },
  }

  static {
    const targetOf = <T extends SessionValues>(session: Session<T>): Session<T> => {
      const { [TARGET]: target }: { readonly [TARGET]?: Session<T> } = Object(session) // as the handler answers
      if (target !== undefined) return target
      throw notASession(session)
    }
    createSession = <T extends SessionValues>(state: SessionState, operations: SessionOperations) =>
      new Session<T>(state, operations).#proxy
    stateOf = (session) => targetOf(session).#state
    commitRequest = (session) => targetOf(session).#commitRequest()
    abandonRequest = (session) => targetOf(session).#abandonRequest()
    reloadSession = (session) => {
      const target = targetOf(session)
      return target.#operations.reload(target.#state)
    }
    discardChanges = (session) => {
      const target = targetOf(session)
      target.#operations.discard(target.#state)
    }
    isChanged = (session) => {
      const { draft, nextId } = targetOf(session).#state
      return nextId !== undefined || draft.isChanged
    }
    textOf = (session, key) => {
      const { draft } = targetOf(session).#state
      const change = draft.keyChanges.get(key)
      return change === undefined ? draft.base.line(key) : draft.textOf(key, change)
    }
    // What console.log and a logger's error dump show of a session, and of everything that holds one.
    Object.defineProperty(Session.prototype, inspect.custom, { value: () => 'Session {}' })
    for (const name of Reflect.ownKeys(Session.prototype)) {
      if (name === 'constructor') continue
      const isMethod = Object.getOwnPropertyDescriptor(Session.prototype, name)?.value !== undefined
      members.set(name, isMethod ? 'method' : 'value')
    }
    Object.defineProperty(Session.prototype, ANY_COPY, { value: true })
  }

  private constructor(state: SessionState, operations: SessionOperations) {
    this.#state = state
    this.#operations = operations
    this.#proxy = new Proxy(this, Session.#handler as ProxyHandler<this>) // it reads no values
    this.#ending = 0
    this.#claiming = undefined
    this.#begun = undefined
  }

  /** The session ID, 256 random bits in base64url. After `regenerate()` the new one, and with `rotateAfter` another after some commits. Treat it like a password. */
  get id(): string {
    if (this.isReadOnly && this.#state.closed) return '' // for error listeners, as in `get`
    if (this.isReadOnly) throw readOnly(this.#state.failure)
    return this.#operations.id(this.#state)
  }

  /**
   * The session's public name, 128 random bits in base64url: for logs, lists of devices and operators. It opens nothing. It is kept
   * with the session, through `regenerate()` and rotation too; the session that begins after a `destroy()` has another one.
   * Events carry it.
   */
  get handle(): string {
    if (this.isReadOnly && this.#state.closed) return '' // as in `id`
    if (this.isReadOnly) throw readOnly(this.#state.failure)
    return this.#state.handle
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
   * "remember me". With the next commit the cookie gets this `Max-Age`, and again whenever the session is used. It takes the place
   * of `idleTimeout` for this session, whether it is longer or shorter: the server ends the session when it was not used for that
   * time, whatever its cookie says. If it is shorter, the session is written again once in each tenth of it that it is used. It is
   * kept with the session, through `regenerate()` too. `undefined`, the default, goes back to the settings.
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
   * class, or damage. The other keys work, and the stored text stays as it is. Once the request is over it returns `undefined`
   * instead, with a process warning, so that an error listener may read the session.
   */
  get<K extends SessionKey<V>>(key: K): V[K] | undefined {
    const { draft, closed } = this.#state
    // The schema was checked on the way in and on decode; without one V[K] is any.
    return (closed ? readLate(draft, key) : draft.get(key)) as V[K] | undefined
  }

  /**
   * The value under `key`, to be read only: what {@link get} returns costs the commit a comparison with what is stored, since the
   * program may have changed it in place, and this does not. The plain objects, arrays and instances in it are frozen, so a change
   * throws a `TypeError` (outside of strict mode an assignment has no effect). A changed date, Map, Set or Buffer makes the commit
   * throw `ERR_SESSION_STATE`. It is the same object every time within a request, and another one than `get` returns; but after a
   * `get`, `set` or `update` of the key it is that value, not frozen. For concurrent requests it counts as reading.
   *
   * @throws SessionError `ERR_SESSION_DECODE`, as {@link get}
   */
  peek<K extends SessionKey<V>>(key: K): DeepReadonly<V[K]> | undefined {
    const { draft, closed } = this.#state
    return (closed ? readLate(draft, key) : draft.peek(key)) as DeepReadonly<V[K]> | undefined // as in `get`
  }

  /**
   * Stores `value` under `key` with the next commit. If the request has not read the key before, the value wins over what other
   * requests have done to it meanwhile. If it has, and another request has changed the key since, the commit is refused with
   * `ERR_SESSION_CONFLICT`, unless a `merge` is declared: use {@link update} for a value that depends on the one before.
   *
   * @throws SessionError `ERR_SESSION_VALUE`, with the path of the part that cannot be kept exactly
   */
  set<K extends SessionKey<V>>(key: K, value: V[K]): this {
    const draft = this.#writable(key)
    try {
      draft.set(key, value)
    } catch (error) {
      throw isThenable(value) ? promised(this.#name, key, value) : error
    }
    return this.#proxy
  }

  /**
   * Deletes `key` with the next commit, whatever other requests have set meanwhile; if this request has read the key before, and
   * another one has changed it since, the commit is refused instead.
   *
   * @returns whether the key was there
   */
  delete(key: SessionKey<V>): boolean {
    return this.#writable(key).delete(key)
  }

  /**
   * Changes the value under `key`, exactly: if another request commits in between, `change` runs again on the newer value, or on
   * `undefined` if the key was deleted, so no increment is lost. It may return the new value, or change an object in place
   * and return nothing. It must be synchronous and do nothing else, since it may run more than once.
   *
   * @returns the value as this request sees it now
   */
  update<K extends SessionKey<V>>(
    key: K,
    change: (value: V[K] | undefined) => V[K] | void,
  ): V[K] | undefined {
    const draft = this.#writable(key)
    if (Object.getPrototypeOf(change) === asyncFunctions) throw asyncUpdate(this.#name, key)
    const updater = (value: unknown): unknown => {
      const result: unknown = change(value as V[K] | undefined) // as in `get`: it is what `get` would return
      if (isThenable(result)) throw asyncUpdate(this.#name, key, result)
      return result
    }
    return draft.update(key, updater) as V[K] | undefined // as in `get`
  }

  /**
   * Reads and forgets, a flash message for instance. Only the value that was handed out is forgotten: one that another request
   * sets meanwhile stays. Two concurrent requests may both get the same value; `claim` is exact. Where the user may never see
   * the response, as with a prefetch or `HEAD`, it only reads.
   */
  take<K extends SessionKey<V>>(key: K): V[K] | undefined {
    const draft = this.#writable(key)
    // As in `get`.
    return (this.#state.openOptions.unseen === true ? draft.get(key) : draft.take(key)) as V[K] | undefined
  }

  /**
   * Reads and forgets at once, for this request alone: of many concurrent ones exactly one gets the value, the others
   * `undefined`. For one-time tokens and OAuth state. Commits the removal immediately, and nothing else.
   */
  claim<K extends SessionKey<V>>(key: K): Promise<V[K] | undefined> {
    return this.#begin('claim', this.#claim(key), key) as Promise<V[K] | undefined> // as in `get`
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
   * Gives the session a new ID at the next commit; the data stays, and the old ID opens nothing from then on. Call it whenever
   * the user's rights change, at log-in above all. Requests that began under the old ID are refused with
   * `ERR_SESSION_CONFLICT` when they commit, and so is the second of two that regenerate at the same time.
   */
  regenerate(callback?: never): void {
    if (typeof callback === 'function') throw regenerateCallback(this.#name)
    this.#writable()
    this.#operations.regenerate(this.#state)
  }

  /**
   * Makes the session that of `owner` at the next commit, under a new ID: see {@link regenerate}. From then on it is in the list
   * of `manager.sessionsOf(owner)`, which can end it.
   *
   * ```ts
   * const since = await manager.sessionsOf(user.id).since() // before the password is looked at
   * if (await verify(user, password)) ctx.session.signIn(user.id, { since, label: 'Firefox on Windows' })
   * ```
   *
   * The commit throws `ERR_SESSION_CONFLICT` if all sessions of the owner were ended since `since`, and `ERR_SESSION_LIMIT` with
   * status 409 if there are too many and `owners.whenFull` is `'refuse'`. If the anonymous session is ended meanwhile, a new one
   * begins with its owner and nothing else.
   *
   * @throws SessionError `ERR_SESSION_STATE` if the session belongs to another owner
   */
  signIn(owner: string | Owner, options: SignInOptions = {}): void {
    this.#writable()
    this.#operations.signIn(this.#state, owner, options)
  }

  /** Whom the session belongs to, after {@link signIn}. */
  get owner(): SessionOwner | undefined {
    const { draft, isNewDevice } = this.#state
    const owner = ownerIn(draft.attributes)
    return owner && isNewDevice !== undefined ? { ...owner, isNewDevice } : owner
  }

  /**
   * The owner has proven once more who it is, by `method`, such as `'otp'`: for {@link isFresh}. Gives the session a new ID, as
   * {@link regenerate} does.
   */
  confirm(method: string): void {
    this.#writable()
    this.#operations.confirm(this.#state, method)
  }

  /**
   * Tells what happens to this session, for a WebSocket or a stream that lives longer than its request: yields `'changed'` when
   * a request has stored changes or has given it a new ID, and `'ended'` as the last. What happens in this process is told at
   * once, and what others do within `owners.verifyEvery`.
   *
   * ```ts
   * const session = await sessions.open(request)
   * const closed = new AbortController()
   * socket.once('close', () => closed.abort())
   * for await (const change of session.watch(closed.signal)) if (change === 'ended') socket.close(4401)
   * ```
   *
   * @param signal ends the iteration
   * @throws SessionError `ERR_SESSION_STATE` if the session is not stored
   */
  watch(signal?: AbortSignal): AsyncGenerator<SessionChange, void, undefined> {
    return this.#operations.watch(this.#state, signal)
  }

  /** Whether the owner has proven who it is in the last `ms`, by `method` or by any: ask before something dangerous is done. */
  isFresh(ms: number, method?: string): boolean {
    return this.#operations.isFresh(this.#state, ms, method)
  }

  /** Whether the owner's rights have changed, by `sessionsOf(owner).refresh()`, since this session was told so last. */
  get isOutdated(): boolean {
    return isOutdated(this.#state.draft.attributes)
  }

  /** The program has read the owner's rights again: {@link isOutdated} is `false` from the next commit on. */
  refreshed(): void {
    refreshed(this.#writable().attributes)
  }

  /**
   * Ends the session now, in the store too: no concurrent request can bring it back. What is set on this object
   * afterwards begins a new session under a new ID.
   *
   * @returns whether there was a stored session to end
   */
  destroy(callback?: never): Promise<boolean> {
    if (typeof callback === 'function') throw callbackGiven(this.#name, 'destroy')
    return this.#begin('destroy', this.#destroy())
  }

  /**
   * Stores the changes now instead of before the response: for streams and long work. `'gone'` if another request ended
   * the session meanwhile; then nothing was stored. Objects read before may have been replaced by a concurrent
   * request's: `get` them again.
   *
   * @throws SessionError `ERR_SESSION_CONFLICT` if a change cannot be stored beside another request's: see
   *   `docs/concurrency.md`. Nothing was stored then. `ERR_SESSION_STORE` if the store failed.
   */
  commit(callback?: never): Promise<Committed> {
    if (typeof callback === 'function') throw callbackGiven(this.#name, 'commit')
    return this.#begin('commit', this.#operations.commit(this.#state))
  }

  /** Shows neither ID nor values. */
  toJSON(): { isNew: boolean } {
    return { isNew: this.isNew }
  }

  /** The session as the program writes it, for messages. */
  get #name(): string {
    return this.#state.openOptions.expression ?? 'session'
  }

  async #claim(key: string): Promise<unknown> {
    this.#writable(key)
    const claiming = (this.#claiming ??= [])
    claiming.push(key)
    try {
      return await this.#operations.claim(this.#state, key)
    } finally {
      claiming.splice(claiming.indexOf(key), 1)
    }
  }

  async #destroy(): Promise<boolean> {
    if (this.isReadOnly) throw readOnly(this.#state.failure)
    this.#ending += 1
    try {
      return await this.#operations.destroy(this.#state)
    } finally {
      this.#ending -= 1
    }
  }

  /** Within a request, {@link commitRequest} looks after the operation; elsewhere nothing would, so it is a plain promise. */
  #begin<T>(kind: BegunOperation['kind'], operation: Promise<T>, key?: string): Promise<T> {
    const { response, closed } = this.#state
    if (response === undefined || closed) return operation
    const result = ObservedPromise.of(operation)
    const begun = (this.#begun ??= [])
    begun.push({ kind, key, result })
    return result
  }

  #commitRequest(): Promise<unknown> {
    this.#state.close()
    if (this.#begun === undefined) return this.#operations.commit(this.#state)
    return this.#awaitBegun(this.#begun).then(async () => this.#operations.commit(this.#state))
  }

  async #abandonRequest(): Promise<void> {
    this.#state.close()
    if (this.#begun !== undefined) await this.#awaitBegun(this.#begun).catch(() => {}) // the response is an error already
  }

  async #awaitBegun(begun: readonly BegunOperation[]): Promise<void> {
    for (const { kind, key, result } of begun) {
      if (result.isObserved && result.isSettled) continue
      // oxlint-disable-next-line no-await-in-loop -- the session runs them one after another
      const failure = await result.failure
      if (kind === 'claim' && !result.isObserved) throw unseenClaim(this.#name, key, failure?.error)
      // What a `commit()` has not stored, the commit at the end stores, or it fails.
      if (failure !== undefined && kind !== 'commit') throw failure.error
    }
  }

  /** @param key the key that is changed, if it is one */
  #writable(key?: unknown): Draft {
    const { failure, closed } = this.#state
    if (failure !== undefined) throw readOnly(failure)
    if (closed) {
      throw new SessionError(
        'ERR_SESSION_STATE',
        'the request is over, so this change would not be saved: await what the handler starts, or open the session again with manager.open() and commit() it',
      )
    }
    if (this.#ending > 0) throw notAwaited(this.#name, 'destroy()')
    if (key !== undefined && this.#claiming?.includes(key) === true)
      throw notAwaited(this.#name, `claim(${quote(key)})`)
    return this.#state.draft
  }

  /** Returns `false` for what may be looked for in any object. */
  #refuseUnknown(property: string | symbol, use: Use): false {
    if (typeof property === 'symbol' || property in this) return false
    if (PROBES.has(property) || property.startsWith('@@')) return false // `@@__IMMUTABLE_…`
    if (property === 'length' && use === 'ask') return false // AVA asks whether it is like an array
    const error = unknownProperty(this.#name, property, use, members)
    // An exception in an error listener of Koa, which runs after the request, would end the process.
    if (!this.#state.closed) throw error
    warn(error)
    return false
  }

  #refuseWrite(property: string, use: 'assign' | 'delete'): never {
    const kind = members.get(property)
    throw kind === undefined
      ? unknownProperty(this.#name, property, use, members)
      : fixedProperty(this.#name, property, kind, use)
  }
}

/** An ID or a change is asked of a session that could not be opened. */
function readOnly(cause: unknown): SessionError {
  const text =
    'the store failed when this session was opened, so it is empty and read-only; ask isReadOnly first'
  return new SessionError('ERR_SESSION_STORE', text, { cause, answered: isAnswer(cause) })
}

/** The value that an error listener reads once the request is over, where an exception would end the process. */
function readLate(draft: Draft, key: string): unknown {
  try {
    return draft.get(key)
  } catch (error) {
    if (error instanceof SessionError) warn(error)
    return undefined
  }
}

/** A promise that knows whether its result was asked for, by `await` or a method. Its failure may be left unhandled. */
class ObservedPromise<T> extends Promise<T> {
  isObserved = false
  isSettled = false
  /** Resolves when it is settled; `undefined` for success. */
  failure: Promise<{ readonly error: unknown } | undefined> = Promise.resolve(undefined)

  static of<T>(operation: Promise<T>): ObservedPromise<T> {
    const observed = new ObservedPromise<T>((resolve) => resolve(operation))
    observed.failure = observed.#outcome()
    return observed
  }

  /** Promises made from it are ordinary ones. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise
  override then<R = T, E = never>(
    onFulfilled?: ((value: T) => R | PromiseLike<R>) | null,
    onRejected?: ((reason: unknown) => E | PromiseLike<E>) | null,
  ): Promise<R | E> {
    this.isObserved = true
    return super.then(onFulfilled, onRejected)
  }

  #outcome(): Promise<{ readonly error: unknown } | undefined> {
    const settle = (failure?: { readonly error: unknown }): typeof failure => {
      this.isSettled = true
      return failure
    }
    return super.then(
      () => settle(),
      (error: unknown) => settle({ error }),
    )
  }
}

import { StoreCalls } from './backend/store-calls.ts'
import { startDeadline, type Deadline } from '../stores/shared/deadlines.ts'
import { SessionError } from '../errors.ts'
import { GuardedStore } from './backend/guarded-store.ts'
import { checkHealth, type Health } from './backend/health.ts'
import type { OldCredential } from './adopt/importer.ts'
import { checkOpening } from './check-options.ts'
import { isId } from './id.ts'
import { Loader } from './loader.ts'
import type { ManagerOptions, OpenOptions } from './options.ts'
import type { ManagerSettings } from './options.ts'
import { resolveOptions } from './resolve-options.ts'
import type { Schema, ValuesOf } from './schema.ts'
import { Destroyer } from './commit/destroy.ts'
import { Operations } from './operations.ts'
import { OwnerListing } from './owners/owner-listing.ts'
import { OwnerRecords } from './owners/owner-records.ts'
import { checkForgetting, OwnerStore } from './owners/owner-store.ts'
import { OwnerSessions } from './owners/owner-sessions.ts'
import { ownerOf, type Owner } from './owners/owner.ts'
import { createState, type Committed, type SessionState } from './state.ts'
import { createSession, stateOf, type Session } from './session.ts'
import { tracedOperation, traces, type ManagerStatus } from './tracing.ts'
import { isCounting, isSweeping, type Store, type StoreTraits } from '../store.ts'
import { Sweeper } from './backend/sweeper.ts'

/**
 * Sessions without HTTP, for WebSockets, jobs and tests: beego's `Manager`. The middleware is a thin layer on top of it.
 *
 * ```ts
 * const manager = new SessionManager({ provider: 'file', providerConfig: './sessions' })
 * const session = await manager.open(id)
 * session.update('runs', (n = 0) => n + 1)
 * await manager.commit(session)
 * ```
 */
export class SessionManager<S extends Schema | undefined = undefined> {
  readonly #settings: ManagerSettings
  readonly #calls: StoreCalls
  readonly #store: GuardedStore
  #closing: Promise<void> | undefined
  readonly #loader: Loader
  readonly #sweeper: Sweeper
  readonly #destroyer: Destroyer
  readonly #operations: Operations
  readonly #owners: OwnerRecords
  readonly #ownerStore: OwnerStore | undefined
  readonly #listing: OwnerListing

  constructor(options?: ManagerOptions<S>)
  /** @internal `carrier` is for a `'client'` store: the name of the cookie or header that carries its sessions. */
  constructor(options: ManagerOptions<S> | undefined, carrier: string | undefined)
  constructor(options: ManagerOptions<S> = {}, carrier?: string) {
    const settings = resolveOptions(options, carrier)
    this.#settings = settings
    this.#calls = new StoreCalls(settings)
    this.#store = new GuardedStore(settings, this.#calls)
    settings.events.ofManager(this.#store.status)
    const { store: ownerStore } = settings.owners
    this.#ownerStore = ownerStore && new OwnerStore(settings, ownerStore)
    this.#owners = new OwnerRecords(settings, this.#store, this.#ownerStore?.guarded)
    this.#destroyer = new Destroyer(settings, this.#store, this.#owners)
    this.#loader = new Loader(settings, this.#store, this.#destroyer)
    this.#sweeper = new Sweeper(this.#store, settings.events, settings.sweepInterval)
    const sweeps = isSweeping(settings.store) || (ownerStore !== undefined && isSweeping(ownerStore))
    const onStored = sweeps ? () => this.#startSweeps() : undefined
    this.#listing = new OwnerListing(settings, this.#owners)
    this.#operations = new Operations(
      settings,
      this.#store,
      this.#loader,
      this.#destroyer,
      onStored,
      this.#listing,
    )
  }

  /** What the store of this manager can do. */
  get traits(): StoreTraits {
    return this.#settings.store.traits
  }

  /** @internal The store, sealed where the options say so. */
  get store(): Store {
    return this.#settings.store
  }

  /** @internal What is told of this manager beside its events. */
  get status(): ManagerStatus {
    return this.#store.status
  }

  /** The stored session with this ID, or a new one with another ID if there is none: an unknown ID is never adopted. */
  async open(id?: string, options: OpenOptions = {}): Promise<Session<ValuesOf<S>>> {
    return (await this.find(id, options)) ?? this.begin(options)
  }

  /** A new session. Nothing is stored until it is committed with a value in it. */
  begin(options: OpenOptions = {}): Session<ValuesOf<S>> {
    checkOpening(undefined, options)
    const now = this.#settings.now()
    return createSession(createState(options, now, now, this.#operations.draft()), this.#operations)
  }

  /**
   * The stored session with this ID or {@link credential}, or `undefined`. It takes one round trip, which also extends the
   * session's life where the store can do both at once, unless `options.passive` is set. Text that cannot be an ID takes none.
   *
   * @throws SessionError `ERR_SESSION_STORE` if the store fails
   */
  find(id: string | undefined, options?: OpenOptions): Promise<Session<ValuesOf<S>> | undefined>
  /** @internal `deadline` is that of the first ID, where several are tried in turn. */
  find(
    id: string | undefined,
    options: OpenOptions,
    deadline: Deadline | undefined,
  ): Promise<Session<ValuesOf<S>> | undefined>
  async find(
    id: string | undefined,
    options: OpenOptions = {},
    deadline: Deadline = this.openDeadline(),
  ): Promise<Session<ValuesOf<S>> | undefined> {
    checkOpening(id, options)
    const { idPrefix } = this.#settings
    const onClient = this.traits.location === 'client'
    if (id === undefined || !(onClient || isId(id, idPrefix))) return undefined
    if (!traces.open.hasSubscribers) return this.#find(id, onClient, options, deadline)
    const traced = tracedOperation(this.#store.status)
    return traces.open.tracePromise(async () => {
      const session = await this.#find(id, onClient, options, deadline)
      traced.outcome = session === undefined ? 'unknown' : 'found'
      if (session === undefined) return undefined
      const { handle, entry } = stateOf(session)
      traced.handle = handle
      if (entry !== undefined) traced.bytes = entry.payload.length
      return session
    }, traced)
  }

  async #find(
    id: string,
    onClient: boolean,
    options: OpenOptions,
    deadline: Deadline,
  ): Promise<Session<ValuesOf<S>> | undefined> {
    const { events, now } = this.#settings
    const openedAt = now()
    const found = await this.#loader.find(id, openedAt, options, deadline)
    if (found === undefined) return undefined
    const { key, entry, document, isRedirected, passedKeys } = found
    // A session from the future was begun by a wrong clock, and must not live until then.
    const createdAt = Math.min(document.header.createdAt, openedAt)
    const origin = {
      id: onClient ? entry.key : id,
      key: entry.key ?? key,
      entry,
      credential: onClient ? id : undefined,
      isRedirected,
      passedKeys,
    }
    const state = createState(options, createdAt, openedAt, this.#operations.draft(document), origin)
    if (events.heard) {
      const { handle } = state
      events.emit({ type: 'loaded', handle, bytes: entry.payload.length, durationMs: now() - openedAt })
    }
    const verification = this.#listing.verify(state, deadline)
    if (verification !== undefined) {
      if (this.#listing.verifyEvery === 0) {
        if (!(await verification)) return this.#unlisted(state, deadline)
      } else {
        verification.catch(() => {}) // the commit tells
        state.verifiedBy(verification)
      }
    }
    return createSession(state, this.#operations)
  }

  /** A session that its owner's record does not list is ended. */
  async #unlisted({ storedKey, entry, handle }: SessionState, deadline: Deadline): Promise<undefined> {
    const { events, now, absoluteTimeout } = this.#settings
    await this.#destroyer.end(storedKey, entry, deadline, now() + absoluteTimeout)
    events.emit({ type: 'unlisted', handle })
    return undefined
  }

  /**
   * @internal The session that a session of another library was taken over as, or is now.
   *
   * @throws SessionError `ERR_SESSION_STORE` if one of the two stores fails
   */
  async adopt(
    old: OldCredential,
    options: OpenOptions,
    deadline: Deadline,
  ): Promise<Session<ValuesOf<S>> | undefined> {
    const id = await this.#operations.takeOver.idOf(old, deadline)
    return id === undefined ? undefined : this.find(id, options, deadline)
  }

  /** @internal By when an opening that begins now must be over. */
  openDeadline(): Deadline {
    return startDeadline('openTimeout', this.#settings.openTimeout)
  }

  /** Stores the changes made to `session`, as its own `commit()` does. */
  async commit(session: Session<ValuesOf<S>>): Promise<Committed> {
    return this.#operations.commit(stateOf(session))
  }

  /**
   * What the client must present to get this session again: its ID, or what a store on the client made of it at the last
   * commit. The middleware sends it by itself.
   */
  credential(session: Session<ValuesOf<S>>): string {
    return stateOf(session).credential ?? session.id
  }

  /** Gives the session a new ID now: `regenerate()` and a commit in one. */
  async regenerate(session: Session<ValuesOf<S>>): Promise<Committed> {
    session.regenerate()
    return this.#operations.commit(stateOf(session))
  }

  /**
   * Ends a session, given itself or its ID. It is final in every store that is revocable. A store that keeps neither
   * sessions nor a list of ended ones cannot end one by its ID, and throws `ERR_SESSION_STATE`.
   *
   * @returns whether there was a session to end
   */
  async destroy(session: Session<ValuesOf<S>> | string): Promise<boolean> {
    if (typeof session !== 'string') return session.destroy()
    return this.#destroyer.endById(session)
  }

  /**
   * The sessions of an owner, who has signed in to them by `session.signIn`: a user's ID, or an ID and its tenant.
   *
   * @throws SessionError `ERR_SESSION_VALUE` if it is neither
   */
  sessionsOf(owner: string | Owner): OwnerSessions {
    checkForgetting(this.#settings)
    return new OwnerSessions(ownerOf(owner), this.#settings, this.#owners)
  }

  /**
   * How many sessions the store holds (beego's `SessionAll`). Records that the library keeps beside them count as well: one for
   * each ID that was given up lately, one for each owner, and one for each session that was taken over from another library.
   */
  async count(): Promise<number> {
    const { store } = this.#store
    if (!isCounting(store)) {
      throw new SessionError(
        'ERR_SESSION_STATE',
        `${store.traits.name}: this store cannot count its sessions`,
      )
    }
    return this.#calls.run('count', async () => store.count())
  }

  /** Removes expired sessions where the backend does not do so by itself, and returns how many. */
  async sweep(): Promise<number> {
    const [sessions, records = 0] = await Promise.all([this.#sweeper.sweep(), this.#ownerStore?.sweep()])
    return sessions + records
  }

  #startSweeps(): void {
    this.#sweeper.start()
    this.#ownerStore?.start()
  }

  /** Connects to the store now, and rejects if that fails. Without it the first request connects. */
  async ready(): Promise<void> {
    const { store } = this.#settings
    const deadline = this.openDeadline()
    await Promise.all([
      this.#calls.run('open', async () => store.open?.(), deadline),
      this.#ownerStore?.open(deadline),
    ])
  }

  /** The state of the store, for a readiness probe: reads from it and waits at most `timeout` ms. Never rejects. */
  async health(timeout: number = 1_000): Promise<Health> {
    return checkHealth(this.#settings, this.#calls, timeout)
  }

  /**
   * Waits for the operations under way, for at most `commitTimeout` ms, and refuses new ones; then stops the timers and closes
   * the store, which closes what it opened itself. Calling it again does nothing.
   */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { store, commitTimeout } = this.#settings
    this.#calls.close()
    this.#ownerStore?.refuse()
    this.#operations.takeOver.close()
    await this.#operations.idle()
    const patience = (): Deadline => startDeadline('commitTimeout', commitTimeout)
    await this.#calls.queue(this.#sweeper.close(), patience()).catch(() => {}) // a batch that hangs must not keep the store open
    const closing = [this.#calls.run('close', async () => store.close(), patience())]
    if (this.#ownerStore !== undefined) closing.push(this.#ownerStore.close(patience))
    const failed = (await Promise.allSettled(closing)).find((each) => each.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
}

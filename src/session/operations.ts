import { Document } from '../codec/document/document.ts'
import { SessionError } from '../errors.ts'
import { ValueCodec } from '../codec/value/value-codec.ts'
import { startDeadline } from '../stores/shared/deadlines.ts'
import type { GuardedStore } from './backend/guarded-store.ts'
import { TakeOver } from './adopt/take-over.ts'
import { Committer } from './commit/committer.ts'
import type { Destroyer, EndedSession } from './commit/destroy.ts'
import { Draft, type DraftSettings } from './draft.ts'
import { absoluteEnd, expiresAt, setMaxAge, storedEnd } from './expiry.ts'
import { createId } from './id.ts'
import type { Loader } from './loader.ts'
import { isSameOwner, ownerOf, type Owner } from './owners/owner.ts'
import { checkForgetting } from './owners/owner-store.ts'
import type { OwnerListing } from './owners/owner-listing.ts'
import {
  bind,
  checkSignIn,
  isProven,
  ownerIn,
  prove,
  signedInAlready,
  type SignInOptions,
} from './owners/sign-in.ts'
import type { SessionOperations } from './session.ts'
import type { ManagerSettings } from './options.ts'
import type { Committed, SessionState } from './state.ts'
import { tracedOperation, traces, type OperationChannel } from './tracing.ts'
import { watch, type SessionChange } from './watch.ts'

const noDocument = Document.empty({ version: '', createdAt: 0, attributes: new Map() })

/** What a session asks of its manager: everything that needs a store or a clock. */
export class Operations implements SessionOperations {
  readonly takeOver: TakeOver
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #loader: Loader
  readonly #committer: Committer
  readonly #destroyer: Destroyer
  readonly #draftSettings: DraftSettings
  readonly #onStored: (() => void) | undefined
  /** How many operations are under way. */
  #running = 0
  #onIdle: (() => void) | undefined

  /** @param onStored called when a session is stored, whose expiry needs a sweep */
  constructor(
    settings: ManagerSettings,
    store: GuardedStore,
    loader: Loader,
    destroyer: Destroyer,
    onStored: (() => void) | undefined,
    listing: OwnerListing,
  ) {
    this.#settings = settings
    this.#store = store
    this.#loader = loader
    this.#committer = new Committer(settings, store, destroyer, listing)
    this.#destroyer = destroyer
    this.#draftSettings = {
      codec: new ValueCodec(settings.registry, settings.limits),
      limits: settings.limits,
      schema: settings.schema,
      rules: settings.rules,
      decodeFailed: (error, handle) =>
        settings.events.emit({ type: 'decode-failed', handle, scope: 'key', error }),
      heard: () => settings.events.heard,
    }
    this.#onStored = onStored
    this.takeOver = new TakeOver(settings, store, destroyer, () => this.draft())
  }

  /** A draft without changes, on a stored document. */
  draft(document: Document = noDocument): Draft {
    return new Draft(document, this.#draftSettings)
  }

  /** Resolves when no operation is under way; at the latest by the last one's deadline. */
  async idle(): Promise<void> {
    if (this.#running === 0) return
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
  }

  id(state: SessionState): string {
    state.idRead()
    if (state.nextId !== undefined) return state.nextId
    if (state.id === undefined) state.assignId(createId(this.#settings.idPrefix))
    // It was assigned in the line above.
    return state.id as string
  }

  expiresAt(state: SessionState): number {
    return Math.min(storedEnd(state), expiresAt(state, this.#settings))
  }

  setMaxAge(state: SessionState, maxAge: number | undefined): void {
    setMaxAge(state, maxAge, this.#settings)
  }

  regenerate(state: SessionState): void {
    state.regenerate(createId(this.#settings.idPrefix))
  }

  signIn(state: SessionState, owner: string | Owner, options: SignInOptions): void {
    const { owners, now } = this.#settings
    const { since, label, device, by = 'password', max = owners.max } = options
    checkForgetting(this.#settings)
    const next = ownerOf(owner)
    const { attributes } = state.draft
    const before = ownerIn(attributes)
    if (before !== undefined && !isSameOwner(before, next)) throw signedInAlready()
    checkSignIn(options)
    bind(attributes, next, by, now())
    state.signsIn({ owner: next, since, label, device, max, whenFull: owners.whenFull })
    this.regenerate(state)
  }

  confirm(state: SessionState, method: string): void {
    prove(state.draft.attributes, method, this.#settings.now())
    this.regenerate(state)
  }

  watch(
    state: SessionState,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<SessionChange, void, undefined> {
    if (state.status !== 'stored') throw notStored()
    return watch(state, this.#settings, this.#store, signal)
  }

  isFresh(state: SessionState, ms: number, method: string | undefined): boolean {
    return isProven(state.draft.attributes, ms, method, this.#settings.now())
  }

  async commit(state: SessionState): Promise<Committed> {
    const outcome = this.#committer.isIdle(state)
      ? 'ok'
      : await this.#run(state, () => this.#committer.commit(state), traces.commit)
    if (this.#onStored !== undefined && state.status === 'stored') this.#onStored()
    if (outcome === 'ok') state.response?.update()
    return outcome
  }

  async claim(state: SessionState, key: string): Promise<unknown> {
    const value = await this.#run(state, () => this.#committer.claim(state, key), traces.commit)
    state.response?.update()
    return value
  }

  async destroy(state: SessionState): Promise<boolean> {
    const hasEnded = await this.#run(state, () => this.#destroy(state), traces.destroy)
    state.response?.update()
    return hasEnded
  }

  async reload(state: SessionState): Promise<Committed> {
    const { now } = this.#settings
    return this.#run(state, async () => {
      const id = state.credential ?? state.id
      if (state.status === 'gone' || id === undefined) return 'gone'
      const found = await this.#loader.find(id, now(), state.openOptions, state.deadline)
      if (found === undefined) return state.lost()
      state.reloaded(found.entry.key ?? found.key, found.entry, this.draft(found.document), found)
      return 'ok'
    })
  }

  discard(state: SessionState): void {
    state.discarded(this.draft(state.status === 'new' ? undefined : state.draft.base))
  }

  async #destroy(state: SessionState): Promise<boolean> {
    const { events, now } = this.#settings
    const { handle } = state
    const mayBeStored = state.status === 'stored' || state.unsettled !== undefined
    // A logout also ends a record that only another version of the program may be able to read.
    const key = mayBeStored ? state.key : this.#loader.endableKey(state.openOptions)
    let ended: EndedSession | undefined
    if (key !== undefined) {
      const until = absoluteEnd(state, this.#settings)
      // A create that may still arrive finds the key taken.
      const mayArrive = state.unsettled !== undefined && state.unsettled.base === undefined
      if (mayArrive) await this.#destroyer.occupy(key, state.deadline)
      ended = await this.#destroyer.logOut(key, state.entry, state.deadline, until)
      if (ended === undefined && mayBeStored) this.#committer.refuseUncertainEnd(state)
    }
    if (ended !== undefined) events.emit({ type: 'destroyed', handle: mayBeStored ? handle : ended.handle })
    const { deadline } = state
    state.destroyed(key !== undefined, now(), this.draft())
    let hasEnded = ended !== undefined
    for (const old of state.openOptions.old ?? [])
      hasEnded = (await this.takeOver.end(old, deadline)) || hasEnded
    return hasEnded
  }

  /**
   * Runs one operation at a time per session object: a second one waits for the first, whatever became of it. Subscribers of
   * `channel` are told of it.
   */
  async #run<T>(state: SessionState, operation: () => Promise<T>, channel?: OperationChannel): Promise<T> {
    if (channel?.hasSubscribers === true) return this.#traced(state, operation, channel)
    const { commitTimeout, now } = this.#settings
    const deadline = startDeadline('commitTimeout', commitTimeout)
    this.#running += 1
    try {
      while (state.pending !== undefined) {
        const before = state.pending.catch(() => {})
        await this.#store.calls.queue(before, deadline)
      }
      return await state.run(operation, deadline, now())
    } finally {
      this.#running -= 1
      if (this.#running === 0) this.#onIdle?.()
    }
  }

  #traced<T>(state: SessionState, operation: () => Promise<T>, channel: OperationChannel): Promise<T> {
    const { tries, entry, handle } = state
    const traced = tracedOperation(this.#store.status, handle)
    return channel.tracePromise(async () => {
      const result = await this.#run(state, operation)
      const payload = state.entry?.payload
      if (channel === traces.destroy) traced.outcome = result === true ? 'ended' : 'gone'
      else if (state.status === 'gone') traced.outcome = 'gone'
      else if (payload === undefined && entry !== undefined) traced.outcome = 'ended'
      else if (payload === undefined || payload === entry?.payload) traced.outcome = 'extended'
      else {
        traced.outcome = entry === undefined ? 'created' : 'stored'
        traced.bytes = payload.length
        traced.tries = state.tries - tries
      }
      return result
    }, traced)
  }
}

function notStored(): SessionError {
  const text = 'watch(): the session is not stored, so nothing can happen to it; commit() it first'
  return new SessionError('ERR_SESSION_STATE', text)
}

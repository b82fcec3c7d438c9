import { Document } from '../../codec/document/document.ts'
import { CommitRetry, entryOf, keyOf, nextHeader } from './retry.ts'
import { SessionError } from '../../errors.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { createId, storeKey } from '../id.ts'
import { idleTimeoutOf, maxAgeOf } from '../expiry.ts'
import { rebase } from '../rebase.ts'
import { isEmpty, Regeneration } from './regenerate.ts'
import { IdRotation } from './rotate-id.ts'
import type { SessionState } from '../state.ts'
import type { Committed } from '../session.ts'
import type { ManagerSettings } from '../resolve-options.ts'
import type { Entry } from '../../store.ts'
import { Writer } from './writer.ts'

type Changes = ReadonlyMap<string, string | undefined>

const noChanges: Changes = new Map()

/** Brings a session's changes into the store, by compare-and-swap. */
export class Committer {
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #retry: CommitRetry
  readonly #regeneration: Regeneration
  readonly #rotation: IdRotation
  readonly #writer: Writer

  constructor(settings: ManagerSettings, store: GuardedStore) {
    this.#settings = settings
    this.#store = store
    this.#retry = new CommitRetry(settings, store)
    this.#writer = new Writer(store)
    this.#regeneration = new Regeneration(settings, store, this.#retry)
    this.#rotation = new IdRotation(settings, store, this.#regeneration)
  }

  /** Whether a commit would find nothing to do, so that nobody need wait for one. */
  isIdle(state: SessionState): boolean {
    const { status, draft, entry, nextId, pending, unsettled } = state
    if (!draft.isUntouched || nextId !== undefined || pending !== undefined || unsettled !== undefined)
      return false
    if (entry === undefined || status !== 'stored') return status === 'new'
    return (
      this.#isSettled(state, entry, noChanges) &&
      !this.#isToBeRewritten(state, entry) &&
      !this.#isTouchDue(state, entry) &&
      !this.#repeats(state) &&
      !this.#rotation.isDue(state)
    )
  }

  /** Stores what changed; with nothing changed at most extends the session's life. */
  async commit(state: SessionState): Promise<Committed> {
    if (state.status === 'gone') return 'gone'
    if (state.unsettled !== undefined && (await this.#settle(state)) === 'gone') return 'gone'
    if (state.status === 'new') return this.#create(state)
    while (state.nextId !== undefined) {
      const outcome = await this.#regeneration.run(state, state.nextId, () => this.expiresAt(state))
      if (outcome !== 'empty') return outcome
      // With nothing to move the session is removed, unless others have put something in: then there is.
      const removed = await this.#update(state)
      if (removed === 'gone' || state.entry === undefined) return removed
    }
    if (this.#rotation.isDue(state)) {
      const outcome = await this.#rotation.run(state, () => this.expiresAt(state))
      if (outcome !== 'put-off') return outcome
    }
    return this.#update(state)
  }

  /** Removes one key from the stored session and returns its value, for this caller alone. */
  async claim(state: SessionState, key: string): Promise<unknown> {
    const { draft, deadline } = state
    if (state.unsettled !== undefined && (await this.#settle(state)) === 'gone') return undefined
    const change = draft.keyChanges.get(key)
    const own = change?.kind === 'set' || change?.kind === 'delete' || change?.own === true
    if (draft.cleared || own || !draft.base.has(key)) {
      const value = draft.get(key)
      if (draft.has(key)) draft.delete(key)
      return value
    }
    const { limits, registry } = this.#settings
    let value: unknown
    const outcome = await this.#retry.run(state, async (base) => {
      value = undefined
      if (!draft.base.has(key)) return 'ok'
      value = draft.get(key)
      const payload = draft.base.write(nextHeader(state), new Map([[key, undefined]]), limits)
      const written = await this.#store.replace(keyOf(state), payload, this.expiresAt(state), base, deadline)
      if (typeof written === 'string') return written
      Object.assign(state, { entry: written.entry, credential: written.credential })
      draft.keyChanges.delete(key)
      rebase(draft, Document.parse(payload, limits), registry)
      return 'ok'
    })
    return outcome === 'ok' ? value : undefined
  }

  /** Until when the session lives if it is committed or touched now. */
  expiresAt(state: SessionState): number {
    const { now, absoluteTimeout } = this.#settings
    const { entry, openOptions } = state
    const unused = entry !== undefined && openOptions.passive === true
    const idleAt = unused ? entry.expiresAt : now() + idleTimeoutOf(state.draft, this.#settings)
    return Math.min(idleAt, state.createdAt + absoluteTimeout)
  }

  async #create(state: SessionState): Promise<Committed> {
    const { draft } = state
    const { events, now, idPrefix } = this.#settings
    const { mayCreate } = state.openOptions
    let changes = draft.changes()
    if (changes.size === 0) return 'ok'
    if (state.isNew && mayCreate !== undefined) {
      const answer = Promise.resolve(mayCreate())
      if (!(await this.#store.calls.queue(answer, state.deadline))) throw tooMany()
      changes = draft.changes() // what was set while it was asked belongs to it
    }
    const startedAt = now()
    state.id ??= createId(idPrefix)
    state.key = storeKey(this.#settings, state.id)
    const payload = draft.write(nextHeader(state), changes)
    const outcome = await this.#writer.create(state, payload, this.expiresAt(state))
    if (outcome !== 'ok') throw new SessionError('ERR_SESSION_STORE', 'a new session ID is already taken')
    if (events.heard) events.emit({ type: 'created', bytes: payload.length, durationMs: now() - startedAt })
    return 'ok'
  }

  /** What changed nothing waits for nobody; the rest is tried until nobody is in between. */
  async #update(state: SessionState): Promise<Committed> {
    const { draft } = state
    const base = entryOf(state)
    const { base: snapshot } = draft
    const changes = draft.changes()
    if (this.#isSettled(state, base, changes) && !this.#isToBeRewritten(state, base)) {
      draft.settle()
      const touched = await this.#touchIfDue(state, base)
      return touched === 'ok' && (await this.#mayRepeat(state)) ? 'ok' : this.#retry.gone(state)
    }
    return this.#retry.run(state, (latest) =>
      this.#write(state, latest, draft.base === snapshot ? changes : draft.changes()),
    )
  }

  /** One try to store the changes upon `base`. */
  async #write(state: SessionState, base: Entry, changes: Changes): Promise<Committed | 'conflict'> {
    const { draft } = state
    const { keepEmpty } = this.#settings
    const settled = this.#isSettled(state, base, changes)
    if (settled && !this.#isToBeRewritten(state, base)) {
      draft.settle()
      return this.#touchIfDue(state, base)
    }
    const payload = settled && this.#isOnClient ? base.payload : draft.write(nextHeader(state), changes)
    if (!keepEmpty && isEmpty(payload)) return this.#remove(state, payload, base)
    return this.#writer.replace(state, payload, this.expiresAt(state), base)
  }

  /** A write of unknown outcome comes first. */
  async #settle(state: SessionState): Promise<Committed> {
    const outcome = await this.#writer.settle(state, this.expiresAt(state))
    return outcome === 'gone' ? this.#retry.gone(state) : outcome
  }

  /** Whether there is nothing to store. A session that others left empty is still to be removed. */
  #isSettled({ draft }: SessionState, base: Entry, changes: Changes): boolean {
    const unchanged = changes.size === 0 && !draft.dropsDamage && !draft.attributes.differ
    return unchanged && (this.#settings.keepEmpty || !isEmpty(base.payload))
  }

  /** A session that was emptied ends; what is set on its object afterwards begins another one. */
  async #remove(state: SessionState, payload: string, base: Entry): Promise<Committed | 'conflict'> {
    const until = state.createdAt + this.#settings.absoluteTimeout
    const outcome = await this.#store.destroy(keyOf(state), base, state.deadline, until)
    if (outcome !== 'ok') return outcome
    state.draft.settle(payload)
    state.draft.base = Document.empty({ version: '', createdAt: state.createdAt, attributes: new Map() })
    state.forget()
    state.ended = true
    this.#settings.events.emit({ type: 'destroyed' })
    return 'ok'
  }

  /** Though nothing in it changed: a client lives longer only with a new credential, and an old key's seal is to go. */
  #isToBeRewritten(state: SessionState, base: Entry): boolean {
    return (
      base.stale === true ||
      this.#isOutOfTime(state, base) ||
      (this.#isOnClient && this.#isTouchDue(state, base, maxAgeOf(state.draft)))
    )
  }

  /** Begun in the future, or living longer than a look can have it live: a clock was wrong, or somebody's hand was in it. */
  #isOutOfTime({ createdAt, draft }: SessionState, { expiresAt }: Entry): boolean {
    const { idleTimeout, absoluteTimeout } = this.#settings
    const { header } = draft.base
    return header.createdAt > createdAt + idleTimeout || expiresAt > createdAt + absoluteTimeout + idleTimeout
  }

  get #isOnClient(): boolean {
    return this.#settings.store.traits.location === 'client'
  }

  #isTouchDue(state: SessionState, base: Entry, life = Infinity): boolean {
    return this.expiresAt(state) - base.expiresAt > Math.min(this.#settings.idleTimeout, life) / 10
  }

  /**
   * A client that is told its ID again must not be told one that another request has ended or replaced since this one began:
   * whichever answer came last would decide.
   */
  async #mayRepeat(state: SessionState): Promise<boolean> {
    if (!this.#repeats(state)) return true
    return (await this.#retry.latest(state)) !== undefined
  }

  #repeats({ isRedirected, answer }: SessionState): boolean {
    return !isRedirected && answer?.repeats() === true
  }

  /** Most backends extend a life while they read; for the others, one touch per tenth of the idle timeout. */
  async #touchIfDue(state: SessionState, base: Entry): Promise<Committed> {
    if (!this.#isTouchDue(state, base)) return 'ok'
    const expiresAt = this.expiresAt(state)
    const outcome = await this.#store.touch(keyOf(state), expiresAt, state.deadline)
    if (outcome === 'ok') state.entry = { ...base, expiresAt }
    return outcome
  }
}

function tooMany(): SessionError {
  const text = 'mayCreate: this visitor may not have a session now, so nothing was stored'
  return new SessionError('ERR_SESSION_LIMIT', text, { status: 429 })
}

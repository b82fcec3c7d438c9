import { Document } from '../../codec/document/document.ts'
import { SessionError } from '../../errors.ts'
import { isAnswer, type Entry } from '../../store.ts'
import { isMistake } from '../../stores/shared/errors.ts'
import { isUnknown, wasRefused, type GuardedStore } from '../backend/guarded-store.ts'
import { absoluteEnd, endInHeader, expiresAt, isEndDue, isTouchDue, maxAgeOf } from '../expiry.ts'
import { createId, storeKey } from '../id.ts'
import type { OwnerListing } from '../owners/owner-listing.ts'
import { holdsNothing } from '../owners/owner.ts'
import type { ManagerSettings } from '../options.ts'
import type { Committed, SessionState } from '../state.ts'
import type { Destroyer } from './destroy.ts'
import { Mover } from './move.ts'
import { endedMeanwhile, Regeneration } from './regenerate.ts'
import { CommitRetry, regenerated } from './retry.ts'
import { IdRotation } from './rotate-id.ts'
import { Writer } from './writer.ts'

/** The lines of a payload that a request has changed; `undefined` for a line to be deleted. */
type Changes = ReadonlyMap<string, string | undefined>

const noChanges: Changes = new Map()

/** Stores a session's changes by compare-and-swap. */
export class Committer {
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #retry: CommitRetry
  readonly #regeneration: Regeneration
  readonly #rotation: IdRotation | undefined
  readonly #writer: Writer
  readonly #destroyer: Destroyer
  readonly #listing: OwnerListing

  constructor(settings: ManagerSettings, store: GuardedStore, destroyer: Destroyer, listing: OwnerListing) {
    this.#settings = settings
    this.#store = store
    this.#retry = new CommitRetry(settings, store)
    this.#writer = new Writer(store)
    this.#destroyer = destroyer
    this.#listing = listing
    const mover = new Mover(settings, store, this.#retry, destroyer, listing)
    this.#regeneration = new Regeneration(settings, mover)
    this.#rotation = settings.rotateAfter === undefined ? undefined : new IdRotation(settings, mover)
  }

  /** Whether a commit would find nothing to do. */
  isIdle(state: SessionState): boolean {
    const { status, draft, entry, nextId, pending, unsettled, unsettledMove, verification } = state
    if (!draft.isUntouched || nextId !== undefined || pending !== undefined) return false
    if (unsettled !== undefined || unsettledMove !== undefined || verification !== undefined) return false
    if (entry === undefined || status !== 'stored') return status === 'new'
    return (
      this.#isUnchanged(state, entry, noChanges) &&
      !this.#mustRewrite(state, entry) &&
      !isTouchDue(state, entry, this.#settings) &&
      !repeats(state) &&
      this.#rotation?.isDue(state) !== true
    )
  }

  /** Stores what changed. With nothing changed it extends the session's life at most. */
  async commit(state: SessionState): Promise<Committed> {
    const { nextId } = state
    let isGone = state.status === 'gone'
    if (!isGone && state.unsettledMove !== undefined) await this.#retry.settleMove(state, state.unsettledMove)
    if (!isGone && state.unsettled !== undefined) isGone = (await this.#settle(state)) === 'gone'
    if (!isGone && state.verification !== undefined)
      isGone = (await this.#verify(state, state.verification)) === 'gone'
    if (isGone && state.signIn !== undefined) return this.#beginAnew(state)
    if (isGone && nextId !== undefined) throw endedMeanwhile()
    if (isGone) return 'gone'
    if (state.status === 'new') return this.#create(state)
    while (state.nextId !== undefined) {
      const outcome = await this.#regeneration.run(state, state.nextId)
      if (outcome === 'gone') return this.#beginAnew(state)
      if (outcome !== 'empty') return outcome
      // An empty session is removed instead of moved, unless another request has put something into it meanwhile.
      const removed = await this.#update(state)
      if (removed === 'gone') throw endedMeanwhile()
      if (state.entry === undefined) return removed
    }
    if (this.#rotation?.isDue(state) === true) {
      const outcome = await this.#rotation.run(state)
      if (outcome !== 'put-off') return outcome
    }
    return this.#update(state)
  }

  /** Removes one key from the stored session and returns its value to this caller alone. */
  async claim(state: SessionState, key: string): Promise<unknown> {
    const { draft, deadline } = state
    if (state.unsettledMove !== undefined) await this.#retry.settleMove(state, state.unsettledMove)
    if (state.unsettled !== undefined && (await this.#settle(state)) === 'gone') return undefined
    const change = draft.keyChanges.get(key)
    const isOwn = change?.kind === 'set' || change?.kind === 'delete' || change?.kind === 'take'
    if (draft.cleared || isOwn || !draft.base.has(key)) {
      const value = draft.get(key)
      if (draft.has(key)) draft.delete(key)
      return value
    }
    const { limits } = this.#settings
    let value: unknown
    const outcome = await this.#retry.commit(state, async (base): Promise<Committed | 'conflict'> => {
      value = undefined
      if (!draft.base.has(key)) return 'ok'
      const mine = draft.keyChanges.get(key)
      value = mine === undefined ? draft.stored(key) : mine.value
      const payload = draft.base.write(
        state.nextHeader(endInHeader(state, this.#settings)),
        new Map([[key, undefined]]),
        limits,
      )
      const until = expiresAt(state, this.#settings)
      const written = await this.#store.replace(state.storedKey, payload, until, base, deadline)
      if (typeof written === 'string') return written
      state.claimed(written)
      draft.claimed(key, Document.parse(payload, limits))
      return 'ok'
    })
    return outcome === 'ok' ? value : undefined
  }

  /** @throws SessionError `ERR_SESSION_CONFLICT` if it is not known whether the session was ended or moved */
  refuseUncertainEnd(state: SessionState): void {
    this.#retry.refuseUncertainEnd(state)
  }

  async #create(state: SessionState): Promise<Committed> {
    const { draft } = state
    const { events, now, idPrefix } = this.#settings
    const { mayCreate } = state.openOptions
    let changes = draft.changes()
    if (changes.size === 0 && state.signIn === undefined) return 'ok'
    if (state.isNew && mayCreate !== undefined) {
      const answer = Promise.resolve(mayCreate())
      if (!(await this.#store.calls.queue(answer, state.deadline))) throw mayNotCreate()
      changes = draft.changes() // includes what was set while `mayCreate` ran
    }
    const startedAt = now()
    let payload = ''
    const create = async (id: string): Promise<'ok' | 'exists'> => {
      state.assignId(id, storeKey(this.#settings, id))
      payload = draft.write(state.nextHeader(endInHeader(state, this.#settings)), changes)
      state.tried()
      return this.#writer.create(state, payload, expiresAt(state, this.#settings))
    }
    const outcome = await create(state.id ?? createId(idPrefix)).catch((error: unknown) => {
      // The record may still arrive under its key, late. So that nothing comes back which was ended since, a key is used once.
      if (!isUnknown(error) || isMistake(error) || state.isIdKnown) throw error
      return create(createId(idPrefix))
    })
    if (outcome !== 'ok') throw new SessionError('ERR_SESSION_STORE', 'a new session ID is already taken')
    if (state.signIn !== undefined) await this.#list(state)
    if (events.heard) {
      const { handle } = state
      events.emit({ type: 'created', handle, bytes: payload.length, durationMs: now() - startedAt })
    }
    return 'ok'
  }

  /** Lists a new session in its owner's record, before its client is told. A sign-in that is refused leaves nothing. */
  async #list(state: SessionState): Promise<void> {
    const { storedKey: key, deadline } = state
    try {
      await this.#listing.list(state, key)
      state.signedIn()
    } catch (error) {
      await this.#store.destroy(key, undefined, deadline).catch(() => {}) // its ID is told to no client
      state.withdrawn()
      state.draft.startOver(this.#nothing(state))
      throw error
    }
  }

  /** The session was ended while a sign-in was under way, which begins another one, with its owner and nothing else. */
  async #beginAnew(state: SessionState): Promise<Committed> {
    state.beginAnew(this.#settings.now())
    state.draft.beginAnew(this.#nothing(state))
    return this.#create(state)
  }

  /** A session that its owner's record does not list is ended. */
  async #verify(state: SessionState, verification: Promise<boolean>): Promise<'ok' | 'gone'> {
    const isListed = await this.#store.calls.queue(verification, state.deadline)
    state.verified()
    if (isListed) return 'ok'
    await this.#destroyer.end(
      state.storedKey,
      state.entry,
      state.deadline,
      absoluteEnd(state, this.#settings),
    )
    this.#settings.events.emit({ type: 'unlisted', handle: state.handle })
    return this.#retry.gone(state)
  }

  #nothing({ createdAt }: SessionState): Document {
    return Document.empty({ version: '', createdAt, attributes: new Map() })
  }

  async #update(state: SessionState): Promise<Committed> {
    const { draft, storedEntry: base } = state
    const { base: snapshot } = draft
    const changes = draft.changes()
    if (this.#isUnchanged(state, base, changes) && !this.#mustRewrite(state, base)) {
      draft.settle()
      const touched = await this.#touchIfDue(state, base)
      return touched === 'ok' && (await this.#mayRepeat(state)) ? 'ok' : this.#retry.gone(state)
    }
    const outcome = await this.#retry.commit(state, (latest) =>
      this.#write(state, latest, draft.base === snapshot ? changes : draft.changes()),
    )
    if (outcome === 'regenerated') throw regenerated()
    return outcome
  }

  /** One attempt to store the changes, based on `base`. */
  async #write(state: SessionState, base: Entry, changes: Changes): Promise<Committed | 'conflict'> {
    const { draft } = state
    const isUnchanged = this.#isUnchanged(state, base, changes)
    if (isUnchanged && !this.#mustRewrite(state, base)) {
      draft.settle()
      return this.#touchIfDue(state, base)
    }
    const payload =
      isUnchanged && this.#isOnClient
        ? base.payload
        : draft.write(state.nextHeader(endInHeader(state, this.#settings)), changes)
    if (!this.#settings.keepEmpty && holdsNothing(payload)) return this.#remove(state, payload, base)
    try {
      return await this.#writer.replace(state, payload, expiresAt(state, this.#settings), base)
    } catch (error) {
      // This request has changed nothing. The payload is written again at the next occasion.
      if (!isUnchanged || !wasRefused(error)) throw error
      draft.settle()
      return this.#touchIfDue(state, base)
    }
  }

  /** Finishes a write of unknown outcome, before anything else is written. */
  async #settle(state: SessionState): Promise<Committed> {
    const outcome = await this.#writer.settle(state, expiresAt(state, this.#settings))
    return outcome === 'gone' ? this.#retry.ended(state) : outcome
  }

  /** Whether there is nothing to store. A session that other requests left empty must still be removed. */
  #isUnchanged({ draft }: SessionState, base: Entry, changes: Changes): boolean {
    const isUnchanged = changes.size === 0 && !draft.dropsDamage && !draft.attributes.differ
    return isUnchanged && (this.#settings.keepEmpty || !holdsNothing(base.payload))
  }

  /** An empty session ends. What is set on its object afterwards begins another one. */
  async #remove(state: SessionState, payload: string, base: Entry): Promise<Committed | 'conflict'> {
    const until = absoluteEnd(state, this.#settings)
    const destroy = this.#store.destroy(state.storedKey, base, state.deadline, until)
    const outcome = await destroy.catch((error: unknown) => {
      // The next commit must not build on a session that this one may have removed.
      if (isUnknown(error)) state.unsettle(payload, base)
      throw error
    })
    if (outcome !== 'ok') return outcome
    const { handle } = state
    state.draft.settle(payload)
    state.draft.startOver(this.#nothing(state))
    state.emptied()
    this.#settings.events.emit({ type: 'destroyed', handle })
    return 'ok'
  }

  /**
   * Whether the payload must be written although nothing in it changed: its seal's key is being retired, its times come from
   * a wrong clock, the end in its header is to be moved, or it is on the client, where only a new credential lives longer.
   */
  #mustRewrite(state: SessionState, base: Entry): boolean {
    return (
      base.stale === true ||
      this.#isOutOfTime(state, base) ||
      isEndDue(state, this.#settings) ||
      (this.#isOnClient && isTouchDue(state, base, this.#settings, maxAgeOf(state.draft)))
    )
  }

  /** Whether the session began in the future, or lives longer than a touch could make it: by a wrong clock or a forged record. */
  #isOutOfTime(state: SessionState, base: Entry): boolean {
    const { idleTimeout } = this.#settings
    const { header } = state.draft.base
    return (
      header.createdAt > state.createdAt + idleTimeout ||
      base.expiresAt > absoluteEnd(state, this.#settings) + idleTimeout
    )
  }

  get #isOnClient(): boolean {
    return this.#settings.store.traits.location === 'client'
  }

  /**
   * A client must not be sent its ID again if another request has ended the session or given it a new ID since this request
   * began: the response that arrives last would decide.
   */
  async #mayRepeat(state: SessionState): Promise<boolean> {
    if (!repeats(state)) return true
    const latest = await this.#retry.latest(state)
    return latest !== undefined && latest !== 'regenerated'
  }

  /**
   * Most stores extend a session's life while they read it. For the others: one touch per tenth of the idle timeout. A store
   * that refuses to write does not fail a request that only reads; its life stays as it is.
   */
  async #touchIfDue(state: SessionState, base: Entry): Promise<Committed> {
    if (!isTouchDue(state, base, this.#settings)) return 'ok'
    const until = expiresAt(state, this.#settings)
    try {
      const outcome = await this.#store.touch(state.storedKey, until, state.deadline)
      if (outcome === 'ok') state.extended(base, until)
      return outcome
    } catch (error) {
      if (isAnswer(error)) return 'ok'
      throw error
    }
  }
}

function repeats({ isRedirected, response }: SessionState): boolean {
  return !isRedirected && response?.repeats() === true
}

function mayNotCreate(): SessionError {
  const text = 'mayCreate: this visitor may not have a session now, so nothing was stored'
  return new SessionError('ERR_SESSION_LIMIT', text, { status: 429 })
}

import { Document } from '../../codec/document/document.ts'
import { SessionError } from '../../errors.ts'
import type { Entry } from '../../store.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { msLeft } from '../../stores/shared/deadlines.ts'
import { rebase } from '../rebase.ts'
import { followRedirects, redirectOf } from '../redirect.ts'
import type { ManagerSettings } from '../options.ts'
import type { Committed, SessionState, UnsettledMove } from '../state.ts'
import { backoff, conflict, MAX_TRIES } from './conflict.ts'
import { KeyQueue } from './key-queue.ts'

/** One attempt to write, based on a known entry of the session. `T` is what the attempt comes to where it ends the loop. */
export type Attempt<T extends string> = (base: Entry) => Promise<T | 'gone' | 'conflict'>

type RetrySettings = Pick<ManagerSettings, 'limits' | 'events' | 'now' | 'pause' | 'redirectLife'>

/** Optimistic-concurrency loop: write; on conflict read again, rebase, back off with jitter, write again. */
export class CommitRetry {
  readonly #settings: RetrySettings
  readonly #store: GuardedStore
  readonly #keyQueue = new KeyQueue()

  constructor(settings: RetrySettings, store: GuardedStore) {
    this.#settings = settings
    this.#store = store
  }

  /** As {@link run}; reports the event `committed` if the stored payload has changed. */
  async commit(state: SessionState, attempt: Attempt<'ok'>): Promise<Committed | 'regenerated'> {
    const { events, now } = this.#settings
    if (!events.heard) return this.run(state, attempt)
    const { payload } = state.storedEntry
    const startedAt = now()
    const { tries: before } = state
    const outcome = await this.run(state, attempt)
    if (outcome === 'ok' && state.entry !== undefined && state.entry.payload !== payload) {
      const bytes = state.entry.payload.length
      const tries = state.tries - before
      events.emit({ type: 'committed', handle: state.handle, bytes, tries, durationMs: now() - startedAt })
    }
    return outcome
  }

  /**
   * Attempts until there is no conflict, rebasing after each one.
   *
   * @param isUrgent goes before the commits of this process that wait already
   * @returns `'regenerated'` if another request has given the session a new ID, which this one must not learn
   * @throws SessionError `ERR_SESSION_CONFLICT` if the changes cannot be kept beside another request's, or the session has
   *   expired meanwhile
   */
  async run<T extends string>(
    state: SessionState,
    attempt: Attempt<T>,
    isUrgent = false,
  ): Promise<T | 'gone' | 'regenerated'> {
    const isQueued = this.#keyQueue.active.has(state.storedKey)
    if (!isQueued) state.tried()
    const first = isQueued ? 'conflict' : await attempt(state.storedEntry)
    const outcome = first === 'conflict' ? await this.#inTurn(state, attempt, isQueued, isUrgent) : first
    return outcome === 'gone' ? this.ended(state) : outcome
  }

  /**
   * Attempts while this request is the only one of its process that writes to the session. The request before it hands over
   * the entry that it wrote; after a conflict with another process the entry is read.
   */
  async #inTurn<T extends string>(
    state: SessionState,
    attempt: Attempt<T>,
    isFirst: boolean,
    isUrgent: boolean,
  ): Promise<T | 'gone' | 'regenerated'> {
    const { events, pause } = this.#settings
    const key = state.storedKey
    const wait = async <R>(others: Promise<R>): Promise<R> => this.#store.calls.queue(others, state.deadline)
    return this.#keyQueue.run<T | 'gone' | 'regenerated'>(key, { wait, isUrgent }, async (handedOver) => {
      // A request that has not tried yet may still be up to date.
      let hint = handedOver ?? (isFirst ? state.storedEntry : undefined)
      for (let tries = isFirst ? 1 : 2; tries <= MAX_TRIES; tries += 1) {
        const newer = hint ?? (await this.latest(state))
        if (newer === 'regenerated' || newer === undefined) return [newer ?? 'gone', undefined]
        if (newer !== state.entry) {
          this.rebase(state, newer)
          if (events.heard) events.emit({ type: 'rebased', handle: state.handle, tries })
        }
        state.tried()
        const outcome = await attempt(newer)
        if (outcome !== 'conflict') {
          const isLatest = outcome !== 'gone' && state.key === key
          return [outcome, isLatest ? state.entry : undefined]
        }
        // A move that is cut off by its deadline may leave a session whose new ID no client has, so it gives up before.
        if (isUrgent && msLeft(state.deadline) < state.deadline.ms / 2) break
        if (hint === undefined) await wait(pause(backoff(tries)))
        hint = undefined
      }
      throw contention()
    })
  }

  /**
   * The stored entry as it is now. Redirects of rotations are followed, whatever their age. `undefined` if the session has
   * ended, `'regenerated'` if another request has given it a new ID, which this one must not learn.
   */
  async latest(state: SessionState): Promise<Entry | 'regenerated' | undefined> {
    const passed: string[] = []
    const { key, record } = await followRedirects(
      state.storedKey,
      (at) => {
        passed.push(at)
        return this.#store.read(at, undefined, state.deadline)
      },
      ({ payload }) => {
        const redirect = redirectOf(payload)
        return redirect?.mode === 'open' ? redirect : undefined
      },
    )
    if (key !== state.key) state.redirectedTo(key, passed.slice(0, -1))
    return record !== undefined && redirectOf(record.payload) !== undefined ? 'regenerated' : record
  }

  /**
   * Finds out whether a rotation of unknown outcome has taken place, before anything else is written: then this request's
   * changes are stored already.
   *
   * @throws SessionError `ERR_SESSION_STORE` if it has not, since it may still
   */
  async settleMove(state: SessionState, move: UnsettledMove): Promise<void> {
    let hasMoved = false
    const read = async (at: string): Promise<Entry | undefined> => {
      hasMoved ||= at === move.key
      return this.#store.read(at, undefined, state.deadline)
    }
    await followRedirects(state.storedKey, read, ({ payload }) => redirectOf(payload))
    if (!hasMoved) throw unknownOutcome()
    state.movedUntold(move)
  }

  /**
   * The session is not stored any more, and there are changes to store.
   *
   * @throws SessionError `ERR_SESSION_CONFLICT` if it may have expired, or may have a new ID, instead of being ended
   */
  ended(state: SessionState): 'gone' {
    this.#refuseOtherEnds(state)
    return this.gone(state)
  }

  /** Another request has ended the session: it stays ended, and the changes are dropped. */
  gone(state: SessionState): 'gone' {
    this.#settings.events.emit({ type: 'gone', handle: state.handle })
    return state.lost()
  }

  /**
   * A session that is no longer stored was ended, unless this request is so old that the redirect to its new record may have
   * expired.
   *
   * @throws SessionError `ERR_SESSION_CONFLICT` in that case
   */
  refuseUncertainEnd({ knownAt }: SessionState): void {
    const { now, redirectLife } = this.#settings
    if (now() - knownAt < redirectLife) return
    throw conflict(
      'the session is gone, and this request is too old to tell whether it was ended or has a new ID; nothing was stored',
    )
  }

  /** Changes must not pass for dropped by a logout where there may have been none. */
  #refuseOtherEnds(state: SessionState): void {
    if (state.entry !== undefined && this.#settings.now() >= state.entry.expiresAt)
      throw conflict('the session expired while this request was under way, so nothing was stored')
    this.refuseUncertainEnd(state)
  }

  /** Replays the session's changes on an entry that another request has stored. */
  rebase(state: SessionState, newer: Entry): void {
    const { limits, events } = this.#settings
    const { handle } = state
    let overwritten: number
    try {
      overwritten = rebase(state.draft, Document.parse(newer.payload, limits))
    } catch (error) {
      if (error instanceof SessionError && error.code === 'ERR_SESSION_CONFLICT')
        events.emit({ type: 'conflict', handle, keys: 1, outcome: 'refused' })
      throw error
    }
    state.rebasedOnto(newer)
    if (overwritten > 0) events.emit({ type: 'conflict', handle, keys: overwritten, outcome: 'overwritten' })
  }
}

export function contention(): SessionError {
  return conflict('other requests kept changing this session while this one tried to commit')
}

/** Another request has given the session a new ID by `regenerate()`, so this one belongs to the time before. */
export function regenerated(): SessionError {
  return conflict(
    'another request has given this session a new ID since this one began, so nothing was stored; repeat the request',
  )
}

/** An earlier write of this session object may still arrive. */
export function unknownOutcome(): SessionError {
  const text = 'whether an earlier commit of this session was stored is unknown; open it again'
  return new SessionError('ERR_SESSION_STORE', text)
}

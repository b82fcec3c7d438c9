import { Document } from '../../codec/document/document.ts'
import { SessionError } from '../../errors.ts'
import type { Entry } from '../../store.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { rebase } from '../rebase.ts'
import { followRedirects, redirectOf } from '../redirect.ts'
import type { ManagerSettings } from '../options.ts'
import type { Committed, SessionState } from '../state.ts'
import { KeyQueue } from './key-queue.ts'

/**
 * How often a request tries to write. While eight processes do nothing but write to one session, one in eight attempts
 * succeeds; a hundred failures in a row are then less likely than one in a hundred thousand.
 */
export const MAX_TRIES = 100
const MAX_BACKOFF_MS = 50

/** One attempt to write, based on a known entry of the session. `T` is what the attempt comes to where it ends the loop. */
export type Attempt<T extends string> = (base: Entry) => Promise<T | 'gone' | 'conflict'>

/** Optimistic-concurrency loop: write; on conflict read again, rebase, back off with jitter, write again. */
export class CommitRetry {
  readonly #settings: Pick<ManagerSettings, 'limits' | 'registry' | 'events' | 'now' | 'pause'>
  readonly #store: GuardedStore
  readonly #keyQueue = new KeyQueue()

  constructor(
    settings: Pick<ManagerSettings, 'limits' | 'registry' | 'events' | 'now' | 'pause'>,
    store: GuardedStore,
  ) {
    this.#settings = settings
    this.#store = store
  }

  /** As {@link run}; reports the event `committed` if the stored payload has changed. */
  async commit(state: SessionState, attempt: Attempt<'ok'>): Promise<Committed> {
    const { events, now } = this.#settings
    if (!events.heard) return this.run(state, attempt)
    const { payload } = state.storedEntry
    const startedAt = now()
    let tries = 0
    const outcome = await this.run(state, (base) => {
      tries += 1
      return attempt(base)
    })
    if (outcome === 'ok' && state.entry !== undefined && state.entry.payload !== payload) {
      const bytes = state.entry.payload.length
      events.emit({ type: 'committed', bytes, tries, durationMs: now() - startedAt })
    }
    return outcome
  }

  /** Attempts until there is no conflict, rebasing after each one. */
  async run<T extends string>(state: SessionState, attempt: Attempt<T>): Promise<T | 'gone'> {
    const isQueued = this.#keyQueue.has(state.storedKey)
    const first = isQueued ? 'conflict' : await attempt(state.storedEntry)
    const outcome = first === 'conflict' ? await this.#inTurn(state, attempt, isQueued) : first
    return outcome === 'gone' ? this.gone(state) : outcome
  }

  /**
   * Attempts while this request is the only one of its process that writes to the session. The request before it hands over
   * the entry that it wrote; after a conflict with another process the entry is read.
   */
  async #inTurn<T extends string>(
    state: SessionState,
    attempt: Attempt<T>,
    isFirst: boolean,
  ): Promise<T | 'gone'> {
    const { events, pause } = this.#settings
    const key = state.storedKey
    const wait = async <R>(others: Promise<R>): Promise<R> => this.#store.calls.queue(others, state.deadline)
    return this.#keyQueue.run(key, wait, async (handedOver) => {
      // A request that has not tried yet may still be up to date.
      let hint = handedOver ?? (isFirst ? state.storedEntry : undefined)
      for (let tries = isFirst ? 1 : 2; tries <= MAX_TRIES; tries += 1) {
        const newer = hint ?? (await this.latest(state))
        if (newer === undefined) return ['gone', undefined]
        if (newer !== state.entry) {
          this.rebase(state, newer)
          if (events.heard) events.emit({ type: 'rebased', tries })
        }
        const outcome = await attempt(newer)
        if (outcome !== 'conflict') return [outcome, state.key === key ? state.entry : undefined]
        if (hint === undefined) await wait(pause(backoff(tries)))
        hint = undefined
      }
      throw contention()
    })
  }

  /** The stored entry as it is now. Redirects of rotations are followed, whatever their age. `undefined` if it has ended. */
  async latest(state: SessionState): Promise<Entry | undefined> {
    const { key, record } = await followRedirects(
      state.storedKey,
      (at) => this.#store.read(at, undefined, state.deadline),
      ({ payload }) => redirectOf(payload),
    )
    if (key !== state.key) state.redirectedTo(key)
    return record
  }

  /** Another request has ended the session: it stays ended. */
  gone(state: SessionState): 'gone' {
    this.#settings.events.emit({ type: 'gone' })
    return state.lost()
  }

  /** Replays the session's changes on an entry that another request has stored. */
  rebase(state: SessionState, newer: Entry): void {
    const { limits, registry, events } = this.#settings
    const lost = rebase(state.draft, Document.parse(newer.payload, limits), registry)
    state.rebasedOnto(newer)
    if (lost > 0) events.emit({ type: 'conflict', keys: lost })
  }
}

/** How long to wait after so many tries, in ms. Random, so that requests which met once do not meet again. */
function backoff(tries: number): number {
  return Math.random() * Math.min(2 ** tries, MAX_BACKOFF_MS)
}

export function contention(): SessionError {
  const text = `other requests changed this session ${MAX_TRIES} times while this one tried to commit`
  return new SessionError('ERR_SESSION_CONFLICT', text)
}

import { contention, entryOf, jitter, keyOf, MAX_TRIES, nextHeader, type CommitRetry } from './retry.ts'
import type { Deadline } from '../../stores/shared/deadlines.ts'
import { SessionError } from '../../errors.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { createId } from '../id.ts'
import { issuedAt } from '../expiry.ts'
import type { SessionState } from '../state.ts'
import { storeKey, type ManagerSettings } from '../settings.ts'
import type { Entry, Written } from '../../store.ts'

/** What becomes of the old record when a session has moved to a new ID. */
export interface OldRecord {
  /** Whether the old ID still leads to the session. Then a request that finds it moved follows, and does not move it again. */
  readonly keepsRedirect: boolean
  /** Ends the old record as the session's, if it is still the one that this request knows. */
  leave(state: SessionState, successor: string): Promise<'ok' | 'conflict' | 'gone'>
  /** After a failure: whether the new record may go, since certainly nothing leads to it. */
  recover(state: SessionState, successor: string): Promise<boolean>
}

/**
 * Moves a session to a new ID: creates the record under the new key, then ends the old one if it is still what this
 * request knows. So no change of another request is lost, of two at once one wins, and a crash in between leaves only a
 * record whose ID nobody holds.
 */
export class Regeneration {
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #retry: CommitRetry

  constructor(settings: ManagerSettings, store: GuardedStore, retry: CommitRetry) {
    this.#settings = settings
    this.#store = store
    this.#retry = retry
  }

  /** The old ID is dead from then on. `'empty'` if there is nothing to move: then the session is to be removed instead. */
  async run(state: SessionState, nextId: string, expiresAt: () => number): Promise<'ok' | 'gone' | 'empty'> {
    const { idPrefix, absoluteTimeout } = this.#settings
    const until = state.createdAt + absoluteTimeout
    const outcome = await this.move(state, nextId, expiresAt, {
      keepsRedirect: false,
      leave: async () => this.#store.destroy(keyOf(state), entryOf(state), state.deadline, until),
      recover: async () => {
        state.nextId = createId(idPrefix) // the new record may arrive late, so its ID is not used again
        return true
      },
    })
    if (outcome === 'moved') throw contention() // never so: this one keeps no redirect, so it moves on from wherever it is
    if (outcome === 'ok') this.#settings.events.emit({ type: 'regenerated' })
    return outcome
  }

  /** As `oldRecord` has it. `'moved'` if the session is to keep its ID, since somebody else has renewed it meanwhile. */
  async move(
    state: SessionState,
    nextId: string,
    expiresAt: () => number,
    oldRecord: OldRecord,
  ): Promise<'ok' | 'gone' | 'empty' | 'moved'> {
    const { draft, deadline } = state
    const { keepEmpty, absoluteTimeout, pause, rotateAfter, now } = this.#settings
    const newKey = storeKey(this.#settings, nextId)
    const until = state.createdAt + absoluteTimeout
    const withdraw = async (): Promise<unknown> => this.#store.destroy(newKey, undefined, deadline, until)
    const issued = rotateAfter === undefined ? undefined : issuedAt(now())
    let successor: Entry | undefined
    let isBegun = false
    try {
      for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
        const payload = draft.write(nextHeader(state, issued), draft.changes())
        if (!keepEmpty && isEmpty(payload)) {
          if (successor !== undefined) await withdraw()
          return 'empty'
        }
        isBegun = true
        const written = await this.#write(newKey, payload, expiresAt(), successor, deadline)
        successor = written.entry
        const outcome = await oldRecord.leave(state, newKey)
        if (outcome === 'ok') {
          Object.assign(state, {
            id: nextId,
            key: newKey,
            nextId: undefined,
            entry: successor,
            credential: written.credential,
            isRedirected: false,
          })
          draft.settle(payload)
          return 'ok'
        }
        const before = keyOf(state)
        const newer = outcome === 'gone' ? undefined : await this.#retry.latest(state)
        if (newer === undefined) {
          await withdraw()
          return this.#retry.gone(state)
        }
        this.#retry.rebase(state, newer)
        if (oldRecord.keepsRedirect && keyOf(state) !== before) {
          await withdraw()
          return 'moved'
        }
        if (tries > 1) await this.#store.calls.queue(pause(jitter(tries)), deadline)
      }
      throw contention()
    } catch (error) {
      // The client keeps its old ID, so the new record must not stay; if it cannot be removed now, it expires unseen.
      if (isBegun && (await oldRecord.recover(state, newKey))) await withdraw().catch(() => {})
      throw error
    }
  }

  /** Nobody else knows the new key, so a record that is gone has expired or was evicted; any other answer is trouble. */
  async #write(
    key: string,
    payload: string,
    expiresAt: number,
    before: Entry | undefined,
    deadline: Deadline,
  ): Promise<Written> {
    let written: Written | 'gone' | 'exists' | 'conflict' = 'gone'
    if (before !== undefined) written = await this.#store.replace(key, payload, expiresAt, before, deadline)
    if (written === 'gone') written = await this.#store.create(key, payload, expiresAt, deadline)
    if (typeof written !== 'string') return written
    throw new SessionError(
      'ERR_SESSION_STORE',
      'the record of a new session ID is not what was written there',
    )
  }
}

/** Whether a payload holds a header and nothing else. */
export function isEmpty(payload: string): boolean {
  return payload.indexOf('\n') === payload.length - 1
}

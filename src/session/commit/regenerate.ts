import { isEmptyPayload } from '../../codec/document/document.ts'
import { SessionError } from '../../errors.ts'
import type { Entry, Written } from '../../store.ts'
import type { Deadline } from '../../stores/shared/deadlines.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { absoluteEnd, expiresAt, issuedAt } from '../expiry.ts'
import { createId, storeKey } from '../id.ts'
import type { ManagerSettings } from '../options.ts'
import type { SessionState } from '../state.ts'
import { contention, type CommitRetry } from './retry.ts'

/** What happens to the record under the old ID when a session gets a new one. */
export interface OldRecord {
  /** The old ID leads to the session for a while. A request that finds the session moved follows, and does not move it again. */
  readonly keepsRedirect: boolean
  /** Ends the old record, or makes a redirect of it, if it is still the one that this request knows. */
  leave(state: SessionState, successor: string, base: Entry): Promise<'ok' | 'conflict' | 'gone'>
  /** After a failure: whether it is certain that nothing leads to the new record, so that it may be removed. */
  recover(state: SessionState, successor: string): Promise<boolean>
}

/** `moved`: the session has its new ID. `empty`: there is nothing to move. `superseded`: another request has moved it. */
export type Moved = 'moved' | 'gone' | 'empty' | 'superseded'

/**
 * Moves a session to a new ID: creates the record under the new key, then ends the old one if it is still what this request
 * knows. So no change of another request is lost, one of two concurrent moves wins, and a crash in between leaves only a
 * record whose ID no client holds.
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

  /** Moves the session, and ends the old ID. `empty` if there is nothing to move: the session is to be removed instead. */
  async run(state: SessionState, nextId: string): Promise<'ok' | 'gone' | 'empty'> {
    const { idPrefix, events } = this.#settings
    const until = absoluteEnd(state, this.#settings)
    const outcome = await this.move(state, nextId, {
      keepsRedirect: false,
      leave: async (_, _successor, base) => this.#store.destroy(state.storedKey, base, state.deadline, until),
      recover: async () => {
        state.replaceNextId(createId(idPrefix))
        return true
      },
    })
    // Only a move that keeps a redirect gives way to another one.
    if (outcome === 'superseded') throw contention()
    if (outcome !== 'moved') return outcome
    events.emit({ type: 'regenerated' })
    return 'ok'
  }

  /** Moves the session to `nextId`; `oldRecord` says what becomes of the record under the old one. */
  async move(state: SessionState, nextId: string, oldRecord: OldRecord): Promise<Moved> {
    const { draft, deadline, storedKey: oldKey } = state
    const { keepEmpty, rotateAfter, now } = this.#settings
    const newKey = storeKey(this.#settings, nextId)
    const until = absoluteEnd(state, this.#settings)
    const withdraw = async (): Promise<unknown> => this.#store.destroy(newKey, undefined, deadline, until)
    const issued = rotateAfter === undefined ? undefined : issuedAt(now())
    let created: Entry | undefined
    let mayExist = false
    try {
      const outcome = await this.#retry.run<Moved>(state, async (base) => {
        if (oldRecord.keepsRedirect && state.storedKey !== oldKey) return 'superseded'
        const payload = draft.write(state.nextHeader(issued), draft.changes())
        if (!keepEmpty && isEmptyPayload(payload)) return 'empty'
        mayExist = true
        const written = await this.#write(
          newKey,
          payload,
          expiresAt(state, this.#settings),
          created,
          deadline,
        )
        created = written.entry
        const left = await oldRecord.leave(state, newKey, base)
        if (left !== 'ok') return left
        state.movedTo(nextId, newKey, payload, written)
        return 'moved'
      })
      if (outcome !== 'moved' && created !== undefined) await withdraw()
      return outcome
    } catch (error) {
      // The client keeps its old ID, so the new record must go. If it cannot be removed now, it expires unseen.
      if (mayExist && (await oldRecord.recover(state, newKey))) await withdraw().catch(() => {})
      throw error
    }
  }

  /** No other request knows the new key, so a record that is gone has expired or was evicted. */
  async #write(
    key: string,
    payload: string,
    until: number,
    base: Entry | undefined,
    deadline: Deadline,
  ): Promise<Written> {
    let written: Written | 'gone' | 'exists' | 'conflict' = 'gone'
    if (base !== undefined) written = await this.#store.replace(key, payload, until, base, deadline)
    if (written === 'gone') written = await this.#store.create(key, payload, until, deadline)
    if (typeof written !== 'string') return written
    const text = 'the record of a new session ID is not what was written there'
    throw new SessionError('ERR_SESSION_STORE', text)
  }
}

import { sameVersion, type Entry, type Written } from '../../store.ts'
import { isUnknown, type GuardedStore } from '../backend/guarded-store.ts'
import type { SessionState } from '../state.ts'
import { unknownOutcome } from './retry.ts'

/**
 * Writes a session's payload. A write of unknown outcome is remembered: the next commit of the same session object settles
 * it first, so that no change counts twice.
 */
export class Writer {
  readonly #store: GuardedStore

  constructor(store: GuardedStore) {
    this.#store = store
  }

  /** Creates the record. The draft builds on its payload afterwards. */
  async create(state: SessionState, payload: string, expiresAt: number): Promise<'ok' | 'exists'> {
    try {
      const written = await this.#store.create(state.storedKey, payload, expiresAt, state.deadline)
      return written === 'exists' ? written : state.committed(payload, written)
    } catch (error) {
      // A write that never reached the store, or that the store has refused for a reason, is over. An ID that the program
      // does not know is not used again.
      if (isUnknown(error)) {
        if (state.isIdKnown) state.unsettle(payload, undefined)
        else state.forgetId()
      }
      throw error
    }
  }

  /** Replaces `base`. The draft builds on the payload afterwards. */
  async replace(
    state: SessionState,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<'ok' | 'conflict' | 'gone'> {
    try {
      const written = await this.#store.replace(state.storedKey, payload, expiresAt, base, state.deadline)
      return typeof written === 'string' ? written : state.committed(payload, written)
    } catch (error) {
      if (isUnknown(error)) state.unsettle(payload, base)
      throw error
    }
  }

  /** Reads, or sends the remembered write again, unchanged: its version tells whether it was applied. A create is not repeated. */
  async settle(state: SessionState, expiresAt: number): Promise<'ok' | 'gone'> {
    if (state.unsettled === undefined) return 'ok'
    const { payload, base } = state.unsettled
    const { storedKey: key, deadline } = state
    let written: Written | 'conflict' | 'gone' =
      base === undefined ? 'conflict' : await this.#store.replace(key, payload, expiresAt, base, deadline)
    if (written === 'conflict') {
      const stored = await this.#store.read(key, undefined, deadline)
      // Without an entry a create may still arrive.
      const isKnown = stored === undefined ? base !== undefined : sameVersion(stored.payload, payload)
      if (!isKnown) throw unknownOutcome()
      written = stored === undefined ? 'gone' : { entry: stored }
    }
    if (written !== 'gone') return state.committed(payload, written)
    state.settledAsGone()
    return written
  }
}

import { keyOf } from './retry.ts'
import { SessionError } from '../../errors.ts'
import { isUnknown, type GuardedStore } from '../backend/guarded-store.ts'
import type { SessionState } from '../state.ts'
import { sameVersion, type Entry, type Written } from '../../store.ts'

/**
 * Writes a session's payload. A write whose outcome is unknown is remembered: whoever commits the same object again settles
 * that first, so that nothing counts twice.
 */
export class Writer {
  readonly #store: GuardedStore

  constructor(store: GuardedStore) {
    this.#store = store
  }

  /** Creates the record; afterwards its payload is what the session's changes build upon. */
  async create(state: SessionState, payload: string, expiresAt: number): Promise<'ok' | 'exists'> {
    try {
      const written = await this.#store.create(keyOf(state), payload, expiresAt, state.deadline)
      return written === 'exists' ? written : take(state, payload, written)
    } catch (error) {
      throw remember(state, payload, undefined, error)
    }
  }

  /** Replaces `base`; afterwards the payload is what the session's changes build upon. */
  async replace(
    state: SessionState,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<'ok' | 'conflict' | 'gone'> {
    try {
      const written = await this.#store.replace(keyOf(state), payload, expiresAt, base, state.deadline)
      return typeof written === 'string' ? written : take(state, payload, written)
    } catch (error) {
      throw remember(state, payload, base, error)
    }
  }

  /** Sends the remembered write again, as it was: its version tells whether it is there by now. */
  async settle(state: SessionState, expiresAt: number): Promise<'ok' | 'gone'> {
    if (state.unsettled === undefined) return 'ok'
    const { payload, base } = state.unsettled
    const [key, { deadline }] = [keyOf(state), state]
    let written =
      base === undefined
        ? await this.#store.create(key, payload, expiresAt, deadline)
        : await this.#store.replace(key, payload, expiresAt, base, deadline)
    if (written === 'exists' || written === 'conflict') {
      const stored = await this.#store.read(key, undefined, deadline)
      if (stored !== undefined && !sameVersion(stored.payload, payload)) throw unknown()
      written = stored === undefined ? 'gone' : { entry: stored }
    }
    state.unsettled = undefined
    return written === 'gone' ? 'gone' : take(state, payload, written)
  }
}

/** A write that never reached the store, or that the store has turned down for a reason, is over. */
function remember(state: SessionState, payload: string, base: Entry | undefined, error: unknown): unknown {
  if (isUnknown(error)) state.unsettled = { payload, base }
  return error
}

function take(state: SessionState, payload: string, { entry, credential }: Written): 'ok' {
  Object.assign(state, { status: 'stored', entry, credential: credential ?? state.credential })
  state.draft.settle(payload)
  return 'ok'
}

function unknown(): SessionError {
  const text =
    'whether an earlier commit of this session was stored is unknown, and another request has written since; open it again'
  return new SessionError('ERR_SESSION_STORE', text)
}

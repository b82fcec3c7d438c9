import { contention, entryOf, jitter, keyOf, MAX_TRIES, nextHeader, type Contest } from './contest.ts'
import type { Deadline } from './deadlines.ts'
import { SessionError } from './errors.ts'
import type { GuardedStore } from './guarded-store.ts'
import type { SessionState } from './session.ts'
import { storeKey, type ManagerSettings } from './settings.ts'
import type { Entry, Written } from './store.ts'

/**
 * Moves a session to a new ID: creates the record under the new key, then ends the old one if it is still what this
 * request knows. So no change of another request is lost, of two at once one wins, and a crash in between leaves only a
 * record whose ID nobody holds.
 */
export class Regeneration {
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #contest: Contest

  constructor(settings: ManagerSettings, store: GuardedStore, contest: Contest) {
    this.#settings = settings
    this.#store = store
    this.#contest = contest
  }

  /** `'empty'` if there is nothing to move: then the session is to be removed instead. */
  async run(state: SessionState, nextId: string, expiresAt: number): Promise<'ok' | 'gone' | 'empty'> {
    const { draft, deadline } = state
    const { keepEmpty, events, absoluteTimeout, pause } = this.#settings
    const newKey = storeKey(this.#settings, nextId)
    const until = state.createdAt + absoluteTimeout
    const withdraw = async (): Promise<unknown> => this.#store.destroy(newKey, undefined, deadline, until)
    let successor: Entry | undefined
    try {
      for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
        const payload = draft.write(nextHeader(state), draft.changes())
        if (!keepEmpty && isEmpty(payload)) {
          if (successor !== undefined) await withdraw()
          return 'empty'
        }
        const written = await this.#write(newKey, payload, expiresAt, successor, deadline)
        successor = written.entry
        const outcome = await this.#store.destroy(keyOf(state), entryOf(state), deadline, until)
        if (outcome === 'ok') {
          Object.assign(state, {
            id: nextId,
            key: newKey,
            nextId: undefined,
            entry: successor,
            handle: written.handle,
          })
          draft.settle(payload)
          events.emit({ type: 'regenerated' })
          return 'ok'
        }
        const newer =
          outcome === 'gone' ? undefined : await this.#store.read(keyOf(state), undefined, deadline)
        if (newer === undefined) {
          await withdraw()
          return this.#contest.gone(state)
        }
        this.#contest.rebase(state, newer)
        if (tries > 1) await this.#store.calls.queue(pause(jitter(tries)), deadline)
      }
      throw contention()
    } catch (error) {
      // The client keeps its old ID, so the new record must not stay; if it cannot be removed now, it expires unseen.
      if (successor !== undefined) await withdraw().catch(() => {})
      throw error
    }
  }

  /** Nobody else knows the new key, so whatever else the store answers is trouble. */
  async #write(
    key: string,
    payload: string,
    expiresAt: number,
    before: Entry | undefined,
    deadline: Deadline,
  ): Promise<Written> {
    const written =
      before === undefined
        ? await this.#store.create(key, payload, expiresAt, deadline)
        : await this.#store.replace(key, payload, expiresAt, before, deadline)
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

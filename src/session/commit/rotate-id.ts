import { entryOf, keyOf } from './retry.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { createId } from '../id.ts'
import { issuedAtOf } from '../expiry.ts'
import type { OldRecord, Regeneration } from './regenerate.ts'
import { redirectOf, redirectPayload } from '../redirect.ts'
import type { SessionState } from '../state.ts'
import type { ManagerSettings } from '../resolve-options.ts'
import type { Entry } from '../../store.ts'

/**
 * Gives a session a new ID when the one it has is older than `rotateAfter`. It is a regeneration that leaves a way behind:
 * for `rotateGrace` the old ID leads to the session, so that no parallel request is a stranger. Whoever comes with it
 * later is one, and an event tells: either the client never got its new ID, or somebody has stolen the old one.
 *
 * The idea is the PHP manual's (session_regenerate_id, "obsolete" sessions).
 */
export class IdRotation implements OldRecord {
  readonly keepsRedirect = true
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #regeneration: Regeneration
  /** The keys of sessions that this process is renewing: one request is enough. */
  readonly #underWay = new Set<string>()

  constructor(settings: ManagerSettings, store: GuardedStore, regeneration: Regeneration) {
    this.#settings = settings
    this.#store = store
    this.#regeneration = regeneration
  }

  /** Whether the session is to have a new ID now, and its client can be told. */
  isDue(state: SessionState): boolean {
    const { rotateAfter, store, now } = this.#settings
    if (rotateAfter === undefined || state.answer === undefined) return false
    if (state.isRedirected || state.openOptions.passive === true || store.traits.location === 'client')
      return false
    // An ID from the future was issued by a clock that was wrong, and must not live until then.
    if (Math.abs(now() - issuedAtOf(state)) < rotateAfter) return false
    return !this.#underWay.has(keyOf(state)) && state.answer.canRotate()
  }

  /**
   * `'put-off'` if the session keeps its ID, since another request was faster or the store in trouble: its changes are
   * still to be committed then.
   */
  async run(state: SessionState, expiresAt: () => number): Promise<'ok' | 'gone' | 'put-off'> {
    const key = keyOf(state)
    this.#underWay.add(key)
    try {
      const outcome = await this.#regeneration.move(state, createId(this.#settings.idPrefix), expiresAt, this)
      if (outcome === 'ok') this.#settings.events.emit({ type: 'rotated' })
      return outcome === 'ok' || outcome === 'gone' ? outcome : 'put-off'
    } catch {
      // What kept the session from moving keeps its changes from being stored too, or else they are stored where it is.
      return 'put-off'
    } finally {
      this.#underWay.delete(key)
    }
  }

  /** Puts the way to the new record in the place of the old one. */
  async leave(state: SessionState, successor: string): Promise<'ok' | 'conflict' | 'gone'> {
    const { now, rotateGrace, idleTimeout, limits } = this.#settings
    const until = now() + rotateGrace
    const payload = redirectPayload(state.createdAt, { successor, until }, limits)
    const key = keyOf(state)
    try {
      const written = await this.#store.replace(
        key,
        payload,
        until + idleTimeout,
        entryOf(state),
        state.deadline,
      )
      return typeof written === 'string' ? written : 'ok'
    } catch (error) {
      if (leadsTo(successor, await this.#store.read(key, undefined, state.deadline))) return 'ok'
      throw error
    }
  }

  /** Only if nothing leads to the new record may it go. */
  async recover(state: SessionState, successor: string): Promise<boolean> {
    try {
      return !leadsTo(successor, await this.#store.read(keyOf(state), undefined, state.deadline))
    } catch {
      return false
    }
  }
}

function leadsTo(successor: string, entry: Entry | undefined): boolean {
  return entry !== undefined && redirectOf(entry.payload)?.successor === successor
}

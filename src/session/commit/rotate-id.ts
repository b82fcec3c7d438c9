import type { Entry } from '../../store.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { issuedAtOf } from '../expiry.ts'
import { createId } from '../id.ts'
import { redirectOf, redirectPayload } from '../redirect.ts'
import type { ManagerSettings } from '../options.ts'
import type { SessionState } from '../state.ts'
import type { OldRecord, Regeneration } from './regenerate.ts'

type RotationSettings = Pick<
  ManagerSettings,
  'store' | 'now' | 'events' | 'limits' | 'idPrefix' | 'idleTimeout' | 'rotateAfter' | 'rotateGrace'
>

/**
 * Rotation: gives a session a new ID when its present one is older than `rotateAfter`, and leaves a redirect. For
 * `rotateGrace` the old ID leads to the session, so that parallel requests still find it. If it is presented later, the
 * event `retired-id` tells: either the client never received its new ID, or the old one was stolen.
 *
 * The idea is from the PHP manual (session_regenerate_id, "obsolete" sessions).
 */
export class IdRotation implements OldRecord {
  readonly keepsRedirect = true
  readonly #settings: RotationSettings
  readonly #store: GuardedStore
  readonly #regeneration: Regeneration
  /** The keys of the sessions that this process is rotating: one request does it. */
  readonly #underWay = new Set<string>()

  constructor(settings: RotationSettings, store: GuardedStore, regeneration: Regeneration) {
    this.#settings = settings
    this.#store = store
    this.#regeneration = regeneration
  }

  /** Whether the session's ID is to be rotated now, and its client can be told. */
  isDue(state: SessionState): boolean {
    const { rotateAfter, store, now } = this.#settings
    if (rotateAfter === undefined || state.response === undefined) return false
    if (state.isRedirected || state.openOptions.passive === true || store.traits.location === 'client')
      return false
    // An ID from the future was issued by a wrong clock, and must not live until then.
    if (Math.abs(now() - issuedAtOf(state)) < rotateAfter) return false
    return !this.#underWay.has(state.storedKey) && state.response.canRotate()
  }

  /**
   * Rotates the ID. `'put-off'` if the session keeps it, since another request was faster or the store failed: the changes
   * are still to be committed then.
   */
  async run(state: SessionState): Promise<'ok' | 'gone' | 'put-off'> {
    const key = state.storedKey
    this.#underWay.add(key)
    try {
      const outcome = await this.#regeneration.move(state, createId(this.#settings.idPrefix), this)
      if (outcome === 'moved') this.#settings.events.emit({ type: 'rotated' })
      if (outcome === 'moved') return 'ok'
      return outcome === 'gone' ? 'gone' : 'put-off'
    } catch {
      // A commit under the old ID follows. It stores the changes, or fails for the same reason and says so.
      return 'put-off'
    } finally {
      this.#underWay.delete(key)
    }
  }

  /** Replaces the old record by a redirect to the new one. */
  async leave(state: SessionState, successor: string, base: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    const { now, rotateGrace, idleTimeout, limits } = this.#settings
    const until = now() + rotateGrace
    const payload = redirectPayload(state.createdAt, { successor, until }, limits)
    try {
      const written = await this.#store.replace(
        state.storedKey,
        payload,
        until + idleTimeout,
        base,
        state.deadline,
      )
      return typeof written === 'string' ? written : 'ok'
    } catch (error) {
      if (await this.#leadsTo(state, successor)) return 'ok'
      throw error
    }
  }

  /** The new record may be removed only if nothing leads to it. */
  async recover(state: SessionState, successor: string): Promise<boolean> {
    try {
      return !(await this.#leadsTo(state, successor))
    } catch {
      return false
    }
  }

  async #leadsTo({ storedKey, deadline }: SessionState, successor: string): Promise<boolean> {
    const entry = await this.#store.read(storedKey, undefined, deadline)
    return entry !== undefined && redirectOf(entry.payload)?.successor === successor
  }
}

import { issuedAtOf } from '../expiry.ts'
import { createId } from '../id.ts'
import type { ManagerSettings } from '../options.ts'
import type { SessionState } from '../state.ts'
import type { Mover } from './move.ts'

type RotationSettings = Pick<ManagerSettings, 'store' | 'now' | 'events' | 'idPrefix' | 'rotateAfter'>

/**
 * Rotation: gives a session a new ID when its present one is older than `rotateAfter`. For `rotateGrace` the old ID leads to
 * the session, so that parallel requests still find it. If it is presented later, the event `retired-id` tells: either the
 * client never received its new ID, or the old one was stolen.
 *
 * The idea is from the PHP manual (session_regenerate_id, "obsolete" sessions).
 */
export class IdRotation {
  readonly #settings: RotationSettings
  readonly #mover: Mover
  /** The keys of the sessions that this process is rotating: one request does it. */
  readonly #underWay = new Set<string>()

  constructor(settings: RotationSettings, mover: Mover) {
    this.#settings = settings
    this.#mover = mover
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
      const outcome = await this.#mover.move(state, createId(this.#settings.idPrefix), 'open')
      if (outcome === 'gone') return 'gone'
      if (outcome !== 'moved') return 'put-off'
      this.#settings.events.emit({ type: 'rotated', handle: state.handle })
      return 'ok'
    } catch (error) {
      if (state.unsettledMove !== undefined) throw error
      // A commit under the old ID follows. It stores the changes, or fails for the same reason and says so.
      return 'put-off'
    } finally {
      this.#underWay.delete(key)
    }
  }
}

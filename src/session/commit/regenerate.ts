import { SessionError } from '../../errors.ts'
import { createId } from '../id.ts'
import type { ManagerSettings } from '../options.ts'
import { unbind } from '../owners/sign-in.ts'
import type { SessionState } from '../state.ts'
import type { Mover } from './move.ts'
import { conflict } from './conflict.ts'

/**
 * `regenerate()`: gives a session a new ID, and refuses what began under the old one. The old ID opens nothing any more. Of two
 * regenerations the first wins. A client that has gone away is not given a new ID, so that it cannot be logged in by a
 * response that it never sees.
 */
export class Regeneration {
  readonly #settings: Pick<ManagerSettings, 'idPrefix' | 'events'>
  readonly #mover: Mover

  constructor(settings: Pick<ManagerSettings, 'idPrefix' | 'events'>, mover: Mover) {
    this.#settings = settings
    this.#mover = mover
  }

  /**
   * Moves the session to `nextId`. `empty` if there is nothing to move: the session is to be removed instead. `gone` if it was
   * ended, and a sign-in begins another one.
   *
   * @throws SessionError `ERR_SESSION_CONFLICT` if the session was ended or regenerated meanwhile, or the client is gone
   */
  async run(state: SessionState, nextId: string): Promise<'ok' | 'empty' | 'gone'> {
    let outcome
    try {
      outcome = await this.#mover.move(state, nextId, 'commit')
    } catch (error) {
      // The record under this ID may still arrive late, so the ID is not used again.
      state.replaceNextId(createId(this.#settings.idPrefix))
      if (error instanceof SessionError && error.code === 'ERR_SESSION_CONFLICT') refuseSignIn(state)
      throw error
    }
    if (outcome === 'empty') return 'empty'
    if (outcome !== 'moved' && state.signIn !== undefined) return 'gone'
    if (outcome !== 'moved') throw endedMeanwhile()
    this.#settings.events.emit({ type: 'regenerated', handle: state.handle })
    return 'ok'
  }
}

/** The session is not the owner's after a sign-in that was refused. */
function refuseSignIn(state: SessionState): void {
  if (state.signIn === undefined) return
  unbind(state.draft.attributes)
  state.signedIn()
}

export function endedMeanwhile(): Error {
  return conflict(
    'regenerate(): another request has ended this session, and it stays ended; nothing was stored',
  )
}

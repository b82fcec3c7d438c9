import { contention, MAX_TRIES } from './retry.ts'
import { startDeadline, type Deadline } from '../../stores/shared/deadlines.ts'
import { SessionError } from '../../errors.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { isId } from '../id.ts'
import { redirectOf } from '../redirect.ts'
import { storeKey, type ManagerSettings } from '../settings.ts'
import type { Entry } from '../../store.ts'

/**
 * Ends a session wherever a renewal has moved it meanwhile. So only what this request knows is ended: were it whatever
 * stands there, it could be the way to the session, which would live on under its new ID.
 */
export async function endSession(
  store: GuardedStore,
  key: string,
  known: Entry | undefined,
  deadline: Deadline,
  until: number,
): Promise<void> {
  if (store.store.traits.location === 'client') {
    await store.destroy(key, undefined, deadline, until) // by its key alone: who holds which credential is not known
    return
  }
  let at = key
  let entry = known
  let failed = false
  for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
    try {
      entry ??= await store.read(at, undefined, deadline)
    } catch (error) {
      if (isTrouble(error)) throw error
      await store.destroy(at, undefined, deadline) // damaged from outside: it leads nowhere
      return
    }
    if (entry === undefined) return
    const redirect = redirectOf(entry.payload)
    if (redirect === undefined) {
      try {
        if ((await store.destroy(at, entry, deadline)) !== 'conflict') return
      } catch (error) {
        // It may have been ended although the answer was lost: look again, once.
        if (failed || !isTrouble(error)) throw error
        failed = true
      }
    } else at = redirect.successor
    entry = undefined
  }
  throw contention()
}

/** Ends the session with this ID, whoever holds it. */
export async function endById(settings: ManagerSettings, store: GuardedStore, id: string): Promise<void> {
  const { idPrefix, commitTimeout, absoluteTimeout, events, now } = settings
  const { name, location, revocable } = settings.store.traits
  if (location === 'client' && !revocable) {
    const text = `${name}: this store cannot end a session by its ID: it keeps none, and no list of ended ones`
    throw new SessionError('ERR_SESSION_STATE', text)
  }
  if (!isId(id, idPrefix)) return
  const deadline = startDeadline('commitTimeout', commitTimeout)
  await endSession(store, storeKey(settings, id), undefined, deadline, now() + absoluteTimeout)
  events.emit({ type: 'destroyed' })
}

function isTrouble(error: unknown): boolean {
  return !(error instanceof SessionError) || error.status === 503
}

import { SessionError } from '../../errors.ts'
import type { Entry } from '../../store.ts'
import { startDeadline, type Deadline } from '../../stores/shared/deadlines.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { isId, storeKey } from '../id.ts'
import { followRedirects, redirectOf } from '../redirect.ts'
import type { ManagerSettings } from '../options.ts'
import { contention, MAX_TRIES } from './retry.ts'

/**
 * Ends a session, under whatever key a rotation has moved it to. A record is destroyed only if it is the one that was read:
 * otherwise it could be a redirect by then, and the session would live on under its new ID.
 *
 * @param known the entry under `key`, where this request has read it
 * @param until when every credential of the session will have expired, for stores on the client
 */
export async function endSession(
  store: GuardedStore,
  key: string,
  known: Entry | undefined,
  deadline: Deadline,
  until: number,
): Promise<void> {
  if (store.store.traits.location === 'client') {
    // By its key alone: which credentials were handed out is not known.
    await store.destroy(key, undefined, deadline, until)
    return
  }
  let at = key
  let entry = known
  let hasFailed = false
  const read = async (next: string): Promise<Entry | undefined> => {
    at = next
    return store.read(next, undefined, deadline)
  }
  for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
    try {
      const end = await followRedirects(at, read, ({ payload }) => redirectOf(payload), entry)
      entry = end.record
    } catch (error) {
      if (isTrouble(error)) throw error
      // The store has answered: the record is damaged, and leads nowhere.
      await store.destroy(at, undefined, deadline)
      return
    }
    if (entry === undefined) return
    try {
      if ((await store.destroy(at, entry, deadline)) !== 'conflict') return
    } catch (error) {
      // The record may have been destroyed although the reply was lost: read again, once.
      if (hasFailed || !isTrouble(error)) throw error
      hasFailed = true
    }
    entry = undefined
  }
  throw contention()
}

/** Ends the session with this ID. */
export async function endById(
  settings: Pick<
    ManagerSettings,
    'store' | 'hash' | 'idPrefix' | 'commitTimeout' | 'absoluteTimeout' | 'events' | 'now'
  >,
  store: GuardedStore,
  id: string,
): Promise<void> {
  const { idPrefix, commitTimeout, absoluteTimeout, events, now } = settings
  const { name, location, revocable } = settings.store.traits
  if (location === 'client' && !revocable) {
    const text = `${name}: this store cannot end a session by its ID: it keeps neither sessions nor a list of ended ones`
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

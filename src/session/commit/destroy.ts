import { SessionError } from '../../errors.ts'
import { isAnswer, type Entry } from '../../store.ts'
import { isMistake } from '../../stores/shared/errors.ts'
import { startDeadline, type Deadline } from '../../stores/shared/deadlines.ts'
import type { GuardedStore } from '../backend/guarded-store.ts'
import { isId, storeKey } from '../id.ts'
import type { OwnerRecords } from '../owners/owner-records.ts'
import { ownerKey, ownerOfPayload } from '../owners/owner.ts'
import {
  handleOf,
  isTombstonePayload,
  redirectOf,
  tombstoneKey,
  tombstonePayload,
  trailKey,
  type Redirect,
} from '../redirect.ts'
import type { ManagerSettings } from '../options.ts'
import { conflict } from './conflict.ts'

/** A session moves only while it is being ended, so these many moves in a row do not happen. */
const MAX_MOVES = 10

type DestroySettings = Pick<
  ManagerSettings,
  'hash' | 'idPrefix' | 'commitTimeout' | 'absoluteTimeout' | 'limits' | 'events' | 'now' | 'store'
>

/** A session that was ended. */
export interface EndedSession {
  /** Its handle; `undefined` if its record cannot be read. */
  readonly handle: string | undefined
}

/** A record that could not be read was removed. */
const unreadable: EndedSession = { handle: undefined }

/**
 * Ends sessions. It never loses against requests that write at the same time, and takes a bounded number of calls: one
 * where no other request interferes, and three more for each time that the session is given a new ID meanwhile.
 *
 * A record is destroyed if it is the one that was read. If it is not, another request may be making a redirect of it: then
 * a tombstone is put down before the record is read again and destroyed whatever it is. A request that moves the session
 * reads the tombstone after its redirect is stored, and takes the move back.
 */
export class Destroyer {
  readonly #settings: DestroySettings
  readonly #store: GuardedStore
  readonly #owners: OwnerRecords

  constructor(settings: DestroySettings, store: GuardedStore, owners: OwnerRecords) {
    this.#settings = settings
    this.#store = store
    this.#owners = owners
  }

  /**
   * As {@link end}, and ends all that is listed under the session's handle if its record was not there any more: one that ends
   * the owner's other sessions may have removed the redirect to it.
   */
  async logOut(
    key: string,
    known: Entry | undefined,
    deadline: Deadline,
    until: number,
  ): Promise<EndedSession | undefined> {
    const seen: string[] = known === undefined ? [] : [known.payload]
    const ended = await this.end(key, known, deadline, until, (payload) => seen.push(payload))
    if (ended !== undefined || this.#store.store.traits.location === 'client') return ended
    for (const payload of seen) {
      const [owner, handle] = [ownerOfPayload(payload), handleOf(payload)]
      const listedUnder =
        owner === undefined ? redirectOf(payload)?.ownerKey : ownerKey(owner, this.#settings.hash)
      if (listedUnder === undefined || handle === undefined) continue
      const hasEnded = await this.#owners.end({ ownerKey: listedUnder }, handle, deadline)
      return hasEnded ? { handle } : undefined
    }
    return undefined
  }

  /**
   * Ends the session under `key`, under whatever key it was moved to.
   *
   * @param known the entry under `key`, where this request has read it
   * @param until when every credential of the session will have expired, for stores on the client
   * @returns what was ended; `undefined` if there was no session to end
   */
  async end(
    key: string,
    known: Entry | undefined,
    deadline: Deadline,
    until: number,
    onRead: (payload: string) => void = () => {},
  ): Promise<EndedSession | undefined> {
    const store = this.#store
    if (store.store.traits.location === 'client') {
      // By its key alone: which credentials were handed out is not known.
      const outcome = await store.destroy(key, undefined, deadline, until)
      return outcome === 'ok' ? { handle: known && handleOf(known.payload) } : undefined
    }
    let at = key
    let entry: Entry | 'removed' | undefined = known
    let refusal: unknown
    for (let moves = 0; moves <= MAX_MOVES; moves += 1) {
      entry ??= await this.#read(at, deadline)
      if (entry === 'removed') return unreadable
      if (entry === undefined || isTombstonePayload(entry.payload)) return undefined
      onRead(entry.payload)
      const ended = { handle: handleOf(entry.payload) }
      const redirect = redirectOf(entry.payload)
      if (redirect === undefined) {
        const outcome = await this.#endIfSame(at, entry, deadline)
        if (outcome !== 'conflict') return outcome === 'ok' ? ended : undefined
        refusal = await this.#putTombstone(at, deadline)
        if (refusal !== undefined) {
          // The store refuses to write, so few others write either: the record is read and compared again.
          entry = undefined
          continue
        }
        const newer = await this.#read(at, deadline)
        if (newer === 'removed') return unreadable
        if (newer === undefined) return undefined
        const moved = redirectOf(newer.payload)
        if (moved === undefined)
          return (await store.destroy(at, undefined, deadline)) === 'ok' ? ended : undefined
        at = await this.#successor(moved, deadline)
      } else at = await this.#successor(redirect, deadline)
      entry = undefined
    }
    throw (
      refusal ??
      conflict('the session was given a new ID again and again while it was to be ended; try again')
    )
  }

  /** Where a redirect leads. From one whose grace is over there may have been many rotations, which the trail skips. */
  async #successor({ successor, until, mode, trail }: Redirect, deadline: Deadline): Promise<string> {
    const { hash, now } = this.#settings
    if (mode !== 'open' || trail === undefined || now() < until) return successor
    const latest = await this.#read(trailKey(trail, hash), deadline)
    const redirect = typeof latest === 'object' ? redirectOf(latest.payload) : undefined
    return redirect?.successor ?? successor
  }

  /** Ends the session with this ID. Returns whether there was one. */
  async endById(id: string): Promise<boolean> {
    const { idPrefix, commitTimeout, absoluteTimeout, events, now, store } = this.#settings
    const { name, location, revocable } = store.traits
    if (location === 'client' && !revocable) {
      const text = `${name}: this store cannot end a session by its ID: it keeps neither sessions nor a list of ended ones`
      throw new SessionError('ERR_SESSION_STATE', text)
    }
    if (!isId(id, idPrefix)) return false
    const deadline = startDeadline('commitTimeout', commitTimeout)
    const key = storeKey(this.#settings, id)
    const ended = await this.logOut(key, undefined, deadline, now() + absoluteTimeout)
    if (ended !== undefined) events.emit({ type: 'destroyed', handle: ended.handle })
    return ended !== undefined
  }

  /** Whether a tombstone says that the session was ended while it was under this key. */
  async isEnded(key: string, deadline: Deadline): Promise<boolean> {
    const entry = await this.#store.read(tombstoneKey(key, this.#settings.hash), undefined, deadline)
    return entry !== undefined
  }

  /** Destroys the record if it is this entry. After a reply that was lost it is looked at again, once. */
  async #endIfSame(key: string, entry: Entry, deadline: Deadline): Promise<'ok' | 'gone' | 'conflict'> {
    try {
      return await this.#store.destroy(key, entry, deadline)
    } catch (error) {
      if (!isTrouble(error) || isMistake(error)) throw error
      const newer = await this.#read(key, deadline)
      // What has removed it is not known: it may have been a redirect that has expired.
      return newer === undefined ? 'gone' : this.#store.destroy(key, entry, deadline)
    }
  }

  /** A record that cannot be read is destroyed: it is damaged, and leads nowhere. */
  async #read(key: string, deadline: Deadline): Promise<Entry | 'removed' | undefined> {
    try {
      return await this.#store.read(key, undefined, deadline)
    } catch (error) {
      if (isTrouble(error)) throw error
      return (await this.#store.destroy(key, undefined, deadline)) === 'ok' ? 'removed' : undefined
    }
  }

  /** Returns the error of a store that refuses to write; other errors are thrown. */
  async #putTombstone(key: string, deadline: Deadline): Promise<unknown> {
    try {
      await this.occupy(tombstoneKey(key, this.#settings.hash), deadline)
      return undefined
    } catch (error) {
      if (isAnswer(error)) return error
      throw error
    }
  }

  /** Puts a tombstone under the key, if nothing is there. */
  async occupy(key: string, deadline: Deadline): Promise<void> {
    const { limits, commitTimeout, now } = this.#settings
    const create = async (): Promise<unknown> => {
      const at = now()
      // It lives as long as any operation that may be under way, and as long again.
      return this.#store.create(key, tombstonePayload(at, limits), at + 2 * commitTimeout, deadline)
    }
    try {
      await create()
    } catch (error) {
      if (!isTrouble(error) || isAnswer(error) || isMistake(error)) throw error
      await create() // two of the same do no harm
    }
  }
}

function isTrouble(error: unknown): boolean {
  return !(error instanceof SessionError) || error.status === 503
}

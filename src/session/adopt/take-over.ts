import * as crypto from 'node:crypto'
import { createVersion, Document } from '../../codec/document/document.ts'
import { readHeader } from '../../codec/document/header.ts'
import { SessionError } from '../../errors.ts'
import type { Deadline } from '../../stores/shared/deadlines.ts'
import { wasRefused, type GuardedStore } from '../backend/guarded-store.ts'
import { StoreCalls } from '../backend/store-calls.ts'
import type { Destroyer } from '../commit/destroy.ts'
import type { Draft } from '../draft.ts'
import { createHandle } from '../handle.ts'
import { hashId, storeKey } from '../id.ts'
import type { ManagerSettings } from '../options.ts'
import { holdsNothing } from '../owners/owner.ts'
import { tombstonePayload } from '../redirect.ts'
import type { Importer, OldCredential, OldSession } from './importer.ts'

/** The header attribute of a marker that holds its nonce. */
const ADOPTED = 'adopted'
const NONCE = /^[\w-]{22}$/
/** What a marker says of a session that was ended before it was taken over. */
const ENDED = 'ended'

const HOUR = 60 * 60 * 1000
/** How long a marker lives at most, and that of an old session which has no end, in ms. */
const LONGEST = 5 * 365 * 24 * HOUR

/** An old session, and what its new record holds. */
interface Copy {
  readonly payload: string
  readonly handle: string
  readonly expiresAt: number
  /** By then no credential of the old session is valid. */
  readonly until: number
}

/**
 * Takes sessions of other libraries over.
 *
 * An old session has one *marker* in the store, under a hash of its ID, which is created once and lives until the old session must have ended. It holds a
 * nonce. The new ID is made of the nonce and of the old ID, so that nothing that is stored leads to it. An old credential is another name of that ID: it
 * opens what the ID opens, and ends with it, by a logout, `regenerate()`, a rotation or time.
 *
 * The new record is created before the marker, under an ID that no other request can know. Of several requests one creates the marker; the others
 * remove their records and follow. No key is created twice, so that nothing that was ended comes back.
 */
export class TakeOver {
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  readonly #destroyer: Destroyer
  readonly #createDraft: () => Draft
  /** The calls of each importer, which have a circuit breaker of their own. */
  readonly #calls = new Map<Importer, StoreCalls>()
  #isClosed = false

  constructor(
    settings: ManagerSettings,
    store: GuardedStore,
    destroyer: Destroyer,
    createDraft: () => Draft,
  ) {
    this.#settings = settings
    this.#store = store
    this.#destroyer = destroyer
    this.#createDraft = createDraft
  }

  /**
   * The ID that the old session has now. A session that has none yet is taken over.
   *
   * @returns `undefined` if there is no such session, it was ended, or it cannot be read
   * @throws SessionError `ERR_SESSION_STORE` if one of the two stores fails
   */
  async idOf(old: OldCredential, deadline: Deadline): Promise<string | undefined> {
    const nonce = (await this.#readMarker(old, deadline)) ?? (await this.#adopt(old, deadline))
    return nonce === undefined || nonce === ENDED ? undefined : this.#newId(old, nonce)
  }

  /**
   * Ends the session, whether or not it was taken over: in both stores, and so that it never is.
   *
   * @returns whether there was a session that had been taken over
   */
  async end(old: OldCredential, deadline: Deadline): Promise<boolean> {
    const { now, absoluteTimeout, limits } = this.#settings
    let nonce = await this.#readMarker(old, deadline)
    if (nonce === undefined) {
      const session = await this.#readOld(old, deadline, 'unread')
      if (session === undefined) return false
      const until = this.#markerEnd(session === 'unread' ? undefined : session.expiresAt)
      const payload = tombstonePayload(now(), limits)
      const left = await this.#store.create(this.#markerKey(old), payload, until, deadline)
      nonce = left === 'exists' ? await this.#readMarker(old, deadline) : ENDED
    }
    let hasEnded = false
    if (nonce !== undefined && nonce !== ENDED) {
      const key = storeKey(this.#settings, this.#newId(old, nonce))
      const ended = await this.#destroyer.logOut(key, undefined, deadline, now() + absoluteTimeout)
      hasEnded = ended !== undefined
    }
    const { importer, id } = old
    await this.#callsOf(importer).run('destroy', async () => importer.destroy?.(id), deadline)
    return hasEnded
  }

  /** Refuses further calls to old stores. */
  close(): void {
    this.#isClosed = true
    for (const calls of this.#calls.values()) calls.close()
  }

  /** Returns the nonce of the marker, which may be that of another request. */
  async #adopt(old: OldCredential, deadline: Deadline): Promise<string | undefined> {
    const copy = await this.#copy(old, deadline)
    if (copy === undefined) return undefined
    const nonce = createHandle()
    const key = storeKey(this.#settings, this.#newId(old, nonce))
    const { payload, handle, expiresAt, until } = copy
    if ((await this.#store.create(key, payload, expiresAt, deadline)) === 'exists') throw taken()
    let left: unknown
    try {
      left = await this.#store.create(this.#markerKey(old), this.#marker(nonce), until, deadline)
    } catch (error) {
      // If the outcome is unknown, the marker may still arrive, and must not lead to a session that was removed.
      if (wasRefused(error)) await this.#withdraw(key, deadline)
      throw error
    }
    if (left === 'exists') {
      await this.#withdraw(key, deadline)
      return this.#readMarker(old, deadline)
    }
    this.#settings.events.emit({ type: 'adopted', handle, from: old.importer.name })
    return nonce
  }

  /** Removes a new record whose ID no client and no other request can know. */
  async #withdraw(key: string, deadline: Deadline): Promise<void> {
    await this.#store.destroy(key, undefined, deadline).catch(() => {}) // it expires
  }

  /** What the session's new record holds. `undefined` if there is no session, or one that cannot be kept. */
  async #copy(old: OldCredential, deadline: Deadline): Promise<Copy | undefined> {
    const { now, idleTimeout, absoluteTimeout, keepEmpty } = this.#settings
    const session = await this.#readOld(old, deadline)
    if (session === undefined) return undefined
    const at = now()
    const end = session.expiresAt ?? Infinity
    const draft = this.#createDraft()
    try {
      for (const [key, value] of Object.entries(session.values))
        if (value !== undefined) draft.set(key, value)
      const header = { version: createVersion(), createdAt: at, attributes: draft.attributes.write() }
      const payload = draft.write(header, draft.changes())
      if (holdsNothing(payload) && !keepEmpty) return undefined
      const expiresAt = Math.floor(Math.min(at + Math.min(idleTimeout, absoluteTimeout), end))
      return {
        payload,
        handle: draft.attributes.handle,
        expiresAt,
        until: this.#markerEnd(session.expiresAt),
      }
    } catch (error) {
      this.#unreadable(error)
      return undefined
    }
  }

  /** The old session, if it is still valid. `unread` is returned for one that is there and cannot be read. */
  async #readOld(old: OldCredential, deadline: Deadline): Promise<OldSession | undefined>
  async #readOld(
    old: OldCredential,
    deadline: Deadline,
    unread: 'unread',
  ): Promise<OldSession | 'unread' | undefined>
  async #readOld(
    { importer, id }: OldCredential,
    deadline: Deadline,
    unread?: 'unread',
  ): Promise<OldSession | 'unread' | undefined> {
    const now = this.#settings.now()
    try {
      const session = await this.#callsOf(importer).run('read', async () => importer.read(id, now), deadline)
      return session !== undefined && (session.expiresAt ?? Infinity) > now ? session : undefined
    } catch (error) {
      if (isTrouble(error)) throw error
      this.#unreadable(error)
      return unread
    }
  }

  /** The nonce of the marker, {@link ENDED}, or `undefined` if there is none. One that cannot be read opens nothing. */
  async #readMarker(old: OldCredential, deadline: Deadline): Promise<string | undefined> {
    try {
      const entry = await this.#store.read(this.#markerKey(old), undefined, deadline)
      if (entry === undefined) return undefined
      const nonce = readHeader(entry.payload).header.attributes.get(ADOPTED)
      return nonce !== undefined && NONCE.test(nonce) ? nonce : ENDED
    } catch (error) {
      if (isTrouble(error)) throw error
      this.#unreadable(error)
      return ENDED
    }
  }

  #marker(nonce: string): string {
    const header = {
      version: createVersion(),
      createdAt: this.#settings.now(),
      attributes: new Map([[ADOPTED, nonce]]),
    }
    return Document.empty(header).write(header, new Map(), this.#settings.limits)
  }

  /**
   * Until when the marker is needed: as long as the old session lives, and as long again, since processes with the old library may still extend it while
   * they are replaced.
   */
  #markerEnd(end: number = Infinity): number {
    const now = this.#settings.now()
    return Math.floor(Math.min(end + Math.max(end - now, HOUR), now + LONGEST))
  }

  /**
   * The key of an old session's marker. No ID contains a space, so no ID leads there. Another option `hash` leaves it as it is, since what has ended must
   * stay so. Another `idPrefix` does not: it is how a program begins anew after a rollback.
   */
  #markerKey({ importer, id }: OldCredential): string {
    return hashId(`adopted ${this.#settings.idPrefix} ${nameOf(importer, id)}`)
  }

  #newId({ importer, id }: OldCredential, nonce: string): string {
    const hash = crypto.createHmac('sha256', nonce).update(`session ${nameOf(importer, id)}`)
    return this.#settings.idPrefix + hash.digest('base64url')
  }

  #callsOf(importer: Importer): StoreCalls {
    const known = this.#calls.get(importer)
    if (known !== undefined) return known
    const { events, maxPending } = this.#settings
    const calls = new StoreCalls({ events, maxPending, store: { traits: { name: importer.name } } })
    if (this.#isClosed) calls.close()
    this.#calls.set(importer, calls)
    return calls
  }

  #unreadable(error: unknown): void {
    this.#settings.events.emit({ type: 'decode-failed', handle: undefined, scope: 'payload', error })
  }
}

function nameOf({ name }: Importer, id: string): string {
  return JSON.stringify([name, id])
}

function isTrouble(error: unknown): boolean {
  return !(error instanceof SessionError) || error.status === 503
}

function taken(): SessionError {
  return new SessionError('ERR_SESSION_STORE', 'a new session ID is already taken')
}

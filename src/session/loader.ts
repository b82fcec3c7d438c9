import { Document } from '../codec/document/document.ts'
import type { Deadline } from '../stores/shared/deadlines.ts'
import { SessionError } from '../errors.ts'
import type { GuardedStore } from './backend/guarded-store.ts'
import { redirectIn } from './redirect.ts'
import { storeKey, type ManagerSettings } from './settings.ts'
import type { Entry } from '../store.ts'
import type { OpenOptions } from '../koa/request.ts'

/** Renewals are farther apart than their graces, so that there is one within one's grace; a few where clocks disagree. */
const MAX_MOVES = 5

/** What an ID leads to. */
export interface Found {
  readonly key: string
  readonly entry: Entry
  readonly document: Document
  /** The ID was renewed meanwhile, and still leads there. */
  readonly isRedirected: boolean
}

type Record = Pick<Found, 'entry' | 'document'>

/** Finds the living session that an ID belongs to. */
export class Loader {
  readonly #settings: ManagerSettings
  readonly #store: GuardedStore
  /** The key of what a visitor holds and we cannot read. It stays as it is, unless the visitor ends it. */
  readonly unread: WeakMap<OpenOptions, string> = new WeakMap()

  constructor(settings: ManagerSettings, store: GuardedStore) {
    this.#settings = settings
    this.#store = store
  }

  /** Its own record or, within the grace of a renewal, the one that took its place. */
  async find(
    id: string,
    openedAt: number,
    openOptions: OpenOptions,
    deadline: Deadline,
  ): Promise<Found | undefined> {
    let key = storeKey(this.#settings, id)
    for (let moves = 0; moves < MAX_MOVES; moves += 1) {
      const found = await this.#read(key, openedAt, openOptions, deadline)
      if (found === undefined) return undefined
      const redirect = redirectIn(found.document.header)
      if (redirect === undefined) return { key, ...found, isRedirected: moves > 0 }
      if (!(openedAt < redirect.until)) break
      key = redirect.successor
    }
    this.#settings.events.emit({ type: 'retired-id' })
    return undefined
  }

  /** A record that has not reached its absolute timeout; one that has is ended. */
  async #read(
    key: string,
    openedAt: number,
    openOptions: OpenOptions,
    deadline: Deadline,
  ): Promise<Record | undefined> {
    const { events, absoluteTimeout } = this.#settings
    const found = await this.#decode(key, openedAt, openOptions, deadline)
    if (found === undefined || found.document.header.createdAt + absoluteTimeout > openedAt) return found
    // Nothing is kept of what lives on the client, and every server sees that it is over.
    if (this.#settings.store.traits.location === 'server')
      await this.#store.destroy(key, found.entry, deadline)
    events.emit({ type: 'expired' })
    return undefined
  }

  /** A payload that cannot be read stays where it is; its holder gets a new session under a new ID. */
  async #decode(
    key: string,
    openedAt: number,
    openOptions: OpenOptions,
    deadline: Deadline,
  ): Promise<Record | undefined> {
    const { events, limits, idleTimeout, store } = this.#settings
    const extendTo = openOptions.passive === true ? undefined : openedAt + idleTimeout
    let entry: Entry | undefined
    try {
      entry = await this.#store.read(key, extendTo, deadline)
      if (entry !== undefined) return { entry, document: Document.parse(entry.payload, limits) }
      events.emit({ type: 'unknown' })
    } catch (error) {
      // A store that failed, or a manager that is closed, says nothing about the payload.
      const unreadable = error instanceof SessionError && error.status !== 503
      if (!unreadable) throw error
      const unread = store.traits.location === 'server' ? key : entry?.key
      if (unread !== undefined) this.unread.set(openOptions, unread)
      events.emit({ type: 'decode-failed', scope: 'payload', error })
    }
    return undefined
  }
}

import { Document } from '../codec/document/document.ts'
import { SessionError } from '../errors.ts'
import { isAnswer, type Entry } from '../store.ts'
import type { Deadline } from '../stores/shared/deadlines.ts'
import type { GuardedStore } from './backend/guarded-store.ts'
import type { Destroyer } from './commit/destroy.ts'
import { endIn } from './expiry.ts'
import { followRedirects, isTombstone, redirectIn, type Redirect } from './redirect.ts'
import { handleIn } from './handle.ts'
import { storeKey } from './id.ts'
import type { ManagerSettings } from './options.ts'
import type { OpenOptions } from './options.ts'

/** One reading of the store on behalf of one request. */
interface Opening {
  readonly openedAt: number
  readonly options: OpenOptions
  readonly deadline: Deadline
}

/** A stored record, parsed. */
interface LoadedRecord {
  readonly entry: Entry
  readonly document: Document
}

/** The record that an ID leads to. */
export interface Found extends LoadedRecord {
  readonly key: string
  /** The ID was rotated since; within `rotateGrace` it still leads to the session. */
  readonly isRedirected: boolean
  /** The keys of the redirects that led there. */
  readonly passedKeys: readonly string[]
}

const NONE: readonly string[] = []

type LoaderSettings = Pick<
  ManagerSettings,
  'store' | 'hash' | 'events' | 'limits' | 'idleTimeout' | 'absoluteTimeout' | 'onRetired'
>

/** Finds the stored session that an ID belongs to. */
export class Loader {
  readonly #settings: LoaderSettings
  readonly #store: GuardedStore
  readonly #destroyer: Destroyer
  /**
   * Keys of records that open nothing, but that `destroy()` ends: those that cannot be read here, and those of an earlier ID of
   * a session.
   */
  readonly #endable = new WeakMap<OpenOptions, string>()

  constructor(settings: LoaderSettings, store: GuardedStore, destroyer: Destroyer) {
    this.#settings = settings
    this.#store = store
    this.#destroyer = destroyer
  }

  /** The session's own record or, within the grace of a rotation, the record that replaced it. */
  async find(
    id: string,
    openedAt: number,
    options: OpenOptions,
    deadline: Deadline,
  ): Promise<Found | undefined> {
    const key = storeKey(this.#settings, id)
    const opening = { openedAt, options, deadline }
    const first = await this.#read(key, opening)
    if (first === undefined) return undefined
    const redirect = redirectIn(first.document.header)
    if (isTombstone(first.document.header)) return undefined
    if (redirect === undefined)
      return { key, entry: first.entry, document: first.document, isRedirected: false, passedKeys: NONE }
    return this.#follow(key, redirect, opening)
  }

  /** The key of the record that was found for this opening and opens nothing, but that `destroy()` ends. */
  endableKey(options: OpenOptions): string | undefined {
    return this.#endable.get(options)
  }

  async #follow(first: string, redirect: Redirect, opening: Opening): Promise<Found | undefined> {
    let last = redirect
    const passedKeys = [first]
    const leadsOn = ({ mode, until }: Redirect): boolean => mode === 'open' && opening.openedAt < until
    if (leadsOn(redirect)) {
      const { key, record } = await followRedirects(
        redirect.successor,
        (at) => this.#read(at, opening),
        ({ document }) => {
          const next = redirectIn(document.header)
          if (next === undefined) return undefined
          passedKeys.push(last.successor)
          last = next
          return leadsOn(next) ? next : undefined
        },
      )
      if (record === undefined) return undefined
      if (leadsOn(last)) return { key, ...record, isRedirected: true, passedKeys }
    }
    // An earlier ID is like one that never was, except that a logout still ends the session.
    this.#endable.set(opening.options, first)
    if (last.mode === 'open') await this.#retired(first, last, opening)
    else this.#settings.events.emit({ type: 'unknown' })
    return undefined
  }

  /** An ID is used that was rotated long ago: by a client that never received the new one, or by a thief. */
  async #retired(key: string, { handle }: Redirect, { openedAt, deadline }: Opening): Promise<void> {
    const { events, onRetired, absoluteTimeout } = this.#settings
    events.emit({ type: 'retired-id', handle })
    if (onRetired === 'report') return
    const ended = await this.#destroyer.logOut(key, undefined, deadline, openedAt + absoluteTimeout)
    if (ended !== undefined) events.emit({ type: 'destroyed', handle })
  }

  /** Reads and parses a record. One that has reached its absolute timeout, or the end in its header, is destroyed. */
  async #read(key: string, opening: Opening): Promise<LoadedRecord | undefined> {
    const { events, absoluteTimeout, store } = this.#settings
    const found = await this.#parse(key, opening)
    if (found === undefined) return undefined
    const { createdAt, attributes } = found.document.header
    const end = Math.min(createdAt + absoluteTimeout, endIn(attributes) ?? Infinity)
    if (end > opening.openedAt) return found
    // A store on the client keeps nothing, and every server sees that the session is over.
    if (store.traits.location === 'server') await this.#remove(key, found.entry, opening.deadline)
    events.emit({ type: 'expired', handle: handleIn(attributes) })
    return undefined
  }

  /** Removes a record that opens nothing any more. A store that refuses to write keeps it. */
  async #remove(key: string, entry: Entry, deadline: Deadline): Promise<void> {
    try {
      await this.#store.destroy(key, entry, deadline)
    } catch (error) {
      if (!isAnswer(error)) throw error
    }
  }

  /** A payload that cannot be parsed stays where it is; its client gets a new session under a new ID. */
  async #parse(key: string, { openedAt, options, deadline }: Opening): Promise<LoadedRecord | undefined> {
    const { events, limits, idleTimeout, store } = this.#settings
    const extendTo = options.passive === true ? undefined : openedAt + idleTimeout
    let entry: Entry | undefined
    try {
      entry = await this.#store.read(key, extendTo, deadline)
      if (entry !== undefined) return { entry, document: Document.parse(entry.payload, limits) }
      events.emit({ type: 'unknown' })
    } catch (error) {
      // A store that failed, or a manager that is closed, says nothing about the payload.
      const isUnreadable = error instanceof SessionError && error.status !== 503
      if (!isUnreadable) throw error
      const unreadable = store.traits.location === 'server' ? key : entry?.key
      if (unreadable !== undefined) this.#endable.set(options, unreadable)
      events.emit({ type: 'decode-failed', handle: undefined, scope: 'payload', error })
    }
    return undefined
  }
}

import { channel } from 'node:diagnostics_channel'
import type { SessionError } from '../errors.ts'
import type { ManagerStatus } from './tracing.ts'

/**
 * An event for logs and metrics. It contains counts and durations, but no session ID, key or value; nor does the message of an
 * `error` that this library has made. `durationMs` and `downMs` are milliseconds, `bytes` is the length of the payload.
 *
 * `handle` is the public name of the session that the event is about, the same in all of its events: see
 * {@link Session.handle}. It is `undefined` where the session's record cannot be read.
 *
 * - `created`: a new session was stored, and its ID is sent to the client.
 * - `loaded`: a stored session was opened.
 * - `adopted`: the session of another library was taken over; `from` is the name of its importer.
 * - `unknown`: the client presented an ID that has no session: it expired, was ended, or was never issued.
 * - `committed`: changes were stored. `tries` is 1 unless there were concurrent commits.
 * - `rebased`: a commit found a concurrent one, so its changes were replayed on the newer session.
 * - `conflict`: concurrent requests changed the same `keys`. The commit of this one was `refused` with status 409, or it has
 *   `overwritten` the other's changes, as isolation `'last-wins'` allows.
 * - `gone`: another request ended the session, so the changes of this one were dropped.
 * - `signed-in`: the session belongs to an owner now, who has so many `sessions`.
 * - `sign-in-refused`: the owner's sessions were `ended` since the credentials were looked at, or there are too many (`full`).
 * - `confirmed`: the owner has proven once more who it is.
 * - `ended`: sessions of an owner were ended: `one`, all `others`, or `all`.
 * - `owner-repaired`: the record of an owner was damaged, and begins anew with a sign-in. The sessions that it listed end.
 * - `unlisted`: a session was ended because its owner's record does not list it.
 * - `regenerated`: the session got a new ID by `regenerate()`.
 * - `destroyed`: a stored session was ended, by `destroy()`, or because its last value was removed.
 * - `rotated`: the session got a new ID because its ID was older than `rotateAfter`.
 * - `retired-id`: the client presented an ID that was rotated more than `rotateGrace` ago. It never received the new ID, or the
 *   ID was stolen. `onRetired` says what happens to the session.
 * - `expired`: a stored session had exceeded its absolute timeout.
 * - `decode-failed`: one key (`scope: 'key'`) or a whole payload could not be decoded, or the session of another library could not be taken over.
 *   What is stored stays as it is.
 * - `store-failed`: the store failed at this `verb`, or the store of another library whose sessions are taken over. `error.answered` tells a refusal, by a store that is full for instance, from
 *   silence.
 * - `store-refused`: the store was not called, because the circuit breaker is open (`down`) or `maxPending` is reached
 *   (`pending`).
 * - `store-down`: the circuit breaker opened after several failures in a row; the store is now only probed.
 * - `store-up`: the store responds again.
 * - `swept`: expired entries were removed from the store.
 * - `cookie-not-sent`: the session was saved, but its ID could not be sent to the client: the headers were already sent, the
 *   connection is not HTTPS although `cookie.secure` is true, or the route threw a value that cannot carry headers.
 * - `several-sessions`: the request carried cookies of our name with the IDs of two sessions, both valid. The first one was used, and
 *   `other` is the handle of the second. One of them is left over from another path or domain, or was planted by a neighbouring subdomain.
 * - `origin-refused`: `sessions.open(request)` was asked by a page of another origin, as in cross-site WebSocket hijacking.
 */
export type SessionEvent =
  | {
      readonly type: 'created' | 'loaded'
      readonly handle: string
      readonly bytes: number
      readonly durationMs: number
    }
  | { readonly type: 'unknown' }
  | { readonly type: 'adopted'; readonly handle: string; readonly from: string }
  | {
      readonly type: 'committed'
      readonly handle: string
      readonly bytes: number
      readonly tries: number
      readonly durationMs: number
    }
  | { readonly type: 'rebased'; readonly handle: string; readonly tries: number }
  | {
      readonly type: 'conflict'
      readonly handle: string
      readonly keys: number
      readonly outcome: 'refused' | 'overwritten'
    }
  | { readonly type: 'gone' | 'regenerated' | 'rotated' | 'confirmed' | 'unlisted'; readonly handle: string }
  | {
      readonly type: 'signed-in'
      readonly handle: string
      readonly sessions: number
      readonly isNewDevice: boolean
    }
  | { readonly type: 'sign-in-refused'; readonly handle: string; readonly reason: 'ended' | 'full' }
  | { readonly type: 'owner-repaired' }
  | { readonly type: 'ended'; readonly reason: 'one' | 'others' | 'all'; readonly sessions: number }
  | { readonly type: 'destroyed' | 'retired-id' | 'expired'; readonly handle: string | undefined }
  | {
      readonly type: 'decode-failed'
      readonly handle: string | undefined
      readonly scope: 'key' | 'payload'
      readonly error: unknown
    }
  | { readonly type: 'store-failed'; readonly verb: StoreVerb; readonly error: SessionError }
  | { readonly type: 'store-refused'; readonly verb: StoreVerb; readonly reason: 'down' | 'pending' }
  | { readonly type: 'store-down' }
  | { readonly type: 'store-up'; readonly downMs: number }
  | { readonly type: 'swept'; readonly removed: number; readonly durationMs: number }
  | {
      readonly type: 'cookie-not-sent'
      readonly handle: string | undefined
      readonly reason: 'no-response' | 'headers-sent' | 'not-secure'
    }
  | { readonly type: 'several-sessions'; readonly handle: string; readonly other: string }
  | { readonly type: 'origin-refused' }

/** The call to the store that an event is about. */
export type StoreVerb =
  | 'open'
  | 'read'
  | 'create'
  | 'replace'
  | 'touch'
  | 'destroy'
  | 'sweep'
  | 'count'
  | 'close'

/** What an event says to those that watch its session. */
const changes: { readonly [T in SessionEvent['type']]?: 'changed' | 'ended' } = {
  committed: 'changed',
  regenerated: 'changed',
  rotated: 'changed',
  'signed-in': 'changed',
  destroyed: 'ended',
  unlisted: 'ended',
  gone: 'ended',
}

const diagnostics = channel('koa-typed-session')
/** Events without those that almost each request has, for those who learn of these from the channels of operations. */
const notable = channel('koa-typed-session:notable')
const ordinary: ReadonlySet<SessionEvent['type']> = new Set(['created', 'loaded', 'committed'])

/** What subscribers of the channel `koa-typed-session` get, which all managers of a process share. */
export type PublishedEvent = SessionEvent & { readonly manager: ManagerStatus | undefined }

/** Sends events to `onEvent` and to subscribers of the `node:diagnostics_channel` `koa-typed-session`. */
export class Events {
  #manager: ManagerStatus | undefined
  readonly #onEvent: ((event: SessionEvent) => void) | undefined
  /** Those that watch single sessions, by the handle of each. */
  readonly #watchers = new Map<string, Set<(what: 'changed' | 'ended') => void>>()

  constructor(onEvent?: (event: SessionEvent) => void) {
    this.#onEvent = onEvent
  }

  /** Events are of this manager from now on. */
  ofManager(manager: ManagerStatus): void {
    this.#manager = manager
  }

  /** Whether there is a listener. On the hot path check this before creating an event. */
  get heard(): boolean {
    return this.#onEvent !== undefined || diagnostics.hasSubscribers || this.#watchers.size > 0
  }

  /** Tells what happens to one session in this process, until the function that is returned is called. */
  watch(handle: string, note: (what: 'changed' | 'ended') => void): () => void {
    const watchers = this.#watchers.get(handle) ?? new Set()
    this.#watchers.set(handle, watchers.add(note))
    return () => {
      watchers.delete(note)
      if (watchers.size === 0 && this.#watchers.get(handle) === watchers) this.#watchers.delete(handle)
    }
  }

  /** A session has changed, or was ended, as no event of its own says. */
  note(handle: string, what: 'changed' | 'ended'): void {
    for (const note of this.#watchers.get(handle) ?? []) note(what)
  }

  emit(event: SessionEvent): void {
    const what = changes[event.type]
    if (what !== undefined && 'handle' in event && event.handle !== undefined) this.note(event.handle, what)
    const isNotable = notable.hasSubscribers && !ordinary.has(event.type)
    if (isNotable || diagnostics.hasSubscribers) {
      const published: PublishedEvent = { ...event, manager: this.#manager }
      if (isNotable) notable.publish(published)
      diagnostics.publish(published)
    }
    if (this.#onEvent === undefined) return
    try {
      this.#onEvent(event)
    } catch (error) {
      // An error of the listener must not fail the request; it is reported as an uncaught exception instead.
      queueMicrotask(() => {
        throw error
      })
    }
  }
}

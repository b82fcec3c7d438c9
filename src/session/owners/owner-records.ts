import * as crypto from 'node:crypto'
import { createVersion, Document } from '../../codec/document/document.ts'
import { SessionError } from '../../errors.ts'
import type { Entry } from '../../store.ts'
import type { Deadline } from '../../stores/shared/deadlines.ts'
import { isMistake } from '../../stores/shared/errors.ts'
import { GuardedStore, isUnknown } from '../backend/guarded-store.ts'
import { backoff, conflict, MAX_TRIES } from '../commit/conflict.ts'
import { createHandle } from '../handle.ts'
import type { ManagerSettings } from '../options.ts'
import { followRedirects, isTombstonePayload, redirectOf } from '../redirect.ts'
import { OUTDATED, ownerKey, type Owner, type WhenFull } from './owner.ts'
import { OwnerRecord, type OwnerEntry } from './owner-record.ts'

/** How a session is listed in the record of its owner. */
export interface Listing {
  readonly handle: string
  /** The key of the session's record, which exists already and whose ID no client has been told. */
  readonly key: string
  readonly since: string | undefined
  readonly max: number
  readonly whenFull: WhenFull
  readonly label: string | undefined
  readonly device: string | undefined
}

/** A sign-in that was listed. */
export interface Listed {
  /** How many sessions the owner has now. */
  readonly sessions: number
  readonly isNewDevice: boolean
}

/** What is known of one of an owner's sessions. */
export interface ListedSession {
  /** Its public name, by which it can be ended. */
  readonly handle: string
  /** The label that it was given at its sign-in. */
  readonly label: string | undefined
  /** When it signed in, in ms since the epoch. */
  readonly signedInAt: number
  /** When it was last used, to a tenth of the idle timeout, in ms since the epoch. */
  readonly lastUsedAt: number
  /** When it ends unless it is used again, in ms since the epoch. */
  readonly expiresAt: number
}

/** An owner, or the key of its record. */
type OwnerPlace = Owner | { readonly ownerKey: string }

/** What a change of a record comes to, and whether the record must be written for it. */
interface Change<T> {
  readonly result: T
  readonly isChanged: boolean
}

/** An owner's record as it was read, or written. */
interface Reading<T> {
  readonly result: T
  readonly record: OwnerRecord
  readonly entry: Entry | undefined
}

/** What was found of a session under the keys that were listed then. */
interface Sight {
  readonly keys: readonly string[]
  /** Its record, if it still has one. */
  readonly live: Entry | undefined
}

/** What was found of each session, by its handle. */
type Found = ReadonlyMap<string, Sight>

/** How many devices of an owner are remembered. */
const DEVICES = 20
/** With more keys than this in an entry, those that are no longer the session's are dropped. */
const MANY_KEYS = 4
/** How much longer an owner's record lives than any session in it, in ms. */
const MARGIN = 3_600_000
/** How often a list looks again for sessions that get a new key meanwhile. */
const MAX_LOOKS = 10

type Settings = Pick<
  ManagerSettings,
  | 'name'
  | 'events'
  | 'openTimeout'
  | 'hash'
  | 'now'
  | 'pause'
  | 'absoluteTimeout'
  | 'idleTimeout'
  | 'limits'
  | 'store'
>

/**
 * The records of owners: which sessions each of them has. They are in the same store as the sessions, and are changed by
 * compare-and-swap. A session is created first, then listed, and only then is its client told; to be listed under the
 * record's present epoch is what "may live" means. What is to end is marked, then destroyed, then dropped from the record.
 */
export class OwnerRecords {
  readonly #settings: Settings
  /** Keeps the sessions. */
  readonly #store: GuardedStore
  /** Keeps the records of owners: the same, unless there is `owners.store`, or sessions are kept by the client. */
  readonly #records: GuardedStore | undefined

  /** @param ownerStore keeps the records instead of `store` */
  constructor(settings: Settings, store: GuardedStore, ownerStore?: GuardedStore) {
    this.#settings = settings
    this.#store = store
    const { location, revocable } = settings.store.traits
    const { records } = settings.store
    if (ownerStore !== undefined && revocable) this.#records = ownerStore
    else if (location === 'server') this.#records = store
    else if (records !== undefined)
      this.#records = new GuardedStore({ ...settings, store: records }, store.calls)
  }

  /** What a sign-in is fenced by: see `OwnerSessions.since`. */
  async since(owner: Owner, deadline: Deadline): Promise<string> {
    const change = (record: OwnerRecord, isNew: boolean): Change<string> => ({
      result: fenceOf(record),
      isChanged: isNew,
    })
    const { result } = await this.#change(owner, deadline, change, true)
    return result
  }

  /**
   * Lists a session that signs in.
   *
   * @throws SessionError `ERR_SESSION_CONFLICT` if all sessions of the owner were ended since `since`; `ERR_SESSION_LIMIT` if
   *   there are too many and `whenFull` says to refuse
   */
  async enlist(owner: Owner, listing: Listing, deadline: Deadline): Promise<Listed> {
    const { handle, key, since, max, whenFull, label, device } = listing
    const deviceHash = device === undefined ? undefined : hashOf(device)
    let isNewDevice = false
    let found: Found | undefined
    for (;;) {
      const change = (each: OwnerRecord): Change<'full' | 'listed'> => {
        if (each.isListed(handle, key)) return { result: 'listed', isChanged: false }
        if (since !== undefined && since !== fenceOf(each)) throw endedSince()
        if (found !== undefined) forget(each, found)
        const others = [...each.entries].filter(
          ([other, { epoch }]) => other !== handle && epoch === each.epoch,
        )
        const surplus = others.length + 1 - max
        if (surplus > 0) {
          if (found === undefined) return { result: 'full', isChanged: false }
          if (whenFull === 'refuse') throw tooMany(max)
          for (const victim of leastWorth(others, found, whenFull).slice(0, surplus)) each.markEnding(victim)
        }
        const keys = [...new Set([...(each.entries.get(handle)?.keys ?? []), key])]
        each.entries.set(handle, { keys, epoch: each.epoch, signedInAt: this.#settings.now(), label })
        if (deviceHash !== undefined) {
          isNewDevice = !each.devices.includes(deviceHash)
          each.devices = [...each.devices.filter((known) => known !== deviceHash), deviceHash].slice(-DEVICES)
        }
        return { result: 'listed', isChanged: true }
      }
      const { result, record, entry } = await this.#change(owner, deadline, change, true)
      if (result === 'full') {
        found = await this.#look(record, deadline)
        continue
      }
      await this.#finish(owner, record, entry, deadline)
      return { sessions: record.entries.size - record.ending().length, isNewDevice }
    }
  }

  /**
   * Lists the key that a session is about to move to.
   *
   * @returns whether it may: `false` if the session was ended
   */
  async follow(owner: Owner, handle: string, key: string, deadline: Deadline): Promise<boolean> {
    let absent: ReadonlySet<string> | undefined
    for (;;) {
      const { result, record } = await this.#change<'listed' | 'ended' | 'many'>(owner, deadline, (each) => {
        const entry = each.entries.get(handle)
        if (entry === undefined || entry.epoch !== each.epoch) return { result: 'ended', isChanged: false }
        if (entry.keys.includes(key)) return { result: 'listed', isChanged: false }
        if (entry.keys.length > MANY_KEYS && absent === undefined) return { result: 'many', isChanged: false }
        const keys = [...entry.keys.filter((known) => absent?.has(known) !== true), key]
        each.entries.set(handle, { ...entry, keys })
        return { result: 'listed', isChanged: true }
      })
      if (result !== 'many') return result === 'listed'
      const keys = record.entries.get(handle)?.keys ?? []
      const live = await Promise.all(keys.map(async (each) => this.#readLive(each, deadline)))
      absent = new Set(keys.filter((_, at) => live[at] === undefined))
    }
  }

  /** Whether the session that was found under this key may live. A damaged record lists nothing. */
  async verify(owner: Owner, handle: string, sessionKey: string, deadline: Deadline): Promise<boolean> {
    const { store, key } = this.#place(owner)
    const entry = await store.read(key, undefined, deadline)
    let record: OwnerRecord | undefined
    try {
      record = entry && OwnerRecord.parse(entry.payload)
    } catch {
      return false
    }
    if (record?.isListed(handle) !== true) return false
    if (record.isListed(handle, sessionKey) || this.#settings.store.traits.location === 'client') return true
    // It has moved meanwhile, or the record was lost and lists another sign-in to what was the same anonymous session.
    return (await this.#readLive(sessionKey, deadline)) === undefined
  }

  /** The sessions that an owner has. What has ended is dropped from the record, and what is to end is ended. */
  async list(owner: Owner, deadline: Deadline): Promise<readonly ListedSession[]> {
    const { record: first, entry } = await this.#read(owner, deadline)
    if (first === undefined) return []
    const found = new Map(await this.#look(first, deadline))
    await this.#finish(owner, first, entry, deadline)
    let record = first
    for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
      const gone = [...found].filter(([, { live }]) => live === undefined).map(([handle]) => handle)
      if (gone.length === 0) break
      const reading = await this.#change(owner, deadline, (each) => ({
        result: undefined,
        isChanged: forget(each, found),
      }))
      ;({ record } = reading)
      // A session that has another key by now was moved meanwhile.
      const moved = gone.filter((handle) => record.isListed(handle))
      for (const handle of gone) found.delete(handle)
      for (const [handle, sight] of await this.#look(record, deadline, moved)) found.set(handle, sight)
    }
    const { idleTimeout } = this.#settings
    return [...found]
      .flatMap(([handle, { live }]) => {
        const listed = record.entries.get(handle) ?? first.entries.get(handle)
        if (live === undefined || listed === undefined) return []
        const { expiresAt } = live
        const { label, signedInAt } = listed
        return [{ handle, label, signedInAt, lastUsedAt: expiresAt - idleTimeout, expiresAt }]
      })
      .toSorted((one, other) => other.lastUsedAt - one.lastUsedAt)
  }

  /** What is stored of the session with this handle. */
  async find(owner: Owner, handle: string, deadline: Deadline): Promise<Entry | undefined> {
    const { record } = await this.#read(owner, deadline)
    if (record === undefined) return undefined
    return (await this.#look(record, deadline, [handle])).get(handle)?.live
  }

  /** Ends the session with this handle. Returns whether there was one. */
  async end(owner: OwnerPlace, handle: string, deadline: Deadline): Promise<boolean> {
    let hasEnded = false
    const gone = new Set<string>()
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const { record, entry } = await this.#read(owner, deadline)
      const keys = record?.entries.get(handle)?.keys
      if (record === undefined || entry === undefined || keys === undefined) return hasEnded
      const outcomes = await Promise.all(
        keys
          .filter((key) => !gone.has(key))
          .map(async (key) => {
            const outcome = await this.#destroy(key, deadline)
            gone.add(key)
            return outcome
          }),
      )
      hasEnded ||= outcomes.includes('ok')
      if (hasEnded) this.#settings.events.note(handle, 'ended')
      record.entries.delete(handle)
      if (await this.#replace(owner, record, entry, deadline)) return hasEnded
      await this.#backOff(tries, deadline)
    }
    throw busy()
  }

  /**
   * Ends all sessions of an owner, or all but one. What signs in with an older fence is refused from then on.
   *
   * @returns how many were ended
   * @throws SessionError `ERR_SESSION_STATE` if `except` is not a session of this owner
   */
  async endAll(owner: Owner, except: string | undefined, deadline: Deadline): Promise<number> {
    const { record, entry } = await this.#change(owner, deadline, (each) => {
      if (except !== undefined && !each.isListed(except)) throw notListed()
      each.beginEpoch(except)
      return { result: undefined, isChanged: true }
    })
    return this.#finish(owner, record, entry, deadline)
  }

  /** Tells all sessions of an owner that the rights have changed. */
  async refresh(owner: Owner, deadline: Deadline): Promise<void> {
    if (this.#settings.store.traits.location === 'client')
      throw cannotRefresh(this.#settings.store.traits.name)
    const { record } = await this.#change(owner, deadline, (each) => {
      each.rights = createHandle()
      return { result: undefined, isChanged: true }
    })
    const marked = new Set<string>()
    let entries = [...record.entries]
    while (entries.length > 0) {
      const missing = new Set<string>()
      const marking = entries.map(async ([handle, each]) => {
        const keys = each.keys.filter((key) => !marked.has(key))
        const found = await Promise.all(keys.map(async (key) => this.#mark(key, deadline)))
        if (!found.includes(true)) missing.add(handle)
      })
      await Promise.all(marking)
      if (missing.size === 0) return
      for (const [, { keys }] of entries) for (const key of keys) marked.add(key)
      // One that has another key by now was moved meanwhile.
      const { record: newer } = await this.#read(owner, deadline)
      entries = [...(newer?.entries ?? [])].filter(
        ([handle, { keys }]) => missing.has(handle) && keys.some((key) => !marked.has(key)),
      )
    }
  }

  /** Destroys what is to end, and then drops it from the record. Returns how many sessions that were. */
  async #finish(
    owner: Owner,
    record: OwnerRecord,
    entry: Entry | undefined,
    deadline: Deadline,
  ): Promise<number> {
    const ending = record.ending()
    if (ending.length === 0) return 0
    const keys = new Set(ending.flatMap((handle) => record.entries.get(handle)?.keys ?? []))
    // All are tried, whichever of them fails.
    const outcomes = await Promise.allSettled([...keys].map(async (key) => this.#destroy(key, deadline)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    for (const handle of ending) this.#settings.events.note(handle, 'ended')
    const drop = (each: OwnerRecord): boolean => {
      let isChanged = false
      for (const handle of each.ending()) {
        const isOver = each.entries.get(handle)?.keys.every((key) => keys.has(key)) === true
        if (isOver) isChanged = each.entries.delete(handle) || isChanged
      }
      return isChanged
    }
    const isDropped =
      entry !== undefined && drop(record) && (await this.#replace(owner, record, entry, deadline))
    if (!isDropped) {
      await this.#change(owner, deadline, (each) => ({ result: undefined, isChanged: drop(each) }))
    }
    return ending.length
  }

  /** Which of the sessions that may live there are. */
  async #look(
    record: OwnerRecord,
    deadline: Deadline,
    handles: Iterable<string> = record.entries.keys(),
  ): Promise<Found> {
    const asked = new Set(handles)
    const listed = [...record.entries].filter(
      ([handle, { epoch }]) => epoch === record.epoch && asked.has(handle),
    )
    const found = await Promise.all(
      listed.map(async ([handle, { keys, signedInAt }]) => {
        const entries = await Promise.all(keys.map(async (key) => this.#readLive(key, deadline, signedInAt)))
        return [handle, { keys, live: entries.find((each) => each !== undefined) }] as const
      }),
    )
    return new Map(found)
  }

  /**
   * The record of a session under this key; `undefined` if it is absent, or leads on. What cannot be read here, on a client or
   * by another program's seal, is there unless it was ended, or must have expired.
   */
  async #readLive(key: string, deadline: Deadline, signedInAt = Infinity): Promise<Entry | undefined> {
    const { store, now, absoluteTimeout, idleTimeout } = this.#settings
    const end = signedInAt + absoluteTimeout
    const unread =
      end <= now() ? undefined : { payload: '', expiresAt: Math.min(end, signedInAt + idleTimeout) }
    if (store.traits.location === 'client')
      return (await this.#store.touch(key, 0, deadline)) === 'gone' ? undefined : unread
    const entry = await this.#store.read(key, undefined, deadline).catch((error: unknown) => {
      if (error instanceof SessionError && error.code === 'ERR_SESSION_PAYLOAD') return unread
      throw error
    })
    if (entry === undefined || isTombstonePayload(entry.payload)) return undefined
    return redirectOf(entry.payload) === undefined ? entry : undefined
  }

  /**
   * Writes into a session's header that its rights have changed. No two marks are the same: another refresh may have marked the
   * session meanwhile, and its requests may know one of them and not the other.
   *
   * @returns whether there is a session under this key, or where it leads
   */
  async #mark(key: string, deadline: Deadline): Promise<boolean> {
    const { limits } = this.#settings
    const read = async (at: string): Promise<Entry | undefined> => this.#store.read(at, undefined, deadline)
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const found = await followRedirects(key, read, ({ payload }) => redirectOf(payload))
      const entry = found.record
      if (entry === undefined || isTombstonePayload(entry.payload)) return false
      const document = Document.parse(entry.payload, limits)
      const { createdAt, attributes } = document.header
      const own = new Map([...attributes, [OUTDATED, createHandle()]])
      const header = { version: createVersion(), createdAt, attributes: own }
      const payload = document.write(header, new Map(), limits)
      const written = await this.#store.replace(found.key, payload, entry.expiresAt, entry, deadline)
      if (written !== 'conflict') return written !== 'gone'
      await this.#backOff(tries, deadline)
    }
    throw busy()
  }

  async #read(
    owner: OwnerPlace,
    deadline: Deadline,
  ): Promise<{ readonly record: OwnerRecord | undefined; readonly entry: Entry | undefined }> {
    const { store, key } = this.#place(owner)
    const entry = await store.read(key, undefined, deadline)
    return { record: entry === undefined ? undefined : OwnerRecord.parse(entry.payload), entry }
  }

  /**
   * Changes an owner's record until no other request interferes. `change` may run again, on a newer record, and finds what an
   * earlier attempt has done whose answer was lost.
   */
  async #change<T>(
    owner: OwnerPlace,
    deadline: Deadline,
    change: (record: OwnerRecord, isNew: boolean) => Change<T>,
    isRepairing = false,
  ): Promise<Reading<T>> {
    const { store, key } = this.#place(owner)
    const { now } = this.#settings
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const entry = await store.read(key, undefined, deadline)
      const stored = entry && this.#parse(entry, isRepairing)
      const record = stored ?? OwnerRecord.empty(now())
      const { result, isChanged } = change(record, stored === undefined)
      if (!isChanged) return { result, record, entry }
      const written = await this.#write(owner, record, entry, deadline)
      if (written !== undefined) return { result, record, entry: written }
      await this.#backOff(tries, deadline)
    }
    throw busy()
  }

  /**
   * Reads a record. One that is damaged begins anew with the next sign-in: what it had listed ends, since it is listed no more.
   */
  #parse({ payload }: Entry, isRepairing: boolean): OwnerRecord | undefined {
    try {
      return OwnerRecord.parse(payload)
    } catch (error) {
      if (!isRepairing) throw error
      this.#settings.events.emit({ type: 'owner-repaired' })
      return undefined
    }
  }

  /** Writes a record that builds on `entry`. `undefined` if another request was faster, or may have been. */
  async #write(
    owner: OwnerPlace,
    record: OwnerRecord,
    entry: Entry | undefined,
    deadline: Deadline,
  ): Promise<Entry | undefined> {
    const { store, key } = this.#place(owner)
    const payload = record.write()
    const until = Math.max(
      entry?.expiresAt ?? 0,
      this.#settings.now() + this.#settings.absoluteTimeout + MARGIN,
    )
    try {
      const written =
        entry === undefined
          ? await store.create(key, payload, until, deadline)
          : await store.replace(key, payload, until, entry, deadline)
      return typeof written === 'string' ? undefined : written.entry
    } catch (error) {
      // What became of it is seen in what is stored.
      if (isUnknown(error) && !isMistake(error)) return undefined
      throw error
    }
  }

  async #replace(owner: OwnerPlace, record: OwnerRecord, entry: Entry, deadline: Deadline): Promise<boolean> {
    return (await this.#write(owner, record, entry, deadline)) !== undefined
  }

  async #backOff(tries: number, deadline: Deadline): Promise<void> {
    await this.#store.calls.queue(this.#settings.pause(backoff(tries)), deadline)
  }

  /** Where the owner's record is kept. */
  #place(owner: OwnerPlace): { readonly store: GuardedStore; readonly key: string } {
    const { store, hash } = this.#settings
    const key = 'ownerKey' in owner ? owner.ownerKey : ownerKey(owner, hash)
    if (this.#records !== undefined) return { store: this.#records, key }
    const text = `${store.traits.name}: this store keeps nothing on a server, so it cannot list the sessions of an owner; give it revocations`
    throw new SessionError('ERR_SESSION_STATE', text)
  }

  async #destroy(key: string, deadline: Deadline): Promise<'ok' | 'conflict' | 'gone'> {
    const until = this.#settings.now() + this.#settings.absoluteTimeout
    return this.#store.destroy(key, undefined, deadline, until)
  }
}

function fenceOf({ epoch, rights }: OwnerRecord): string {
  return `${epoch}.${rights}`
}

/** Drops the sessions that were found to be gone. Keys that were added since are not known. */
function forget(record: OwnerRecord, found: Found): boolean {
  let isChanged = false
  for (const [handle, { keys, live }] of found) {
    const entry = record.entries.get(handle)
    const isGone = live === undefined && entry?.keys.every((key) => keys.includes(key)) === true
    if (isGone) isChanged = record.entries.delete(handle) || isChanged
  }
  return isChanged
}

/** The handles of sessions, those first that are ended first. */
function leastWorth(
  entries: readonly (readonly [handle: string, OwnerEntry])[],
  found: Found,
  whenFull: WhenFull,
): string[] {
  const worth = (handle: string, { signedInAt }: OwnerEntry): number =>
    whenFull === 'oldest' ? signedInAt : (found.get(handle)?.live?.expiresAt ?? Infinity) // it is new
  return entries
    .toSorted(([one, entry], [other, another]) => worth(one, entry) - worth(other, another))
    .map(([handle]) => handle)
}

function hashOf(device: string): string {
  return crypto.hash('sha256', device, 'base64url').slice(0, 22)
}

function endedSince(): SessionError {
  const text =
    'signIn(): the sessions or the rights of this owner have changed since since() was called; check the credentials again'
  return conflict(text)
}

function tooMany(max: number): SessionError {
  const text = `signIn(): this owner has ${max} sessions, and owners.whenFull is 'refuse'; end one of them first`
  return new SessionError('ERR_SESSION_LIMIT', text, { status: 409 })
}

function cannotRefresh(name: string): SessionError {
  const text = `refresh(): ${name} keeps sessions on the client, so none of them can be told; end them with endAll() instead`
  return new SessionError('ERR_SESSION_STATE', text)
}

function notListed(): SessionError {
  return new SessionError(
    'ERR_SESSION_STATE',
    'endAll(): except is not a session of this owner, or has ended',
  )
}

function busy(): SessionError {
  return conflict('other requests kept changing the sessions of this owner')
}

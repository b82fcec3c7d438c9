import { Document, type Header } from '../codec/document/document.ts'
import type { Limits } from '../codec/limits.ts'
import { FrozenValue } from '../codec/value/freeze.ts'
import type { ValueCodec } from '../codec/value/value-codec.ts'
import { SessionError } from '../errors.ts'
import { HeaderAttributes } from './header-attributes.ts'
import { conflictOf, type KeyRules } from './isolation.ts'
import type { SessionSchema } from './schema.ts'

/** A function passed to `update`. It runs again when another request has changed the key in between. */
export type Updater = (value: unknown) => unknown

/** What this request knows of one key: that it was read, or how it was changed. */
export interface KeyChange {
  /** `take`: the value was handed out and is to be forgotten, unless another request puts a new one there. */
  kind: 'read' | 'set' | 'update' | 'delete' | 'take'
  /** The live value: the very object that the route holds. */
  value: unknown
  /** How the value was encoded when it was read or set; a later change in place makes its text differ. */
  text: string | undefined
  /** The functions of `update`, in order. */
  updates: Updater[]
  /** How many of `updates`, or whether the deletion, are part of the payload being written. */
  sent: number
  /** The value's text in the payload being written; `undefined` if it is not part of it. */
  sentText: string | undefined
  /** Whether the request has looked at the stored value: what it sets may depend on it. */
  isRead: boolean
  /** A rebase has made another value of it than the one that the request knows. */
  isRebased: boolean
  /**
   * How the stored value is encoded together with the fields that `defaults` have added to it: as long as the value is encoded so, it
   * is not changed. `undefined` where nothing was added.
   */
  completed: string | undefined
  /** How the value was encoded that the request knows, where a rebase has made another one of it. */
  seenText: string | undefined
}

/** A value that the request has promised not to change. */
interface PeekedValue {
  readonly value: unknown
  /** The stored text, which is the text of the value as long as it is not changed. */
  readonly line: string
  /** Tells without encoding whether it was changed; `undefined` where the program has made a part, which may not be frozen. */
  readonly frozen: FrozenValue | undefined
  /** As in {@link KeyChange}. */
  readonly completed: string | undefined
}

const noUpdates: Updater[] = []

/** What a draft needs of the manager's settings. */
export interface DraftSettings {
  readonly codec: ValueCodec
  readonly limits: Limits
  readonly schema: SessionSchema | undefined
  readonly rules: KeyRules
  /** Called when a stored key cannot be decoded, just before `get` throws. */
  readonly decodeFailed: (error: unknown, handle: string) => void
  /** Whether events have a listener, so that it is worth looking for damaged lines. */
  readonly heard: () => boolean
}

/** A snapshot of the stored session, and a log of what one request read and changed. It knows nothing of stores or time. */
export class Draft {
  readonly settings: DraftSettings
  /** One entry per key that was read or changed, in the order of first use. */
  readonly keyChanges: Map<string, KeyChange> = new Map()
  /** `clear()` was called: the snapshot's keys no longer count, and all of `keyChanges` came later. */
  cleared = false
  /** Objects that the route may still hold although a rebase has replaced them, with their text at that time. */
  readonly stale: Map<object, { readonly key: string; readonly text: string }> = new Map()
  /** The attributes in the header of the payload. */
  readonly attributes: HeaderAttributes
  /** The values that were read by `peek`, apart from what `get` returns. */
  #peeked: Map<string, PeekedValue> | undefined
  /** Keys that were looked at without a value: absent, or asked for by `has`. */
  #looked: string[] | undefined
  /** All keys were looked at: by `keys`, `entries` or `size`. */
  #lookedAtAll = false
  /** Keys that were looked at, and have been changed by a rebase since. */
  #outdated: Set<string> | undefined
  #clearSent = false
  #damageTold = false
  #base: Document | undefined
  #payload: string | undefined

  constructor(base: Document, settings: DraftSettings) {
    this.#base = base
    this.attributes = new HeaderAttributes(base.header.attributes)
    this.settings = settings
  }

  /** The snapshot that the log builds on. */
  get base(): Document {
    return (this.#base ??= Document.parse(this.#payload ?? '', this.settings.limits))
  }

  set base(document: Document) {
    this.#base = document
    this.attributes.rebase(document.header.attributes)
  }

  get(key: string): unknown {
    const change = this.keyChanges.get(key)
    if (change === undefined ? !this.cleared : change.kind === 'read') this.#outdated?.delete(key)
    if (change !== undefined) {
      if (change.kind === 'read') change.isRead = true
      change.isRebased = false
      return change.value
    }
    const line = this.cleared ? undefined : this.base.line(key)
    if (line === undefined) {
      this.#look(key)
      this.#tellDamage()
      return undefined
    }
    const value = this.decode(key, line)
    const completed = this.#completed(key, value)
    this.keyChanges.set(key, keyChange('read', value, completed ?? line, true, completed))
    return value
  }

  /**
   * The value, not to be changed. It is read like by `get`, and what was got or set before is returned as it is; but another object
   * than `get` will return, since that may be changed.
   */
  peek(key: string): unknown {
    const line = this.cleared || this.keyChanges.has(key) ? undefined : this.base.line(key)
    if (line === undefined) return this.get(key)
    this.#outdated?.delete(key)
    const before = this.#peeked?.get(key)
    if (before?.line === line) return before.value
    if (before !== undefined) this.#refuseChangedPeek(key, before)
    const value = this.decode(key, line)
    const frozen = this.settings.codec.hasForeignParts ? undefined : new FrozenValue(value)
    this.#peeked ??= new Map()
    this.#peeked.set(key, { value, line, frozen, completed: this.#completed(key, value) })
    return value
  }

  has(key: string): boolean {
    this.#look(key)
    if (this.#isPresent(key)) return true
    this.#tellDamage()
    return false
  }

  keys(): string[] {
    if (!this.cleared) this.#lookedAtAll = true
    for (const change of this.keyChanges.values()) if (change.kind === 'read') change.isRead = true
    this.#tellDamage()
    const keys = this.cleared ? [] : this.base.keys().filter((key) => this.#isPresent(key))
    for (const [key, change] of this.keyChanges)
      if (isPresent(change) && (this.cleared || !this.base.has(key))) keys.push(key)
    return keys
  }

  set(key: string, value: unknown): void {
    this.#write('set', key, value, noUpdates)
  }

  update(key: string, updater: Updater): unknown {
    const change = this.keyChanges.get(key)
    // Functions can run again on a newer value only if nothing else has changed this one.
    const canRerun =
      change === undefined
        ? !this.cleared
        : (change.kind === 'read' || change.kind === 'update') && !this.isChangedInPlace(key, change)
    // It is handed what is stored, and so is the request.
    if (change === undefined ? !this.cleared : change.kind === 'read') this.#outdated?.delete(key)
    const isStored = change === undefined && !this.cleared
    const before = isStored ? this.stored(key) : change?.value
    const completed = isStored ? this.#completed(key, before) : change?.completed
    const value = applyUpdate(updater, before)
    if (value === undefined && !this.#isPresent(key)) {
      // Nothing was there and nothing is set, but on what another request puts there the function may act.
      if (canRerun)
        this.#log('update', key, undefined, undefined, [...(change?.updates ?? noUpdates), updater])
      return undefined
    }
    if (canRerun) this.#write('update', key, value, [...(change?.updates ?? noUpdates), updater], completed)
    else this.#write('set', key, value, noUpdates)
    return value
  }

  /** Reads and forgets: the deletion does not hold against a value that another request puts there. */
  take(key: string): unknown {
    const change = this.keyChanges.get(key)
    if (change?.kind === 'delete' || change?.kind === 'take') return undefined
    const value = change === undefined ? this.stored(key) : change.value
    if (!this.#isPresent(key)) return value
    // What this request itself has set replaces the stored value, so taking it away again deletes the key.
    const kind = change?.kind === 'set' ? 'delete' : 'take'
    const isRead = change?.isRead ?? this.#hasLooked(key)
    // What is handed out is read. Only `'serializable'` refuses where two requests take the same.
    const isSerial = this.settings.rules.isolationOf(key) === 'serializable'
    this.keyChanges.set(key, keyChange(kind, undefined, undefined, isRead || (isSerial && kind === 'take')))
    return value
  }

  delete(key: string): boolean {
    const had = this.#isPresent(key)
    if (this.keyChanges.get(key)?.isRebased === true) this.#markOutdated(key)
    this.keyChanges.set(key, keyChange('delete', undefined, undefined, this.#isRead(key)))
    return had
  }

  clear(): void {
    for (const key of this.keyChanges.keys()) if (this.#isRead(key)) this.#remember(key)
    this.keyChanges.clear()
    this.cleared = true
    this.#clearSent = false
  }

  /**
   * The lines that differ from the snapshot: new text, or `undefined` for a key to be deleted. Encodes objects that the
   * route may have changed in place, and throws with the path of a value that cannot be kept.
   */
  changes(): Map<string, string | undefined> {
    if (this.stale.size > 0) this.#refuseStale()
    if (this.#outdated !== undefined) this.#refuseOutdated(this.#outdated)
    for (const [key, peeked] of this.#peeked ?? []) this.#refuseChangedPeek(key, peeked)
    const changes = new Map<string, string | undefined>()
    if (this.cleared) for (const key of this.base.keys()) changes.set(key, undefined)
    this.#clearSent = this.cleared
    for (const [key, change] of this.keyChanges) {
      const isGone = !isPresent(change)
      change.sent = change.kind === 'delete' || change.kind === 'take' ? 1 : change.updates.length
      const line = this.base.line(key)
      if (isGone) {
        if (line !== undefined) changes.set(key, undefined)
        continue
      }
      const text = this.textOf(key, change)
      change.sentText = text
      if (text === line || text === change.completed) changes.delete(key)
      else if (change.kind !== 'read' || !this.#sameAsStored(key, text, line)) {
        if (text !== change.text) this.settings.schema?.check(key, change.value)
        changes.set(key, text)
      }
    }
    return changes
  }

  /** Whether it is certain without encoding anything that nothing was changed. */
  get isUntouched(): boolean {
    if (this.cleared || this.stale.size > 0) return false
    for (const { kind, value } of this.keyChanges.values())
      if (kind !== 'read' || isObject(value)) return false
    if (this.#peeked !== undefined)
      for (const { value, frozen } of this.#peeked.values())
        if (isObject(value) && frozen?.isUnchanged !== true) return false
    return !this.attributes.differ
  }

  /** Whether anything was changed. It encodes all objects that the request has read. */
  get isChanged(): boolean {
    return !this.isUntouched && (this.attributes.differ || this.changes().size > 0)
  }

  /** Whether a `clear` removes damaged lines, which belong to no known key. */
  get dropsDamage(): boolean {
    return this.cleared && this.base.damaged
  }

  /** The next payload: the snapshot with the lines of {@link changes}. */
  write(header: Header, changes: ReadonlyMap<string, string | undefined>): string {
    return this.base.write(header, changes, this.settings.limits, this.cleared)
  }

  /** All lines of {@link changes} are stored. `payload` is the new snapshot. */
  settle(payload?: string): void {
    if (payload !== undefined) {
      this.#payload = payload
      this.#base = undefined
      this.attributes.settle()
    }
    if (this.#clearSent) this.cleared = this.#clearSent = false
    for (const [key, change] of this.keyChanges) {
      const { kind, isRead } = change
      const isStored = !isPresent(change) && change.sent === Math.max(1, change.updates.length)
      if (isStored) {
        this.keyChanges.delete(key)
        if (isRead || kind === 'update') this.#remember(key)
        if (change.isRebased) this.#markOutdated(key)
        continue
      }
      // What the first functions made is known, like after a commit that was answered.
      if (change.sent > 0) change.isRead = true
      change.updates = change.updates.slice(change.sent)
      change.sent = 0
      if (change.sentText === undefined) continue // changed while the payload was being written
      // From now on it counts as read: the next `update` is a change of its own.
      if (change.updates.length === 0)
        Object.assign(change, { kind: 'read', text: change.sentText, isRead: isRead || kind === 'update' })
      if (change.isRebased) this.#markOutdated(key)
      change.isRebased = false
      if (change.sentText !== change.completed) change.completed = undefined // another value is stored now
      change.sentText = undefined
    }
  }

  /** Keys that were looked at without a change of theirs, and that are different in a newer snapshot. */
  outdatedBy(newer: Document): readonly string[] {
    const looked = this.#lookedAtAll
      ? [...new Set([...this.base.keys(), ...newer.keys()])]
      : [...(this.#looked ?? []), ...(this.#peeked?.keys() ?? [])]
    return looked.filter((key) => !this.keyChanges.has(key) && this.base.line(key) !== newer.line(key))
  }

  /** The log builds on `newer` from now on. */
  rebaseOnto(newer: Document, outdated: readonly string[]): void {
    for (const key of outdated) this.#markOutdated(key)
    this.base = newer
  }

  /** The session was ended, and a sign-in begins another one with nothing of it. */
  beginAnew(base: Document): void {
    this.keyChanges.clear()
    this.stale.clear()
    this.cleared = false
    this.startOver(base)
  }

  /** The session was removed, and another one begins: `base` is empty, and what was read before does not count. */
  startOver(base: Document): void {
    this.#peeked = undefined
    this.#looked = undefined
    this.#lookedAtAll = false
    this.#outdated = undefined
    this.base = base
  }

  /** A claim has taken the key out of the stored session, which is `newer` now and otherwise what it was. */
  claimed(key: string, newer: Document): void {
    if (this.keyChanges.get(key)?.isRead === true) this.#remember(key)
    this.keyChanges.delete(key)
    this.#outdated?.delete(key)
    this.base = newer
  }

  /** The stored state of the key holds, whatever the log says of it. */
  drop(key: string, change: KeyChange): void {
    this.#retire(key, change)
    this.keyChanges.delete(key)
    if (!change.isRead) return
    this.#remember(key)
    this.#markOutdated(key)
  }

  /** @throws SessionError `ERR_SESSION_VALUE` or `ERR_SESSION_LIMIT` if the value cannot be stored under the key */
  check(key: string, value: unknown, isValue: boolean): void {
    if (!isValue) return
    this.settings.schema?.check(key, value)
    this.settings.codec.encode(value, key)
  }

  /** Gives a change another value, or none: then the key is deleted. */
  replaceValue(key: string, change: KeyChange, value: unknown, isValue: boolean): void {
    if (value !== change.value) this.#retire(key, change)
    const text = isValue ? this.settings.codec.encode(value, key) : undefined
    if (!change.isRebased) change.seenText = change.text
    change.isRebased = text !== change.seenText
    change.value = value
    change.text = text
    change.completed = undefined
    if (change.kind === 'read') change.kind = 'set'
  }

  /** Whether the value is not the one that was read, set or made by `update`: the route has changed the object itself. */
  isChangedInPlace(key: string, change: KeyChange): boolean {
    if (!isObject(change.value)) return false
    const text = this.textOf(key, change)
    return text !== change.text && !(change.kind === 'read' && this.#sameAsStored(key, text, change.text))
  }

  /** The text of the value as it is now. */
  textOf(key: string, change: KeyChange): string {
    if (change.text !== undefined && !isObject(change.value)) return change.text
    return this.settings.codec.encode(change.value, key)
  }

  /** Decodes a stored line of this session. */
  decode(key: string, line: string): unknown {
    const { codec, schema, decodeFailed } = this.settings
    try {
      const value = codec.decode(line, key)
      if (schema?.has(key) === true) schema.check(key, value)
      return value
    } catch (cause) {
      const unfit = cause instanceof SessionError && cause.code === 'ERR_SESSION_VALUE'
      const error = unfit ? new SessionError('ERR_SESSION_DECODE', cause.message, { cause }) : cause
      decodeFailed(error, this.attributes.handle)
      throw error
    }
  }

  /** The stored value, without a note that it was read. */
  stored(key: string): unknown {
    const line = this.cleared ? undefined : this.base.line(key)
    if (line !== undefined) return this.decode(key, line)
    this.#tellDamage()
    return undefined
  }

  /** How a value is encoded that was decoded just now, if `defaults` have added fields to it. */
  #completed(key: string, value: unknown): string | undefined {
    const { codec } = this.settings
    return value !== undefined && codec.addedFields ? codec.encode(value, key) : undefined
  }

  #isPresent(key: string): boolean {
    const change = this.keyChanges.get(key)
    return change === undefined ? !this.cleared && this.base.has(key) : isPresent(change)
  }

  /** Notes that the request knows whether the stored key is there, and perhaps its value. */
  #look(key: string): void {
    const change = this.keyChanges.get(key)
    if (change?.kind === 'read') change.isRead = true
    else if (change === undefined && !this.cleared) this.#remember(key)
  }

  #remember(key: string): void {
    if (!this.#hasLooked(key)) (this.#looked ??= []).push(key)
  }

  #hasLooked(key: string): boolean {
    return this.#lookedAtAll || this.#peeked?.has(key) === true || this.#looked?.includes(key) === true
  }

  /** Whether what the request does to the key next may depend on what it has seen of it. */
  #isRead(key: string): boolean {
    const change = this.keyChanges.get(key)
    return change === undefined ? this.#hasLooked(key) : change.isRead || change.kind === 'update'
  }

  /** What the request has seen of the key is not what is stored, or what a commit that failed has made of it. */
  #markOutdated(key: string): void {
    this.#outdated = (this.#outdated ?? new Set()).add(key)
  }

  /** A rebased object may still be in the route's hands. */
  #retire(key: string, change: KeyChange): void {
    if (isObject(change.value)) this.stale.set(change.value, { key, text: this.textOf(key, change) })
  }

  /** A key that seems to be missing may be in a damaged line. Reported once per request that misses a key or lists all. */
  #tellDamage(): void {
    if (this.#damageTold || this.cleared || !this.settings.heard() || !this.base.damaged) return
    this.#damageTold = true
    const text =
      'a line of the stored session is damaged; it stays as it is, and its key may seem to be missing'
    this.settings.decodeFailed(new SessionError('ERR_SESSION_DECODE', text), this.attributes.handle)
  }

  /** A change in place of an object that a rebase has replaced would be lost; with `'last-wins'` it wins. */
  #refuseStale(): void {
    for (const [value, { key, text }] of this.stale) {
      if (this.settings.codec.encode(value, key) === text) continue
      const change = this.keyChanges.get(key)
      const isUnchanged =
        change === undefined || (change.kind === 'read' && !this.isChangedInPlace(key, change))
      if (isUnchanged && this.settings.rules.isolationOf(key) === 'last-wins') {
        this.stale.delete(value)
        this.set(key, value)
        continue
      }
      throw new SessionError(
        'ERR_SESSION_STATE',
        `${key} was changed in place after a commit had brought in another request's newer value; get it again first`,
      )
    }
  }

  /** A change of a value that was read by `peek` would be lost. */
  #refuseChangedPeek(key: string, { value, line, frozen, completed }: PeekedValue): void {
    if (!isObject(value) || frozen?.isUnchanged === true) return
    if (frozen === undefined) {
      const text = this.settings.codec.encode(value, key)
      if (text === line || text === completed || this.#sameAsStored(key, text, line)) return
    }
    throw new SessionError(
      'ERR_SESSION_STATE',
      `${key} was read by peek() and then changed in place, which is not stored: read it by get()`,
    )
  }

  /** What was set from a value that a rebase has since replaced would overwrite a change unseen. */
  #refuseOutdated(outdated: ReadonlySet<string>): void {
    for (const key of outdated) {
      const change = this.keyChanges.get(key)
      if (change?.isRead !== true || (change.kind !== 'set' && change.kind !== 'delete')) continue
      if (this.settings.rules.isolationOf(key) === 'last-wins') continue
      const kind = change.kind === 'set' ? 'read and changed' : 'read and deleted'
      throw conflictOf(key, kind, 'an earlier commit of this request has brought in a newer value')
    }
  }

  #write(kind: 'set' | 'update', key: string, value: unknown, updates: Updater[], completed?: string): void {
    const { schema, codec, limits } = this.settings
    if (typeof key !== 'string') throw new SessionError('ERR_SESSION_VALUE', 'a session key must be a string')
    if (key.length > limits.keyLength) {
      const text = `a session key is ${key.length} characters long; at most ${limits.keyLength} are allowed`
      throw new SessionError('ERR_SESSION_LIMIT', text)
    }
    schema?.check(key, value)
    this.#log(kind, key, value, codec.encode(value, key), updates, completed)
  }

  #log(
    kind: 'set' | 'update',
    key: string,
    value: unknown,
    text: string | undefined,
    updates: Updater[],
    completed?: string,
  ): void {
    const before = this.keyChanges.get(key)
    if (kind === 'set' && before?.isRebased === true) this.#markOutdated(key)
    // The functions of `update` run again on a newer value, so what they were given is not a reading of it.
    const isRead =
      before === undefined
        ? this.#hasLooked(key)
        : before.isRead || (kind === 'set' && before.kind === 'update')
    const sent = before?.kind === 'update' ? before.sent : 0
    this.keyChanges.set(key, {
      kind,
      value,
      text,
      updates,
      sent,
      sentText: undefined,
      isRead,
      isRebased: false,
      completed,
      seenText: undefined,
    })
  }

  /** An upgraded class, or another program's encoding, differs in text although the value was not changed. */
  #sameAsStored(key: string, text: string, line: string | undefined): boolean {
    return (
      line !== undefined && text === this.settings.codec.encode(this.settings.codec.decode(line, key), key)
    )
  }
}

function keyChange(
  kind: KeyChange['kind'],
  value: unknown,
  text: string | undefined,
  isRead: boolean,
  completed?: string,
): KeyChange {
  return {
    kind,
    value,
    text,
    updates: noUpdates,
    sent: 0,
    sentText: undefined,
    isRead,
    isRebased: false,
    completed,
    seenText: undefined,
  }
}

/** Whether the key has a value after the change. */
function isPresent({ kind, text }: KeyChange): boolean {
  return kind !== 'delete' && kind !== 'take' && text !== undefined
}

/** Runs a function of `update`. One that returns nothing has changed the value in place. */
export function applyUpdate(updater: Updater, value: unknown): unknown {
  const result = updater(value)
  return result === undefined ? value : result
}

export function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

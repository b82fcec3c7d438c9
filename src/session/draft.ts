import { Document, type Header } from '../codec/document/document.ts'
import type { Limits } from '../codec/limits.ts'
import type { ValueCodec } from '../codec/value/value-codec.ts'
import { SessionError } from '../errors.ts'
import { HeaderAttributes } from './header-attributes.ts'
import type { SessionSchema } from './schema.ts'

/** A function passed to `update`. It runs again when another request has changed the key in between. */
export type Updater = (value: unknown) => unknown

/** What this request knows of one key: that it was read, or how it was changed. */
export interface KeyChange {
  kind: 'read' | 'set' | 'update' | 'delete'
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
  /** The key was set after this request had deleted it, so the stored value no longer matters. */
  own: boolean
}

const noUpdates: Updater[] = []
const noHistory: Partial<KeyChange> = {}

/** What a draft needs of the manager's settings. */
export interface DraftSettings {
  readonly codec: ValueCodec
  readonly limits: Limits
  readonly schema: SessionSchema | undefined
  /** Called when a stored key cannot be decoded, just before `get` throws. */
  readonly decodeFailed: (error: unknown) => void
  /** Whether events have a listener, so that it is worth looking for damaged lines. */
  readonly heard: () => boolean
}

/** A snapshot of the stored session, and a log of what one request changed. It knows nothing of stores or time. */
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
    if (change !== undefined) return change.value
    const line = this.cleared ? undefined : this.base.line(key)
    if (line === undefined) {
      this.#tellDamage()
      return undefined
    }
    const value = this.decode(key, line)
    this.keyChanges.set(key, keyChange('read', value, line))
    return value
  }

  has(key: string): boolean {
    const change = this.keyChanges.get(key)
    if (change !== undefined) return change.kind !== 'delete'
    if (!this.cleared && this.base.has(key)) return true
    this.#tellDamage()
    return false
  }

  keys(): string[] {
    this.#tellDamage()
    const keys = this.cleared
      ? []
      : this.base.keys().filter((key) => this.keyChanges.get(key)?.kind !== 'delete')
    for (const [key, change] of this.keyChanges) {
      if (change.kind !== 'delete' && (this.cleared || !this.base.has(key))) keys.push(key)
    }
    return keys
  }

  set(key: string, value: unknown): void {
    this.#write('set', key, value, noUpdates)
  }

  update(key: string, updater: Updater): unknown {
    const change = this.keyChanges.get(key)
    // Functions can run again on a newer value only if nothing else has changed this one.
    const again = change === undefined || change.kind === 'delete' || this.#untouched(key, change)
    const value = applyUpdate(updater, this.get(key))
    if (value === undefined && !this.has(key)) return undefined
    if (again) this.#write('update', key, value, [...(change?.updates ?? noUpdates), updater])
    else this.#write('set', key, value, noUpdates)
    return value
  }

  delete(key: string): boolean {
    const had = this.has(key)
    const own = this.keyChanges.get(key)?.own ?? false
    this.keyChanges.set(key, keyChange('delete', undefined, undefined, { own }))
    return had
  }

  clear(): void {
    this.keyChanges.clear()
    this.cleared = true
    this.#clearSent = false
  }

  /**
   * The lines that differ from the snapshot: new text, or `undefined` for a key to be deleted. Encodes objects that the
   * route may have changed in place, and throws with the path of a value that cannot be kept.
   */
  changes(): Map<string, string | undefined> {
    this.#refuseStale()
    const changes = new Map<string, string | undefined>()
    if (this.cleared) for (const key of this.base.keys()) changes.set(key, undefined)
    this.#clearSent = this.cleared
    for (const [key, change] of this.keyChanges) {
      change.sent = change.kind === 'delete' ? 1 : change.updates.length
      const line = this.base.line(key)
      if (change.kind === 'delete') {
        if (line !== undefined) changes.set(key, undefined)
        continue
      }
      const text = this.textOf(key, change)
      change.sentText = text
      if (text === line) changes.delete(key)
      else if (change.kind !== 'read' || !this.#sameAsStored(key, text, line)) {
        if (text !== change.text) this.settings.schema?.check(key, change.value)
        changes.set(key, text)
      }
    }
    return changes
  }

  /** Whether it is certain without encoding anything that nothing was changed. */
  get isUntouched(): boolean {
    if (this.cleared || this.stale.size > 0 || this.attributes.differ) return false
    for (const { kind, value } of this.keyChanges.values())
      if (kind !== 'read' || isObject(value)) return false
    return true
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
      change.own = false
      if (change.kind === 'delete' && change.sent === 1) this.keyChanges.delete(key)
      change.updates = change.updates.slice(change.sent)
      change.sent = 0
      if (change.sentText === undefined) continue // changed while the payload was being written
      // From now on it counts as read: the next `update` is a change of its own.
      if (change.updates.length === 0) Object.assign(change, { kind: 'read', text: change.sentText })
      change.sentText = undefined
    }
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
      decodeFailed(error)
      throw error
    }
  }

  /** A key that seems to be missing may be in a damaged line. Reported once per request that misses a key or lists all. */
  #tellDamage(): void {
    if (this.#damageTold || this.cleared || !this.settings.heard() || !this.base.damaged) return
    this.#damageTold = true
    const text =
      'a line of the stored session is damaged; it stays as it is, and its key may seem to be missing'
    this.settings.decodeFailed(new SessionError('ERR_SESSION_DECODE', text))
  }

  /** A change in place of an object that a rebase has replaced would be lost. */
  #refuseStale(): void {
    for (const [value, { key, text }] of this.stale) {
      if (this.settings.codec.encode(value, key) === text) continue
      throw new SessionError(
        'ERR_SESSION_STATE',
        `${key} was changed in place after a commit had brought in another request's newer value; get it again first`,
      )
    }
  }

  #write(kind: 'set' | 'update', key: string, value: unknown, updates: Updater[]): void {
    const { schema, codec, limits } = this.settings
    if (typeof key !== 'string') throw new SessionError('ERR_SESSION_VALUE', 'a session key must be a string')
    if (key.length > limits.keyLength) {
      const text = `a session key is ${key.length} characters long; at most ${limits.keyLength} are allowed`
      throw new SessionError('ERR_SESSION_LIMIT', text)
    }
    schema?.check(key, value)
    const text = codec.encode(value, key)
    const before = this.keyChanges.get(key)
    const own = this.cleared || before?.kind === 'delete' || before?.own === true
    const sent = before?.kind === 'update' ? before.sent : 0
    this.keyChanges.set(key, keyChange(kind, value, text, { updates, sent, own }))
  }

  /** Whether the value is the stored one, or what the functions of `update` made of it, and nothing else. */
  #untouched(key: string, change: KeyChange): boolean {
    if (change.kind === 'set' || change.kind === 'delete') return false
    const text = this.textOf(key, change)
    return text === change.text || (change.kind === 'read' && this.#sameAsStored(key, text, change.text))
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
  { updates = noUpdates, sent = 0, own = false }: Partial<KeyChange> = noHistory,
): KeyChange {
  return { kind, value, text, updates, sent, sentText: undefined, own }
}

/** Runs a function of `update`. One that returns nothing has changed the value in place. */
export function applyUpdate(updater: Updater, value: unknown): unknown {
  const result = updater(value)
  return result === undefined ? value : result
}

export function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

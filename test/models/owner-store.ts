// What is stored in the model of the owner protocol, and the verbs of a store. Nothing here or beside it is of `src/`.

/** A session. */
export interface SessionRecord {
  readonly kind: 'session'
  readonly version: string
  readonly handle: string
  /** Whether it belongs to the owner; one that does not is anonymous. */
  readonly isOwned: boolean
  /** The rights that a refresh has marked it with, and those that its requests have read since. */
  readonly marked: string
  readonly caughtUp: string
}

/** What an old ID leaves behind. */
export interface RedirectRecord {
  readonly kind: 'redirect'
  readonly version: string
  readonly next: string
  /** `open` after a rotation: the old ID opens the session still. `commit` after a regeneration: only an end follows. */
  readonly mode: 'open' | 'commit'
  readonly handle: string
  readonly isOwned: boolean
}

/** What an end leaves that has met a writer. */
export interface TombstoneRecord {
  readonly kind: 'tombstone'
  readonly version: string
}

/** One session in the record of its owner. With another epoch than the record's it is ending. */
export interface OwnerEntry {
  readonly handle: string
  readonly keys: readonly string[]
  readonly epoch: string
}

/** The record of the owner. */
export interface OwnerRecord {
  readonly kind: 'owner'
  readonly version: string
  readonly epoch: string
  readonly rights: string
  readonly entries: readonly OwnerEntry[]
}

export type StoredRecord = SessionRecord | RedirectRecord | TombstoneRecord | OwnerRecord

/** The key of the owner's record. */
export const OWNER = 'the owner'

/** The key under which a session with this ID is stored; no key is an ID. */
export function keyOf(id: string): string {
  return `#${id}`
}

/** The key of the tombstone of a record. */
export function tombstoneOf(key: string): string {
  return `end of ${key}`
}

/**
 * What a write is for. One of the owner's record holds, from its application on, for every fence that was taken before. A session
 * `catches up` with the rights that were read since it was opened.
 */
export type Purpose = 'end all' | 'refresh' | 'catch up'

/** One call of a store. */
export type Call =
  | { readonly verb: 'read'; readonly key: string }
  | {
      readonly verb: 'create'
      readonly key: string
      readonly record: StoredRecord
      readonly purpose?: Purpose | undefined
    }
  | {
      readonly verb: 'replace'
      readonly key: string
      readonly record: StoredRecord
      readonly base: string
      readonly purpose?: Purpose | undefined
    }
  | { readonly verb: 'destroy'; readonly key: string; readonly base?: string }

/** What a call comes to. `lost`: no answer came, and whether it was carried out, or will be, is not known. */
export type Answer = StoredRecord | 'absent' | 'ok' | 'exists' | 'conflict' | 'gone' | 'lost'

/** Carries out one call, in one step. */
export function carryOut(store: Map<string, StoredRecord>, call: Call): Answer {
  const stored = store.get(call.key)
  switch (call.verb) {
    case 'read':
      return stored ?? 'absent'
    case 'create':
      if (stored !== undefined) return 'exists'
      store.set(call.key, call.record)
      return 'ok'
    case 'replace':
      if (stored === undefined) return 'gone'
      if (stored.version !== call.base) return 'conflict'
      store.set(call.key, call.record)
      return 'ok'
    case 'destroy':
      if (stored === undefined) return 'gone'
      if (call.base !== undefined && stored.version !== call.base) return 'conflict'
      store.delete(call.key)
      return 'ok'
  }
}

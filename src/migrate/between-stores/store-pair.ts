import { SessionError } from '../../errors.ts'
import { isAnswer, sameVersion, versionOf, type Entry, type Store } from '../../store.ts'
import { isPlain, markerIn } from './marker.ts'

/** An entry and where it is. */
export interface Located {
  readonly store: Store
  /** What that store has returned: the base of its compare-and-swap. */
  readonly row: Entry
  /** The entry's payload. That of `row` is another one if it is a copy that could not be activated yet. */
  readonly payload: string
  readonly expiresAt: number
  /** What the home store holds of an entry that is in the other one. */
  readonly beside: Entry | undefined
}

/** How often an operation begins anew because the entry was moved under it. One move takes several calls, so it is rarely more than one. */
export const MAX_TRIES = 20

/**
 * Two stores that hold the entries of one: each key's entry is in one of them. Where, is decided by what both hold together:
 *
 * - an entry counts, wherever it is;
 * - a staged copy counts if the other store has the note that the entry has moved to this very copy;
 * - nothing else counts.
 *
 * Each of these is changed by one compare-and-swap in one store, so an entry is in one place at any time.
 */
export class StorePair {
  /** Where entries are brought to. */
  readonly home: Store
  readonly other: Store
  readonly now: () => number
  readonly #until: number

  constructor(home: Store, other: Store, until: number, now: () => number) {
    this.home = home
    this.other = other
    this.now = now
    this.#until = until
  }

  /** Whether the other store is not asked any more. */
  get isOver(): boolean {
    return this.now() >= this.#until
  }

  /** Finds the entry. If its move was cut off after it was decided, the move is finished. */
  async locate(key: string, extendTo?: number): Promise<Located | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const row = await this.home.read(key, extendTo)
      if (row !== undefined && isPlain(row.payload)) return locatedAt(this.home, row)
      if (this.isOver) return undefined
      const beside = await this.other.read(key, extendTo)
      if (beside !== undefined && isPlain(beside.payload)) return locatedAt(this.other, beside, row)
      const decided = this.decided(row, beside)
      if (decided !== undefined) {
        const { store, copy, payload, expiresAt } = decided
        if (expiresAt <= this.now()) return undefined
        const end = Math.max(expiresAt, extendTo ?? 0)
        const located = await this.activate(key, store, copy, payload, end)
        if (located !== undefined) return located
      } else if (await this.isStill(key, row, beside)) return undefined
    }
    throw this.contention('read')
  }

  /** The error of a verb that found another state each time. Nothing of it was applied. */
  contention(verb: string): SessionError {
    const text = `${this.home.traits.name}: ${verb} failed: the session kept being moved between two stores`
    return new SessionError('ERR_SESSION_STORE', text, { answered: true })
  }

  /** The staged copy that is the entry, by the note in the store beside it. */
  decided(row: Entry | undefined, beside: Entry | undefined): DecidedCopy | undefined {
    return copyIn(this.home, row, beside) ?? copyIn(this.other, beside, row)
  }

  /** Makes the entry of a staged copy. `undefined` if another process has done so, or has ended it. */
  async activate(
    key: string,
    store: Store,
    copy: Entry,
    payload: string,
    expiresAt: number,
  ): Promise<Located | undefined> {
    try {
      const written = await store.replace(key, payload, expiresAt, copy)
      return typeof written === 'string' ? undefined : locatedAt(store, written.entry)
    } catch (error) {
      // A store that refuses to write holds the copy as it is, and it can still be compared with.
      if (!isAnswer(error)) throw error
      return { store, row: copy, payload, expiresAt, beside: undefined }
    }
  }

  /**
   * Whether both stores were without an entry at one moment. If the other one holds a marker, the entry may have gone to the
   * home store after that was read.
   */
  async isStill(key: string, row: Entry | undefined, beside: Entry | undefined): Promise<boolean> {
    if (beside === undefined) return true
    const again = await this.home.read(key)
    if (row === undefined || again === undefined) return row === again
    return sameVersion(row.payload, again.payload)
  }
}

/** A staged copy that is the entry. */
export interface DecidedCopy {
  readonly store: Store
  readonly copy: Entry
  readonly payload: string
  /** Until when the entry lives. */
  readonly expiresAt: number
}

function copyIn(store: Store, row: Entry | undefined, beside: Entry | undefined): DecidedCopy | undefined {
  if (row === undefined || beside === undefined) return undefined
  const [copy, note] = [markerIn(row.payload), markerIn(beside.payload)]
  if (copy?.kind !== 'staged' || note?.kind !== 'moved' || note.copy !== versionOf(row.payload))
    return undefined
  return { store, copy: row, payload: copy.payload, expiresAt: note.expiresAt }
}

/** The entry in a row that is no marker. */
export function locatedAt(store: Store, row: Entry, beside?: Entry): Located {
  return { store, row, payload: row.payload, expiresAt: row.expiresAt, beside }
}

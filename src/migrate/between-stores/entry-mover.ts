import { isAnswer, sameVersion, versionOf, type Entry } from '../../store.ts'
import { fits } from '../../stores/shared/payload-limit.ts'
import { markerIn, movedPayload, stagedPayload } from './marker.ts'
import type { Located, StorePair } from './store-pair.ts'

/** For how long an entry that was moved is left where it is, in ms. */
const REST_MS = 600_000
/** No call arrives as late as this, in ms. */
const LATEST_MS = 3_600_000
/** How much longer than the entry the note lives that it has moved, in ms: stores expire by their own clocks. */
const CLOCK_TOLERANCE_MS = 60_000

/**
 * Moves entries from the other store of a pair to its home, as a session moves to a new ID: a copy is staged in the home
 * store, which counts for nothing; then the entry is replaced by a note that names this copy, if it is still the one that was
 * copied; then the copy becomes the entry. The second step decides, and any process can do the third.
 */
export class EntryMover {
  readonly pair: StorePair
  /** How many entries were moved. */
  moved = 0

  constructor(pair: StorePair) {
    this.pair = pair
  }

  /** Whether an entry of the other store may be brought home now. */
  mayMove({ row, beside }: Located): boolean {
    if (this.pair.isOver) return false
    return this.#hasRested(row, beside) && fits(this.pair.home.traits, stagedPayload(row.payload))
  }

  /** Two processes that lead with different stores do not pass an entry to and fro. */
  #hasRested(row: Entry, beside: Entry | undefined): boolean {
    const note = beside === undefined ? undefined : markerIn(beside.payload)
    if (note?.kind !== 'moved') return true
    const restedFor = this.pair.now() - note.movedAt
    if (restedFor >= LATEST_MS) return true
    // It came from here. Unless it has changed since, a second note that arrives late would take it for the one that it was.
    return restedFor >= REST_MS && note.version !== versionOf(row.payload)
  }

  /**
   * Moves an entry home, and extends its life to `extendTo`.
   *
   * @returns where it is now; `undefined` if another process was faster, in whatever it did; `'refused'` if one of the stores
   *   refuses to write, and the entry is where it was
   */
  async move(key: string, located: Located, extendTo = 0): Promise<Located | 'refused' | undefined> {
    const { row: entry } = located
    const expiresAt = Math.max(entry.expiresAt, extendTo)
    let staged: Entry | undefined
    try {
      staged = await this.stage(key, located, expiresAt)
      if (staged === undefined || !(await this.decide(key, entry, staged, expiresAt))) return undefined
    } catch (error) {
      if (isAnswer(error)) return 'refused'
      throw error
    }
    this.moved += 1
    return this.pair.activate(key, this.pair.home, staged, entry.payload, expiresAt)
  }

  /** Puts a copy into the home store. One that another process has put there of the same entry is as good. */
  async stage(key: string, { row, beside }: Located, expiresAt: number): Promise<Entry | undefined> {
    const { home } = this.pair
    if (beside !== undefined && isCopyOf(beside, row)) {
      // It must not expire before it is the entry.
      const mustTouch = beside.expiresAt < expiresAt
      return mustTouch && (await home.touch(key, expiresAt)) === 'gone' ? undefined : beside
    }
    const copy = stagedPayload(row.payload)
    const written =
      beside === undefined
        ? await home.create(key, copy, expiresAt)
        : await home.replace(key, copy, expiresAt, beside)
    return typeof written === 'string' ? undefined : written.entry
  }

  /** Replaces the entry by the note, if it is still the one that was copied. */
  async decide(key: string, entry: Entry, staged: Entry, expiresAt: number): Promise<boolean> {
    const { other, now } = this.pair
    const note = movedPayload({
      copy: versionOf(staged.payload),
      version: versionOf(entry.payload),
      expiresAt,
      movedAt: now(),
    })
    const written = await other.replace(key, note, expiresAt + CLOCK_TOLERANCE_MS, entry)
    return typeof written === 'object'
  }
}

function isCopyOf({ payload }: Entry, entry: Entry): boolean {
  const marker = markerIn(payload)
  return marker?.kind === 'staged' && sameVersion(marker.payload, entry.payload)
}

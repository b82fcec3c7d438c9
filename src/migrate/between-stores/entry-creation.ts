import { sameVersion, versionOf, type Entry, type Written } from '../../store.ts'
import { claimPayload, isPlain, markerIn, type Claim } from './marker.ts'
import { MAX_TRIES, type StorePair } from './store-pair.ts'

/** How much longer than the entry a claim lives, in ms: stores expire by their own clocks, and a `create` may arrive late. */
const CLOCK_TOLERANCE_MS = 60_000
/** So often a process looks for what the other one creates whose claim comes first, before it puts its own claim first. */
const PATIENCE = 4
/** Of so many keys it is remembered that they were looked up and not found. */
const MAX_KEYS = 10_000

/** A claim in the other store. */
interface Claimed {
  readonly row: Entry
  readonly claim: Claim
}

/** `'unclaimed'`: the other store is not asked any more. */
type Standing = Claimed | 'unclaimed'

/**
 * Creates entries, each in one of the two stores. A key that this process has not looked up is one that it has made up, for
 * a new session; no other process knows it. A key that was looked up may be created by another process too, which leads with
 * the other store: then both put a claim into the store that is not theirs, and the one whose claim comes first creates.
 */
export class EntryCreation {
  readonly pair: StorePair
  readonly #lookedUp = new Set<string>()

  constructor(pair: StorePair) {
    this.pair = pair
  }

  /** Takes note of a key that was looked up and not found. */
  notFound(key: string): void {
    this.#lookedUp.add(key)
    if (this.#lookedUp.size <= MAX_KEYS) return
    const [oldest = ''] = this.#lookedUp
    this.#lookedUp.delete(oldest)
  }

  /** As the verb of a store. */
  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    const { home, other, isOver } = this.pair
    let mustClaim = !isOver && this.#lookedUp.delete(key)
    if (!mustClaim && !isOver) {
      const beside = await other.read(key)
      if (beside !== undefined && isPlain(beside.payload)) return 'exists'
      mustClaim = beside !== undefined
    }
    if (!mustClaim) {
      const written = await home.create(key, payload, expiresAt)
      if (typeof written === 'object') return written
    }
    for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
      if ((await this.pair.locate(key)) !== undefined) return 'exists'
      const standing = this.pair.isOver ? 'unclaimed' : await this.claim(key, 0, expiresAt)
      const isPatient = tries % PATIENCE !== 0
      const written = standing && (await this.#createBeside(key, payload, expiresAt, standing, isPatient))
      if (written !== undefined) return written
    }
    throw this.pair.contention('create')
  }

  /** Puts a claim into the other store, or finds one. `undefined` if another process was faster. */
  async claim(key: string, rank: number, expiresAt: number): Promise<Claimed | undefined> {
    const { other } = this.pair
    const payload = claimPayload(rank)
    const until = expiresAt + CLOCK_TOLERANCE_MS
    const created = await other.create(key, payload, until)
    if (created !== 'exists') return { row: created.entry, claim: { kind: 'claim', rank } }
    const row = await other.read(key)
    const marker = row && markerIn(row.payload)
    if (row === undefined || marker === undefined) return undefined
    if (marker.kind === 'claim') return { row, claim: marker }
    if (!(await this.isVoid(key, row))) return undefined
    const replaced = await other.replace(key, payload, until, row)
    return typeof replaced === 'string' ? undefined : { row: replaced.entry, claim: { kind: 'claim', rank } }
  }

  /** Creates the entry over whatever marker is in its place. `undefined` if another process was faster. */
  async #createBeside(
    key: string,
    payload: string,
    expiresAt: number,
    standing: Standing,
    isPatient: boolean,
  ): Promise<Written | undefined> {
    const { home } = this.pair
    const created = await home.create(key, payload, expiresAt)
    if (typeof created === 'object') return created
    const row = await home.read(key)
    const marker = row && markerIn(row.payload)
    if (row === undefined || marker === undefined) return undefined
    if (standing !== 'unclaimed') {
      if (marker.kind === 'claim' && !this.comesFirst(standing, { row, claim: marker })) {
        if (!isPatient) await this.#lower(key, standing, marker, expiresAt)
        return undefined
      }
      if (!(await this.stands(key, standing))) return undefined
    }
    const replaced = await home.replace(key, payload, expiresAt, row)
    return typeof replaced === 'object' ? replaced : undefined
  }

  /** Whether a marker of the other store that was read before is not, and never becomes, the entry: that is not at home either. */
  async isVoid(key: string, row: Entry): Promise<boolean> {
    const at = await this.pair.home.read(key)
    if (at !== undefined && isPlain(at.payload)) return false
    return this.pair.decided(at, row) === undefined
  }

  /** Whether the claim is still there after the marker at home was read: else the entry may have been created on the other side. */
  async stands(key: string, standing: Claimed): Promise<boolean> {
    const beside = await this.pair.other.read(key)
    return beside !== undefined && sameVersion(beside.payload, standing.row.payload)
  }

  /** Whether this process may create the entry in the place of another one's claim. */
  comesFirst(mine: Claimed, theirs: Claimed): boolean {
    if (mine.claim.rank !== theirs.claim.rank) return mine.claim.rank < theirs.claim.rank
    return versionOf(mine.row.payload) < versionOf(theirs.row.payload)
  }

  /** Makes a claim come before another one, whose process may have crashed. */
  async #lower(key: string, { row }: Claimed, { rank }: Claim, expiresAt: number): Promise<void> {
    await this.pair.other.replace(key, claimPayload(rank - 1), expiresAt + CLOCK_TOLERANCE_MS, row)
  }
}

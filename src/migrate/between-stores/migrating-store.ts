import { isCounting, isSweeping, sameVersion, type Counting, type Entry, type Store } from '../../store.ts'
import type { StoreTraits, Sweeping, Written } from '../../store.ts'
import { assertFits } from '../../stores/shared/payload-limit.ts'
import { EntryCreation } from './entry-creation.ts'
import { EntryMover } from './entry-mover.ts'
import { isPlain, STAGED_BYTES } from './marker.ts'
import { migrateError, type MigrateOptions } from './options.ts'
import { MAX_TRIES, StorePair, type Located } from './store-pair.ts'

/** How often a read tries to bring an entry home, before it uses it where it is. */
const MOVE_TRIES = 2
/** After so many tries a destroy removes what it finds, whatever its version. */
const CAREFUL_DESTROYS = 3

/** The store that `migrate()` returns. */
export interface MigratingStore extends Store {
  /** How many entries this process has moved so far: sessions, and what the library keeps beside them. */
  readonly moved: number
}

/** Where the entry was that a verb has returned: the token of that entry. */
class Place {
  readonly store: Store
  readonly row: Entry

  constructor(store: Store, row: Entry) {
    this.store = store
    this.row = row
  }
}

/** See `migrate()`. */
export class TwoStores implements MigratingStore {
  readonly traits: StoreTraits
  /** Present where one of the stores has it: the other one removes expired entries by itself. */
  declare readonly sweep?: Sweeping['sweep']
  /** Present where both stores have it. It also counts what moved entries have left in their old store, until that expires. */
  declare readonly count?: Counting['count']

  readonly pair: StorePair
  readonly #mover: EntryMover
  readonly #creation: EntryCreation

  constructor({ to, from, until, now = Date.now }: MigrateOptions) {
    this.pair = new StorePair(to, from, until.getTime(), now)
    this.#mover = new EntryMover(this.pair)
    this.#creation = new EntryCreation(this.pair)
    this.traits = traitsOf(to.traits, from.traits)
    if ([to, from].some(isSweeping)) this.sweep = async (limit) => this.#sweep(limit)
    if (isCounting(to) && isCounting(from)) this.count = async () => this.#count()
  }

  get moved(): number {
    return this.#mover.moved
  }

  /** @throws SessionError `ERR_SESSION_OPTIONS` if the stores differ in it, since nothing could be bound to it */
  get namespace(): string {
    const { home, other } = this.pair
    const [one, two] = [home.namespace ?? '', other.namespace ?? '']
    if (one === two) return one
    throw migrateError(
      `sealed sessions are bound to the prefix or table of their store, and these are '${one}' and '${two}'; give the new store the name of the old one, or set seal.application before the change`,
    )
  }

  async open(): Promise<void> {
    const { home, other, isOver } = this.pair
    await Promise.all([home.open?.(), isOver ? undefined : other.open?.()])
  }

  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    for (let tries = 0; ; tries += 1) {
      const located = await this.pair.locate(key, extendTo)
      if (located === undefined) {
        this.#creation.notFound(key)
        return undefined
      }
      const isHome = located.store === this.pair.home
      if (isHome || tries >= MOVE_TRIES || !this.#mover.mayMove(located)) return entryOf(located)
      const moved = await this.#mover.move(key, located, extendTo)
      if (moved === 'refused') return entryOf(located)
      if (moved !== undefined) return entryOf(moved)
    }
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    assertFits(this.traits, 'create', payload)
    const written = await this.#creation.create(key, payload, expiresAt)
    return typeof written === 'string' ? written : this.#written(this.pair.home, written)
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    assertFits(this.traits, 'replace', payload)
    let { store, row } = this.#placeOf(base)
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const written = await store.replace(key, payload, expiresAt, row)
      if (typeof written === 'object') return this.#written(store, written)
      const located = await this.pair.locate(key)
      if (located === undefined) return 'gone'
      if (!sameVersion(located.payload, base.payload)) return 'conflict'
      ;({ store, row } = located)
    }
    throw this.pair.contention('replace')
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    let store = this.pair.home
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      if ((await store.touch(key, expiresAt)) === 'ok') {
        // It may have been a marker.
        const row = await store.read(key)
        if (row !== undefined && isPlain(row.payload)) return 'ok'
      }
      const located = await this.pair.locate(key)
      if (located === undefined) return 'gone'
      ;({ store } = located)
    }
    throw this.pair.contention('touch')
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return base === undefined ? this.#destroyAny(key) : this.#destroySame(key, base)
  }

  async close(): Promise<void> {
    const { home, other } = this.pair
    const outcomes = await Promise.allSettled([home.close(), other.close()])
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  async #destroySame(key: string, base: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    let { store, row } = this.#placeOf(base)
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const outcome = await store.destroy(key, row)
      if (outcome === 'ok') return outcome
      const located = await this.pair.locate(key)
      if (located === undefined) return 'gone'
      if (!sameVersion(located.payload, base.payload)) return 'conflict'
      ;({ store, row } = located)
    }
    throw this.pair.contention('destroy')
  }

  /** Compares, so that it knows what it has removed. After a few writers in a row it removes whatever is there, and looks again. */
  async #destroyAny(key: string): Promise<'ok' | 'gone'> {
    let outcome: 'ok' | 'gone' = 'gone'
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const located = await this.pair.locate(key)
      if (located === undefined) return outcome
      const isCareful = tries < CAREFUL_DESTROYS
      const { store, row } = located
      if ((await store.destroy(key, isCareful ? row : undefined)) !== 'ok') continue
      if (isCareful) return 'ok'
      outcome = 'ok'
    }
    throw this.pair.contention('destroy')
  }

  async #sweep(limit: number): Promise<number> {
    let removed = 0
    for (const store of this.#asked()) {
      if (isSweeping(store) && removed < limit) removed += await store.sweep(limit - removed)
    }
    return removed
  }

  async #count(): Promise<number> {
    const counts = this.#asked().map(async (store) => (isCounting(store) ? store.count() : 0))
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
  }

  #asked(): readonly Store[] {
    const { home, other, isOver } = this.pair
    return isOver ? [home] : [home, other]
  }

  /** Where an entry was when it was returned. One of another object or process is looked for at home first. */
  #placeOf({ payload, expiresAt, token }: Entry): Place {
    const { home, other } = this.pair
    if (token instanceof Place && (token.store === home || token.store === other)) return token
    return new Place(home, { payload, expiresAt })
  }

  #written(store: Store, { entry }: Written): Written {
    const { payload, expiresAt } = entry
    return { entry: { payload, expiresAt, token: new Place(store, entry) } }
  }
}

function entryOf({ store, row, payload, expiresAt }: Located): Entry {
  return { payload, expiresAt, token: new Place(store, row) }
}

/** What holds of both stores. */
function traitsOf(to: StoreTraits, from: StoreTraits): StoreTraits {
  return {
    name: `${to.name}-from-${from.name}`,
    location: 'server',
    revocable: to.revocable && from.revocable,
    shared: to.shared && from.shared,
    durable: to.durable && from.durable,
    evicts: to.evicts === true || from.evicts === true,
    resolution: Math.max(to.resolution, from.resolution),
    maxBytes: Math.min(to.maxBytes, from.maxBytes) - STAGED_BYTES,
  }
}

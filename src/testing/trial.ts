import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { VERSION_LENGTH, type Entry, type Store, type Written } from '../store.ts'
import type { StoreHarness } from './harness.ts'

export const SECOND = 1_000
export const MINUTE: number = 60 * SECOND
export const HOUR: number = 60 * MINUTE
export const DAY: number = 24 * HOUR

/** How far a clock that nobody holds may run on while a requirement looks at it. */
const DRIFT: number = 10 * SECOND

/** Something kept: under which key to find it, and how it was handed out. */
export interface StoredEntry {
  readonly key: string
  readonly entry: Entry
}

/** One check of one requirement: it opens stores, makes up keys and payloads, reads the clock, and tidies up at the end. */
export class Trial {
  readonly #harness: StoreHarness
  readonly #stores: Store[] = []
  readonly #keys: string[] = []

  constructor(harness: StoreHarness) {
    this.#harness = harness
  }

  /** Another store on the same backend. */
  async open(): Promise<Store> {
    const store = await this.#harness.open()
    this.#stores.push(store)
    return store
  }

  /** The store itself and, where stores share a backend, one more: two processes that take turns. */
  async pair(store: Store): Promise<readonly [Store, Store]> {
    return [store, store.traits.shared ? await this.open() : store]
  }

  /** A key that nobody has used: 64 digits in hex, as the manager makes them. */
  key(): string {
    return this.named(randomBytes(32).toString('hex'))
  }

  /** A key of one's own choice, removed at the end like the others. */
  named(key: string): string {
    this.#keys.push(key)
    return key
  }

  /** The moment `ms` from now. */
  in(ms: number): number {
    return this.#harness.now() + ms
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    await this.#harness.advance(ms)
  }

  /** Lets so much of a life of `life` ms pass that the entry is still there, however coarse or restless the clock. */
  async almost(store: Store, life: number): Promise<void> {
    await this.pass(life - this.#margin(store))
  }

  /** Lets the rest pass after {@link almost}, and as much more as the store's resolution allows. */
  async rest(store: Store): Promise<void> {
    await this.pass(2 * this.#margin(store))
  }

  /** Lets a life of `life` ms go by, beyond doubt. */
  async outlive(store: Store, life: number): Promise<void> {
    await this.pass(life + this.#margin(store))
  }

  /** Asserts that `actual` is the moment `expected`, to the store's resolution. */
  assertMoment(store: Store, actual: number, expected: number): void {
    const slack = store.traits.resolution - 1 + (this.#harness.still === true ? 0 : DRIFT)
    const off = actual - expected
    assert.ok(Math.abs(off) <= slack, `expiresAt is off by ${off} ms, more than the resolution allows`)
  }

  /** Creates an entry under a fresh key. In a client store the key to find it by is the credential. */
  async keep(
    store: Store,
    text: string = payload(),
    expiresAt: number = this.in(HOUR),
  ): Promise<StoredEntry> {
    const key = this.key()
    return found(key, applied(await store.create(key, text, expiresAt)))
  }

  /** Closes what was opened and removes what was stored. A courtesy to the backend, which never changes the verdict. */
  async end(): Promise<void> {
    const [store] = this.#stores
    if (store?.traits.location === 'server') {
      await Promise.allSettled(this.#keys.map(async (key) => store.destroy(key)))
    }
    await Promise.allSettled(this.#stores.map(async (each) => each.close()))
  }

  #margin(store: Store): number {
    return store.traits.resolution + DRIFT
  }
}

/** A payload with a version of its own and `body` behind it. */
export function payload(body = ' 1700000000000\n"n" J 0'): string {
  return version() + body
}

/** The head of a payload: ASCII, of fixed width, and never the same twice. */
export function version(): string {
  const text = `kts1 ${randomBytes(12).toString('base64url')}`
  assert.equal(text.length, VERSION_LENGTH)
  return text
}

/** The write that was applied; anything else is a broken requirement. */
export function applied(outcome: Written | 'exists' | 'conflict' | 'gone'): Written {
  if (typeof outcome === 'string') assert.fail(`a write that should have been applied answered '${outcome}'`)
  return outcome
}

/** What a write kept, and where to find it from now on. */
export function found(key: string, written: Written): StoredEntry {
  return { key: written.credential ?? key, entry: written.entry }
}

/** Asserts that `text` and nothing else is kept under `key`, and hands the entry out. */
export async function assertKept(store: Store, key: string, text: string): Promise<Entry> {
  const entry = await store.read(key)
  if (entry === undefined) assert.fail('an entry that should be there is not')
  assertSame(entry.payload, text)
  return entry
}

/** Asserts that nobody is there. */
export async function assertAbsent(store: Store, key: string): Promise<void> {
  assert.equal(await store.read(key), undefined, 'an entry is there that should not be')
}

/** Compares two payloads; a difference is shown by its place, since a megabyte of text helps nobody. */
export function assertSame(actual: string, expected: string): void {
  if (actual === expected) return
  let at = 0
  while (actual[at] === expected[at]) at += 1
  const show = (text: string): string => JSON.stringify(text.slice(at, at + 20))
  assert.fail(
    `payloads of ${actual.length} and ${expected.length} characters differ at ${at}: ${show(actual)}, not ${show(expected)}`,
  )
}

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { VERSION_LENGTH, type Entry, type Store, type Written } from '../store.ts'
import type { StoreHarness } from './harness.ts'

export const SECOND = 1_000
export const MINUTE: number = 60 * SECOND
export const HOUR: number = 60 * MINUTE
export const DAY: number = 24 * HOUR

/** How much real time may pass during a check, where the clock of the harness runs on by itself. */
const DRIFT: number = 10 * SECOND

/** An entry that was stored, and the key to read it by. */
export interface StoredEntry {
  readonly key: string
  readonly entry: Entry
}

/** One check of one requirement: opens stores, makes keys and payloads, reads and advances the clock, and cleans up. */
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

  /** The store itself and, where stores share a backend, another one, which stands for another process. */
  async pair(store: Store): Promise<readonly [Store, Store]> {
    return [store, store.traits.shared ? await this.open() : store]
  }

  /** A new key: 64 hexadecimal digits, as the manager makes them. */
  key(): string {
    return this.named(randomBytes(32).toString('hex'))
  }

  /** This key, which is removed at the end like the others. */
  named(key: string): string {
    this.#keys.push(key)
    return key
  }

  /** The time `ms` from now. */
  in(ms: number): number {
    return this.#harness.now() + ms
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    await this.#harness.advance(ms)
  }

  /** Lets almost all of `life` ms pass: whatever the resolution and the clock, the entry must still be there. */
  async almost(store: Store, life: number): Promise<void> {
    await this.pass(life - this.#margin(store))
  }

  /** Lets the rest of a life pass after {@link almost}: the entry must be gone. */
  async rest(store: Store): Promise<void> {
    await this.pass(2 * this.#margin(store))
  }

  /** Lets more than `life` ms pass: the entry must be gone. */
  async outlive(store: Store, life: number): Promise<void> {
    await this.pass(life + this.#margin(store))
  }

  /** Asserts that `actual` equals `expected`, to the store's resolution. */
  assertMoment(store: Store, actual: number, expected: number): void {
    const slack = store.traits.resolution - 1 + (this.#harness.still === true ? 0 : DRIFT)
    const off = actual - expected
    assert.ok(Math.abs(off) <= slack, `expiresAt is off by ${off} ms, more than the resolution allows`)
  }

  /** Creates an entry under a new key. A store on the client reads it by its credential. */
  async keep(
    store: Store,
    text: string = payload(),
    expiresAt: number = this.in(HOUR),
  ): Promise<StoredEntry> {
    const key = this.key()
    return found(key, applied(await store.create(key, text, expiresAt)))
  }

  /** Closes what was opened and removes what was stored. Errors are ignored: they say nothing about the requirement. */
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

/** A payload with a new version, followed by `body`. */
export function payload(body = ' 1700000000000\n"n" J 0'): string {
  return version() + body
}

/** A new version, which is the beginning of a payload: ASCII of fixed length. */
export function version(): string {
  const text = `kts1 ${randomBytes(12).toString('base64url')}`
  assert.equal(text.length, VERSION_LENGTH)
  return text
}

/** Asserts that a write was applied. */
export function applied(outcome: Written | 'exists' | 'conflict' | 'gone'): Written {
  if (typeof outcome === 'string') assert.fail(`a write that should have been applied answered '${outcome}'`)
  return outcome
}

/** The entry of a write, and the key to read it by from now on. */
export function found(key: string, written: Written): StoredEntry {
  return { key: written.credential ?? key, entry: written.entry }
}

/** Asserts that `text` is stored under `key`, and returns the entry. */
export async function assertKept(store: Store, key: string, text: string): Promise<Entry> {
  const entry = await store.read(key)
  if (entry === undefined) assert.fail('an entry is missing')
  assertSame(entry.payload, text)
  return entry
}

/** Asserts that no entry is found. */
export async function assertAbsent(store: Store, key: string): Promise<void> {
  assert.equal(await store.read(key), undefined, 'there is an entry that should be absent')
}

/** Asserts that two payloads are equal. The message shows the first difference alone: payloads may be megabytes long. */
export function assertSame(actual: string, expected: string): void {
  if (actual === expected) return
  let at = 0
  while (actual[at] === expected[at]) at += 1
  const show = (text: string): string => JSON.stringify(text.slice(at, at + 20))
  assert.fail(
    `payloads of ${actual.length} and ${expected.length} characters differ at ${at}: ${show(actual)}, not ${show(expected)}`,
  )
}

import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { SessionError } from '../../src/index.ts'
import type { Entry, Store, StoreTraits, Written } from '../../src/store.ts'

export type Verb = 'read' | 'create' | 'replace' | 'touch' | 'destroy'

/** One call of a store. */
export interface StoreCall {
  readonly verb: Verb
  readonly key: string
  /** What {@link caller} says of the operation that made the call. */
  readonly caller: string | undefined
}

/** Names the operation whose calls follow: `caller.run('logout', async () => …)`. */
export const caller: AsyncLocalStorage<string> = new AsyncLocalStorage()

/**
 * The store of one process, in front of a store that several share: it logs its calls, and can delay, hold and lose them.
 * `close` leaves the shared store open.
 */
export class HookedStore implements Store {
  readonly inner: Store
  readonly calls: StoreCall[] = []
  /** How long each call and each answer is under way, in ms. */
  latency: () => number = () => 0
  before: (call: StoreCall) => void | Promise<void> = () => {}
  after: (call: StoreCall) => void | Promise<void> = () => {}
  /** How long the entry under each key lives, as far as this store has been told. */
  readonly #lives = new Map<string, number>()
  #losing: Verb | undefined
  readonly #lost: (() => Promise<unknown>)[] = []

  constructor(inner: Store) {
    this.inner = inner
  }

  get traits(): StoreTraits {
    return this.inner.traits
  }

  /** The verbs that this operation has called, or all of them. */
  verbs(by?: string): readonly Verb[] {
    return this.calls.filter(({ caller }) => by === undefined || caller === by).map(({ verb }) => verb)
  }

  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    return this.#noteLife(key, await this.#call('read', key, async () => this.inner.read(key, extendTo)))
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    return this.#noteLife(
      key,
      await this.#call('create', key, async () => this.inner.create(key, payload, expiresAt)),
      expiresAt,
    )
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    return this.#noteLife(
      key,
      await this.#call('replace', key, async () => this.inner.replace(key, payload, expiresAt, base)),
      expiresAt,
    )
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#noteLife(
      key,
      await this.#call('touch', key, async () => this.inner.touch(key, expiresAt)),
      expiresAt,
    )
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#call('destroy', key, async () => this.inner.destroy(key, base))
  }

  async close(): Promise<void> {}

  /** The answer to the next call of this verb is lost: it is rejected at once, and carried out by {@link deliver}. */
  lose(verb: Verb): void {
    this.#losing = verb
  }

  /** Carries out the calls whose answers were lost. Returns how many there were. */
  async deliver(): Promise<number> {
    const late = this.#lost.splice(0)
    for (const perform of late) await perform()
    return late.length
  }

  /** Removes what has expired by `now`, as the backend itself would if its clock said so. */
  async expire(now: number): Promise<void> {
    for (const [key, expiresAt] of this.#lives) if (expiresAt <= now) await this.inner.destroy(key)
  }

  /** All payloads that are stored under keys that this store has been asked about. */
  async payloads(): Promise<readonly string[]> {
    const keys = new Set(this.calls.map(({ key }) => key))
    const entries = await Promise.all([...keys].map(async (key) => this.inner.read(key)))
    return entries.flatMap((entry) => entry?.payload ?? [])
  }

  async #call<T>(verb: Verb, key: string, perform: () => Promise<T>): Promise<T> {
    const call = { verb, key, caller: caller.getStore() }
    this.calls.push(call)
    if (this.#losing === verb) {
      this.#losing = undefined
      this.#lost.push(perform)
      throw new SessionError('ERR_SESSION_STORE', `${this.traits.name}: ${verb}: no answer`)
    }
    const latency = this.latency()
    if (latency > 0) await sleep(latency)
    await this.before(call)
    const result = await perform()
    await this.after(call)
    if (latency > 0) await sleep(latency)
    return result
  }

  #noteLife<T>(key: string, result: T, expiresAt: number = 0): T {
    const isEntry = typeof result === 'object' && result !== null && 'expiresAt' in result
    const life = isEntry
      ? Number(result.expiresAt)
      : typeof result === 'object' || result === 'ok'
        ? expiresAt
        : 0
    if (life > 0) this.#lives.set(key, life)
    return result
  }
}

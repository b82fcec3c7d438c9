import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { SessionError } from '../../src/index.ts'
import { InterceptedStore } from '../../src/testing/simulation/intercepted-store.ts'
import type { Answer, Call } from '../../src/testing/simulation/store-model.ts'

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
export class HookedStore extends InterceptedStore {
  readonly calls: StoreCall[] = []
  /** How long each call and each answer is under way, in ms. */
  latency: () => number = () => 0
  before: (call: StoreCall) => void | Promise<void> = () => {}
  after: (call: StoreCall) => void | Promise<void> = () => {}
  /** How long the entry under each key lives, as far as this store has been told. */
  readonly #lives = new Map<string, number>()
  #losing: Verb | undefined
  readonly #lost: (() => Promise<unknown>)[] = []

  /** The verbs that this operation has called, or all of them. */
  verbs(by?: string): readonly Verb[] {
    return this.calls.filter(({ caller }) => by === undefined || caller === by).map(({ verb }) => verb)
  }

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

  override async intercept<A extends Answer>(
    { verb, key, expiresAt = 0 }: Call,
    perform: () => Promise<A>,
  ): Promise<A> {
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
    this.#noteLife(key, result, expiresAt)
    return result
  }

  #noteLife(key: string, result: Answer, expiresAt: number): void {
    const isWritten = typeof result === 'object' || result === 'ok'
    const life = typeof result === 'object' && 'payload' in result ? result.expiresAt : expiresAt
    if (isWritten && life > 0) this.#lives.set(key, life)
  }
}

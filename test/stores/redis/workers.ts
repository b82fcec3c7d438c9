import assert from 'node:assert/strict'
import type { RedisStore } from '../../../src/stores/redis.ts'
import { payload, soon } from './session.ts'

/** Increments the numbers in some sessions by compare-and-swap, one worker for each, until it is stopped. */
export class Workers {
  readonly #store: RedisStore
  readonly #counts: Map<string, number>
  readonly #work: Promise<unknown>
  #isOver = false

  private constructor(store: RedisStore, keys: readonly string[]) {
    this.#store = store
    this.#counts = new Map(keys.map((key) => [key, 0]))
    this.#work = Promise.all(keys.map(async (key) => this.#increment(key)))
    this.#work.catch(() => undefined) // told by `stop`
  }

  /** Creates the sessions and starts. */
  static async start(store: RedisStore, keys: readonly string[]): Promise<Workers> {
    for (const key of keys) assert.notEqual(await store.create(key, payload('0'), soon()), 'exists')
    return new Workers(store, keys)
  }

  /** How many increments were acknowledged so far. */
  get done(): number {
    return [...this.#counts.values()].reduce((sum, n) => sum + n, 0)
  }

  /** Until so many more are done. */
  async more(howMany: number): Promise<void> {
    const enough = this.done + howMany
    while (this.done < enough) {
      await Promise.race([this.#work, new Promise((resolve) => setTimeout(resolve, 5))])
    }
  }

  /** Ends the work, and asserts that every acknowledged increment is there and no other. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#work
    for (const [key, count] of this.#counts) assert.equal(await numberIn(this.#store, key), count)
  }

  async #increment(key: string): Promise<void> {
    while (!this.#isOver) {
      const base = await this.#store.read(key, soon())
      assert.ok(base, 'a session that was not destroyed is gone')
      const next = payload(String(Number(base.payload.slice(22)) + 1))
      const outcome = await this.#store.replace(key, next, soon(), base)
      assert.equal(
        typeof outcome,
        'object',
        `no other process writes here, and yet: ${JSON.stringify(outcome)}`,
      )
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    }
  }
}

export async function numberIn(store: RedisStore, key: string): Promise<number> {
  const entry = await store.read(key)
  return entry === undefined ? Number.NaN : Number(entry.payload.slice(22))
}

import type { Entry, Store, StoreTraits, Written } from '../../src/store.ts'
import { MemoryStore } from '../../src/stores/memory.ts'

type Verb = 'read' | 'create' | 'replace' | 'touch' | 'destroy'

/** A memory store that records its calls, and runs `before` and `after` around each, to interleave, to fail or to look. */
export class SpiedStore implements Store {
  readonly inner: MemoryStore
  readonly calls: Verb[] = []
  readonly keys = new Set<string>()
  before: (verb: Verb, key: string) => void | Promise<void> = () => {}
  after: (verb: Verb, key: string) => void | Promise<void> = () => {}

  constructor(now: () => number = Date.now) {
    this.inner = new MemoryStore({ now })
  }

  get traits(): StoreTraits {
    return this.inner.traits
  }

  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    return this.#call('read', key, async () => this.inner.read(key, extendTo))
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    return this.#call('create', key, async () => this.inner.create(key, payload, expiresAt))
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    return this.#call('replace', key, async () => this.inner.replace(key, payload, expiresAt, base))
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#call('touch', key, async () => this.inner.touch(key, expiresAt))
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#call('destroy', key, async () => this.inner.destroy(key, base))
  }

  async sweep(limit: number): Promise<number> {
    return this.inner.sweep(limit)
  }

  async count(): Promise<number> {
    return this.inner.count()
  }

  async close(): Promise<void> {
    await this.inner.close()
  }

  async #call<T>(verb: Verb, key: string, act: () => Promise<T>): Promise<T> {
    this.calls.push(verb)
    this.keys.add(key)
    await this.before(verb, key)
    const result = await act()
    await this.after(verb, key)
    return result
  }
}

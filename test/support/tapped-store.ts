import type { Entry, Store, StoreTraits, Written } from '../../src/store.ts'

type Verb = 'read' | 'create' | 'replace' | 'touch' | 'destroy'

/** A wrapper of any store. It runs a function before each call, and records the keys of the calls. */
export class TappedStore implements Store {
  readonly inner: Store
  readonly keys = new Set<string>()
  readonly calls: Verb[] = []
  before: (verb: Verb, base?: Entry) => void = () => {}

  constructor(inner: Store) {
    this.inner = inner
  }

  get traits(): StoreTraits {
    return this.inner.traits
  }

  async open(): Promise<void> {
    await this.inner.open?.()
  }

  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    this.#tell('read', key)
    return this.inner.read(key, extendTo)
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    this.#tell('create', key)
    return this.inner.create(key, payload, expiresAt)
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    this.#tell('replace', key, base)
    return this.inner.replace(key, payload, expiresAt, base)
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    this.#tell('touch', key)
    return this.inner.touch(key, expiresAt)
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    this.#tell('destroy', key, base)
    return this.inner.destroy(key, base)
  }

  async close(): Promise<void> {
    await this.inner.close()
  }

  #tell(verb: Verb, key: string, base?: Entry): void {
    this.keys.add(key)
    this.calls.push(verb)
    this.before(verb, base)
  }
}

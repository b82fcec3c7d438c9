import type { Entry, Store, StoreTraits, Written } from '../../store.ts'
import type { Answer, Call } from './store-model.ts'

/** A store each of whose calls passes through {@link intercept}, which may delay it, fail it, or keep it back. */
export abstract class InterceptedStore implements Store {
  readonly inner: Store

  constructor(inner: Store) {
    this.inner = inner
  }

  /** @param perform makes the call */
  abstract intercept<A extends Answer>(call: Call, perform: () => Promise<A>): Promise<A>

  get traits(): StoreTraits {
    return this.inner.traits
  }

  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    return this.intercept({ verb: 'read', key }, async () => this.inner.read(key, extendTo))
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    return this.intercept({ verb: 'create', key, payload, expiresAt }, async () =>
      this.inner.create(key, payload, expiresAt),
    )
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    return this.intercept({ verb: 'replace', key, payload, expiresAt, base }, async () =>
      this.inner.replace(key, payload, expiresAt, base),
    )
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.intercept({ verb: 'touch', key, expiresAt }, async () => this.inner.touch(key, expiresAt))
  }

  async destroy(key: string, base?: Entry, until?: number): Promise<'ok' | 'conflict' | 'gone'> {
    return this.intercept({ verb: 'destroy', key, base }, async () => this.inner.destroy(key, base, until))
  }

  /** Does nothing: the store was opened elsewhere. */
  async close(): Promise<void> {}
}

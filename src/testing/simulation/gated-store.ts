import { AsyncLocalStorage } from 'node:async_hooks'
import type { Entry, Store, StoreTraits, Written } from '../../store.ts'
import type { Actor } from './actor.ts'

/** What a request asks of the store. */
export interface Call {
  readonly verb: 'read' | 'create' | 'replace' | 'touch' | 'destroy'
  readonly key: string
  readonly payload?: string
  readonly expiresAt?: number
  readonly base?: Entry | undefined
}

/** What the store may answer. */
export type Answer = Entry | Written | 'exists' | 'conflict' | 'gone' | 'ok' | undefined

/** Lets a request wait before a verb, and carries it out when its time has come. */
export type Hold = <A extends Answer>(actor: Actor, call: Call, perform: () => Promise<A>) => Promise<A>

/**
 * Whose turn it is to run: requests of one process share a store, and each call has to be known as somebody's. It is
 * emptied when the request is over, since a timer of the library's remembers where it was set for as long as it runs.
 */
export const current: AsyncLocalStorage<{ actor: Actor | undefined }> = new AsyncLocalStorage()

/** The store of one process: every verb of every request waits here until it is let through. */
export class GatedStore implements Store {
  readonly #store: Store
  readonly #hold: Hold

  constructor(store: Store, hold: Hold) {
    this.#store = store
    this.#hold = hold
  }

  get traits(): StoreTraits {
    return this.#store.traits
  }

  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    return this.#wait({ verb: 'read', key }, async () => this.#store.read(key, extendTo))
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    return this.#wait({ verb: 'create', key, payload, expiresAt }, async () =>
      this.#store.create(key, payload, expiresAt),
    )
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    return this.#wait({ verb: 'replace', key, payload, expiresAt, base }, async () =>
      this.#store.replace(key, payload, expiresAt, base),
    )
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#wait({ verb: 'touch', key, expiresAt }, async () => this.#store.touch(key, expiresAt))
  }

  async destroy(key: string, base?: Entry, until?: number): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#wait({ verb: 'destroy', key, base }, async () => this.#store.destroy(key, base, until))
  }

  /** The store belongs to whoever opened it. */
  async close(): Promise<void> {}

  async #wait<A extends Answer>(call: Call, perform: () => Promise<A>): Promise<A> {
    const actor = current.getStore()?.actor
    if (actor === undefined) throw new Error('a verb was called outside of any request')
    return this.#hold(actor, call, perform)
  }
}

import { sameVersion, type Entry, type Written } from '../../store.ts'
import type { Item, Items } from './items.ts'

/** Each failed try means that somebody else's write was applied. So many in a row are no accident. */
const TRIES = 100

/**
 * The verbs of a store on a backend that compares tokens, but can extend a life only blindly: get-and-touch and touch
 * set whatever moment they are told, so they might shorten it. A read therefore extends nothing, and a touch is a write
 * from the state that was seen. It changes the token though not the version, which costs a writer another try, never the
 * write.
 */
export class CasVerbs {
  readonly #items: Items
  readonly #now: () => number

  constructor(items: Items, now: () => number) {
    this.#items = items
    this.#now = now
  }

  async read(key: string): Promise<Entry | undefined> {
    const item = await this.#living(key)
    return item && entryOf(item)
  }

  async create(key: string, payload: string, until: number): Promise<Written | 'exists'> {
    const expiresAt = this.#items.moment(until)
    return this.#persist(async () => {
      const added = await this.#items.add(key, payload, expiresAt)
      if (added !== 'exists') return { entry: entryOf(added) }
      const there = await this.#items.get(key)
      if (there === undefined) return 'changed'
      if (this.#lives(there)) return 'exists'
      const replaced = await this.#items.replace(key, { payload, expiresAt, token: there.token })
      return typeof replaced === 'object' ? { entry: entryOf(replaced) } : 'changed'
    })
  }

  async replace(
    key: string,
    payload: string,
    until: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    const expiresAt = this.#items.moment(until)
    return this.#swap(key, base, async (token) => {
      const replaced = await this.#items.replace(key, { payload, expiresAt, token })
      return typeof replaced === 'object' ? { entry: entryOf(replaced) } : replaced
    })
  }

  async touch(key: string, until: number): Promise<'ok' | 'gone'> {
    const expiresAt = this.#items.moment(until)
    return this.#persist(async () => {
      const item = await this.#living(key)
      if (item === undefined) return 'gone'
      if (item.expiresAt >= expiresAt) return 'ok'
      const replaced = await this.#items.replace(key, { ...item, expiresAt })
      return typeof replaced === 'object' ? 'ok' : replaced
    })
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#swap(key, base, async (token) => this.#items.delete(key, token))
  }

  /**
   * Applies `write` to the living item, if it has the version of `base`. The first try trusts in the token of `base`; if
   * the item has another one, it may yet be the same version, touched meanwhile.
   */
  async #swap<T>(
    key: string,
    base: Entry | undefined,
    write: (token: unknown) => Promise<T | 'changed'>,
  ): Promise<T | 'conflict' | 'gone'> {
    let token = base !== undefined && this.#lives(base) ? base.token : undefined
    return this.#persist<T | 'conflict' | 'gone'>(async () => {
      if (token === undefined) {
        const item = await this.#living(key)
        if (item === undefined) return 'gone'
        if (base !== undefined && !sameVersion(item.payload, base.payload)) return 'conflict'
        token = item.token
      }
      const outcome = await write(token)
      token = undefined
      return outcome
    })
  }

  /** Tries until the item has not changed under its hands. */
  async #persist<T>(attempt: () => Promise<T | 'changed'>): Promise<T> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const outcome = await attempt()
      if (outcome !== 'changed') return outcome
    }
    throw new Error('others kept writing to the same session')
  }

  async #living(key: string): Promise<Item | undefined> {
    const item = await this.#items.get(key)
    return item !== undefined && this.#lives(item) ? item : undefined
  }

  #lives({ expiresAt }: Entry): boolean {
    return expiresAt > this.#now()
  }
}

/** The item as callers get it, who may do with it what they like. */
function entryOf({ payload, expiresAt, token }: Item): Entry {
  return { payload, expiresAt, token }
}

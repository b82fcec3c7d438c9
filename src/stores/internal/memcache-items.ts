import { SessionError } from '../../errors.ts'
import type { Entry } from '../../store.ts'
import type { MemcacheLink } from './memcache-link.ts'
import { endIn, extrasOf, Opcode, Status, statusIn, tokenIn, type MemcacheResponse } from './memcache-wire.ts'

/** What memcached keeps of a session: the payload as it is, the second in which it ends as flags, and a token. */
export interface MemcacheItem {
  readonly payload: string
  /** Seconds since the epoch. */
  readonly end: number
  /** Another one after each write, a touch included. */
  readonly token: bigint
}

/** The items of one prefix, for as long as one call may take: each method is one round trip, and one step at the server. */
export class MemcacheItems {
  readonly #link: MemcacheLink
  readonly #prefix: string
  readonly #until: number

  constructor(link: MemcacheLink, prefix: string, until: number) {
    this.#link = link
    this.#prefix = prefix
    this.#until = until
  }

  async get(key: string): Promise<MemcacheItem | undefined> {
    const found = await this.#link.ask({ opcode: Opcode.getWithKey, key: this.#prefix + key }, this.#until)
    if (statusIn(found, Status.ok, Status.notFound) === Status.notFound) return undefined
    return { payload: found.val.toString(), end: endIn(found), token: tokenIn(found) }
  }

  async add(key: string, payload: string, end: number): Promise<MemcacheItem | 'exists'> {
    const request = { opcode: Opcode.add, key: this.#prefix + key, extras: extrasOf(end), value: payload }
    const added = await this.#link.call(request, this.#until)
    assertTaken(added)
    if (statusIn(added, Status.ok, Status.exists) === Status.exists) return 'exists'
    return { payload, end, token: tokenIn(added) }
  }

  /** Never creates. Command and token both see to that, where one of them would do. */
  async replace(
    key: string,
    { payload, end, token }: MemcacheItem,
  ): Promise<MemcacheItem | 'changed' | 'gone'> {
    const request = { key: this.#prefix + key, extras: extrasOf(end), value: payload, token }
    const replaced = await this.#link.call({ opcode: Opcode.replace, ...request }, this.#until)
    assertTaken(replaced)
    const status = statusIn(replaced, Status.ok, Status.exists, Status.notFound)
    if (status !== Status.ok) return status === Status.exists ? 'changed' : 'gone'
    return { payload, end, token: tokenIn(replaced) }
  }

  async delete(key: string, token: bigint): Promise<'ok' | 'changed' | 'gone'> {
    const deleted = await this.#link.call(
      { opcode: Opcode.delete, key: this.#prefix + key, token },
      this.#until,
    )
    const status = statusIn(deleted, Status.ok, Status.exists, Status.notFound)
    if (status !== Status.ok) return status === Status.exists ? 'changed' : 'gone'
    return 'ok'
  }
}

/** The item as callers get it. They may do with that what they like. */
export function entryOf({ payload, end, token }: MemcacheItem): Entry {
  return { payload, expiresAt: end * 1_000, token }
}

/** A server whose limit is lower than `maxItemBytes` says so; what was there before is still there. */
function assertTaken({ header }: MemcacheResponse): void {
  if (header.status !== Status.tooLarge) return
  throw new SessionError(
    'ERR_SESSION_LIMIT',
    'memcache: the server takes no item as large as this: set maxItemBytes to its option -I',
  )
}

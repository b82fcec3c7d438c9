import { SessionError } from '../../errors.ts'
import type { Item, Items } from '../shared/items.ts'
import type { MemcacheConnection } from './connection.ts'
import {
  endIn,
  endOf,
  extrasOf,
  Opcode,
  Status,
  statusIn,
  tokenIn,
  type MemcacheResponse,
} from './protocol.ts'

/** Tokens count up from one. */
const NOBODYS = 0xff_ff_ff_ff_ff_ff_ff_ffn

/**
 * The items of one prefix, for as long as one call may take. An item holds the payload as it is; its flags tell the second
 * in which the session ends, since memcached itself tells nobody.
 */
export class MemcacheItems implements Items {
  readonly #connection: MemcacheConnection
  readonly #prefix: string
  readonly #until: number

  constructor(connection: MemcacheConnection, prefix: string, until: number) {
    this.#connection = connection
    this.#prefix = prefix
    this.#until = until
  }

  moment(expiresAt: number): number {
    return endOf(expiresAt) * 1_000
  }

  async get(key: string): Promise<Item | undefined> {
    const found = await this.#connection.ask(
      { opcode: Opcode.getWithKey, key: this.#prefix + key },
      this.#until,
    )
    if (statusIn(found, Status.ok, Status.notFound) === Status.notFound) return undefined
    return { payload: found.val.toString(), expiresAt: endIn(found) * 1_000, token: tokenIn(found) }
  }

  async add(key: string, payload: string, expiresAt: number): Promise<Item | 'exists'> {
    const request = { key: this.#prefix + key, extras: extrasOf(endOf(expiresAt)), value: payload }
    const added = await this.#connection.call({ opcode: Opcode.add, ...request }, this.#until)
    assertTaken(added)
    if (statusIn(added, Status.ok, Status.exists) === Status.exists) return 'exists'
    return { payload, expiresAt, token: tokenIn(added) }
  }

  /** Never creates. Command and token both see to that, where one of them would do. */
  async replace(key: string, { payload, expiresAt, token }: Item): Promise<Item | 'changed' | 'gone'> {
    const request = { key: this.#prefix + key, extras: extrasOf(endOf(expiresAt)), value: payload }
    const replaced = await this.#connection.call(
      { opcode: Opcode.replace, token: known(token), ...request },
      this.#until,
    )
    assertTaken(replaced)
    const status = statusIn(replaced, Status.ok, Status.exists, Status.notFound)
    if (status !== Status.ok) return status === Status.exists ? 'changed' : 'gone'
    return { payload, expiresAt, token: tokenIn(replaced) }
  }

  async delete(key: string, token: unknown): Promise<'ok' | 'changed' | 'gone'> {
    const deleted = await this.#connection.call(
      { opcode: Opcode.delete, key: this.#prefix + key, token: known(token) },
      this.#until,
    )
    const status = statusIn(deleted, Status.ok, Status.exists, Status.notFound)
    if (status !== Status.ok) return status === Status.exists ? 'changed' : 'gone'
    return 'ok'
  }
}

/** A token of ours. None at all would mean that any state will do, so what is none becomes one that no item has. */
function known(token: unknown): bigint {
  return typeof token === 'bigint' && token !== 0n ? token : NOBODYS
}

/** A server whose limit is lower than `maxItemBytes` says so; what was there before is still there. */
function assertTaken({ header }: MemcacheResponse): void {
  if (header.status !== Status.tooLarge) return
  throw new SessionError(
    'ERR_SESSION_LIMIT',
    'memcache: the server takes no item as large as this: set maxItemBytes to its option -I',
  )
}

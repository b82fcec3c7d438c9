import { randomBytes } from 'node:crypto'
import { SessionError } from '../../errors.ts'
import type { Item, Items } from '../shared/cas-verbs.ts'
import type { Deadline } from '../shared/deadlines.ts'
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

/** A token that no item has: memcached counts tokens up from 1. */
const NO_TOKEN = 0xff_ff_ff_ff_ff_ff_ff_ffn

/**
 * The items with one prefix. The value of an item is the payload; its flags hold the second in which the session expires,
 * since memcached does not return the expiry that it was given.
 */
export class MemcacheItems implements Items {
  readonly #connection: MemcacheConnection
  readonly #prefix: string

  constructor(connection: MemcacheConnection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
  }

  moment(expiresAt: number): number {
    return endOf(expiresAt) * 1_000
  }

  async get(key: string, deadline: Deadline): Promise<Item | undefined> {
    const request = { opcode: Opcode.getWithKey, key: this.#prefix + key }
    const found = await this.#connection.ask(request, deadline)
    if (statusIn(found, Status.ok, Status.notFound) === Status.notFound) return undefined
    return { payload: found.val.toString(), expiresAt: endIn(found) * 1_000, token: tokenIn(found) }
  }

  async add(key: string, payload: string, expiresAt: number, deadline: Deadline): Promise<Item | 'exists'> {
    const request = { key: this.#prefix + key, extras: extrasOf(endOf(expiresAt)), value: payload }
    const added = await this.#connection.call({ opcode: Opcode.add, ...request }, deadline)
    assertAccepted(added)
    if (statusIn(added, Status.ok, Status.exists) === Status.exists) return 'exists'
    return { payload, expiresAt, token: tokenIn(added) }
  }

  async replace(
    key: string,
    { payload, expiresAt, token }: Item,
    deadline: Deadline,
  ): Promise<Item | 'changed' | 'gone'> {
    const request = { key: this.#prefix + key, extras: extrasOf(endOf(expiresAt)), value: payload }
    const replaced = await this.#connection.call(
      { opcode: Opcode.replace, token: known(token), ...request },
      deadline,
    )
    assertAccepted(replaced)
    const status = statusIn(replaced, Status.ok, Status.exists, Status.notFound)
    if (status !== Status.ok) return status === Status.exists ? 'changed' : 'gone'
    return { payload, expiresAt, token: tokenIn(replaced) }
  }

  async delete(key: string, token: unknown, deadline: Deadline): Promise<'ok' | 'changed' | 'gone'> {
    const request = {
      opcode: Opcode.delete,
      key: this.#prefix + key,
      ...(token !== undefined && { token: known(token) }),
    }
    const deleted = await this.#connection.call(request, deadline)
    const status = statusIn(deleted, Status.ok, Status.exists, Status.notFound)
    if (status !== Status.ok) return status === Status.exists ? 'changed' : 'gone'
    return 'ok'
  }

  async check(maxItemBytes: number, deadline: Deadline): Promise<void> {
    await this.#connection.check(
      `${this.#prefix}open-${randomBytes(8).toString('hex')}`,
      maxItemBytes,
      deadline,
    )
  }

  async close(): Promise<void> {
    this.#connection.close()
  }
}

/** The token for a request. In the protocol 0 stands for any item, so what is no token becomes one that matches no item. */
function known(token: unknown): bigint {
  return typeof token === 'bigint' && token !== 0n ? token : NO_TOKEN
}

/** A server with a limit below `maxItemBytes` refuses an item. What was stored before is still there. */
function assertAccepted({ header }: MemcacheResponse): void {
  if (header.status !== Status.tooLarge) return
  throw new SessionError(
    'ERR_SESSION_LIMIT',
    'memcache: the server accepts no item as large as this: set maxItemBytes to its option -I',
  )
}

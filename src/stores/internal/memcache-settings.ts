import { SessionError } from '../../errors.ts'
import { parseMemcacheAddresses, type MemcacheAddress } from './memcache-address.ts'
import type { MemcacheClient } from './memcache-wire.ts'

/** Settings of the `MemcacheStore`: `url` or `client`, and what is not as usual. */
export interface MemcacheStoreOptions {
  /**
   * The servers: `host:port` or `memcache://user:password@host:port`, several separated by `;`. All processes name them
   * in the same order, since a key belongs to a place in this list.
   */
  readonly url?: string
  /** A `Client` of memjs, without its `failover`. The store never closes it. Its own `timeout` holds as well. */
  readonly client?: MemcacheClient
  /** What stands before each key: printable ASCII without spaces, up to 100 characters. Default: `session:`. */
  readonly prefix?: string
  /** How long a call may take, in ms. Default: 5,000. */
  readonly timeout?: number
  /** The largest item that the servers take, in bytes: their option `-I`. Default: 1 MiB, as theirs. */
  readonly maxItemBytes?: number
  /** The clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

/** The settings, checked and complete. */
export interface MemcacheSettings {
  readonly servers: MemcacheClient | readonly MemcacheAddress[]
  readonly prefix: string
  readonly timeout: number
  readonly maxItemBytes: number
  readonly now: () => number
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if a setting is wrong */
export function memcacheSettings(options: MemcacheStoreOptions): MemcacheSettings {
  const { prefix = 'session:', timeout = 5_000, maxItemBytes = 1_048_576, now = Date.now } = options
  if (!/^[!-~]{0,100}$/.test(prefix)) {
    throw wrong('prefix must be printable ASCII without spaces, up to 100 characters')
  }
  assertWhole('timeout', timeout, 1)
  assertWhole('maxItemBytes', maxItemBytes, 2_048)
  return { servers: serversOf(options), prefix, timeout, maxItemBytes, now }
}

function serversOf({ url, client }: MemcacheStoreOptions): MemcacheClient | readonly MemcacheAddress[] {
  if (client === undefined && url !== undefined) return parseMemcacheAddresses(url)
  if (client === undefined || url !== undefined) throw wrong('give either url or client')
  if (client.options.failover !== true) return client
  throw wrong('client has failover: a server that comes back would bring ended sessions back with it')
}

function assertWhole(field: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return
  throw wrong(`${field} must be a whole number of at least ${least}`)
}

function wrong(what: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `memcache: ${what}`)
}

import { SessionError } from '../../errors.ts'
import type { MemcacheStoreOptions } from '../memcache.ts'
import { parseMemcacheAddresses, type MemcacheAddress } from './config.ts'
import type { MemcacheClient } from './protocol.ts'

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

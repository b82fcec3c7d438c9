import {
  assertClient,
  assertFunction,
  assertOptions,
  assertPrefix,
  assertTimeout,
  assertWhole,
  optionError,
  type OptionNames,
  PREFIX,
  sourceError,
  TIMEOUT,
} from '../shared/options.ts'
import { NO_TLS, parseMemcacheConfig, type MemcacheAddress } from './config.ts'
import type { MemcacheClient } from './protocol.ts'

/** Options of the `MemcacheStore`: `url` or `client`, and what differs from the defaults. */
export interface MemcacheStoreOptions {
  /**
   * The servers: `host:port` or `memcache://user:password@host:port`, several separated by `;`. List them in the same
   * order in every process: the position in the list decides which server keeps a key.
   */
  readonly url?: string
  /** A `Client` of memjs, without its option `failover`. The store never closes it. Its own `timeout` applies as well. */
  readonly client?: MemcacheClient
  /** The prefix of every key: printable ASCII without spaces, up to 100 characters. Default: `session:`. */
  readonly prefix?: string
  /** How long a verb may take, in ms. Default: 5,000. */
  readonly timeout?: number
  /** The largest item that the servers accept, in bytes: their option `-I`. Default: 1 MiB, as in memcached. */
  readonly maxItemBytes?: number
  /** The clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

/** The options, checked and with their defaults. */
export interface MemcacheSettings {
  readonly servers: MemcacheClient | readonly MemcacheAddress[]
  readonly prefix: string
  readonly timeout: number
  readonly maxItemBytes: number
  readonly now: () => number
}

const OPTIONS: OptionNames<MemcacheStoreOptions> = {
  url: true,
  client: true,
  prefix: true,
  timeout: true,
  maxItemBytes: true,
  now: true,
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong */
export function memcacheSettings(options: MemcacheStoreOptions): MemcacheSettings {
  for (const name of ['tls', 'ssl'])
    if (Object.hasOwn(Object(options), name)) throw optionError('memcache', `${name}: ${NO_TLS}`)
  assertOptions('memcache', options, OPTIONS)
  const { prefix = PREFIX, timeout = TIMEOUT, maxItemBytes = 1_048_576, now = Date.now } = options
  assertPrefix('memcache', prefix)
  assertTimeout('memcache', timeout)
  assertFunction('memcache', 'now', now)
  assertWhole('memcache', 'maxItemBytes', maxItemBytes, 2_048)
  return { servers: serversOf(options), prefix, timeout, maxItemBytes, now }
}

function serversOf({ url, client }: MemcacheStoreOptions): MemcacheClient | readonly MemcacheAddress[] {
  if (client === undefined && url !== undefined) return parseMemcacheConfig(url)
  if (client === undefined || url !== undefined) throw sourceError('memcache')
  const expected = 'a Client of memjs: Client.create(…)'
  assertClient('memcache', client, { servers: 'object', options: 'object', perform: 'function' }, expected)
  if (client.options.failover !== true) return client
  throw optionError(
    'memcache',
    'client has failover: a server that comes back would bring destroyed sessions back, so turn it off',
  )
}

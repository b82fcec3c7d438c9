import type { ConnectionOptions } from 'node:tls'
import type { Cluster, Redis } from 'ioredis'
import {
  assertClient,
  assertFunction,
  assertOptions,
  assertTimeout,
  assertWhole,
  type OptionNames,
  PREFIX,
  sourceError,
  TIMEOUT,
} from '../shared/options.ts'
import { parseRedisConfig, type RedisConfig, type RedisMode } from './config.ts'

/** Options of the `RedisStore`: `client` or `url`, and what differs from the defaults. */
export interface RedisStoreOptions {
  /** An ioredis client for one server, Sentinel or Cluster. The store never closes it. */
  readonly client?: Redis | Cluster
  /** The address of Redis: a URL, or one of beego's config strings. The store makes a client and closes it. */
  readonly url?: string
  /** What `url` points to: one server, nodes of a Cluster, or Sentinels. Default: `'single'`. */
  readonly mode?: RedisMode
  /** TLS options for `url`, such as `ca`. If they are given, the connection is encrypted, whether or not the URL says `rediss:`. */
  readonly tls?: ConnectionOptions
  /** The prefix of every key. Default: `'session:'`. */
  readonly prefix?: string
  /** How long a verb may take in all, with connecting and retries, in ms. Default: 5,000. */
  readonly timeout?: number
  /** The largest payload in bytes. Default: 512 MiB, the largest value of Redis. */
  readonly maxBytes?: number
  /** The clock, in ms since the epoch. Redis receives only durations. Default: `Date.now`. */
  readonly now?: () => number
}

/** The options, checked and with their defaults. */
export interface RedisSettings {
  /** The client of the application, or what the config string says. */
  readonly source: Redis | Cluster | RedisConfig
  readonly tls: ConnectionOptions | undefined
  readonly prefix: string
  readonly timeout: number
  readonly maxBytes: number
  readonly now: () => number
}

const MAX_BYTES: number = 512 * 1024 * 1024

const OPTIONS: OptionNames<RedisStoreOptions> = {
  url: true,
  client: true,
  mode: true,
  tls: true,
  prefix: true,
  timeout: true,
  maxBytes: true,
  now: true,
}

/** What clients of ioredis have, and those of node-redis have not. */
const CLIENT = {
  defineCommand: 'function',
  duplicate: 'function',
  status: 'string',
  options: 'object',
} as const

/** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong, or `url` malformed */
export function redisSettings(options: RedisStoreOptions): RedisSettings {
  assertOptions('redis', options, OPTIONS)
  const { client, url, mode = 'single', tls, maxBytes = MAX_BYTES, now = Date.now } = options
  const expected =
    'a Redis or a Cluster of ioredis (a client of the package redis, node-redis, cannot be used: npm install ioredis)'
  assertClient('redis', client, CLIENT, expected)
  const config = url === undefined ? undefined : parseRedisConfig(url, mode)
  const timeout = options.timeout ?? config?.timeout ?? TIMEOUT
  assertWhole('redis', 'maxBytes', maxBytes, 1)
  assertTimeout('redis', timeout)
  assertFunction('redis', 'now', now)
  const source = client ?? config
  if (source === undefined || (client !== undefined && config !== undefined)) throw sourceError('redis')
  return { source, tls, prefix: options.prefix ?? config?.prefix ?? PREFIX, timeout, maxBytes, now }
}

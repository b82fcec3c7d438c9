import type { Store } from '../../src/store.ts'
import { CouchbaseStore } from '../../src/stores/couchbase.ts'
import { FileStore } from '../../src/stores/file.ts'
import { MemcacheStore } from '../../src/stores/memcache.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'

interface Options {
  readonly url: string
  /** How many ms a call of the store may take. */
  readonly timeout: number
}

/** Makes the store of a provider with a deadline, which is not part of every config string. */
const makers: Readonly<Record<string, (options: Options) => Store>> = {
  memory: () => new MemoryStore(),
  file: ({ url }) => new FileStore({ folder: url }),
  sqlite: ({ url, timeout }) => new SqliteStore({ path: url, timeout }),
  redis: (options) => new RedisStore(options),
  redis_cluster: (options) => new RedisStore({ ...options, mode: 'cluster' }),
  redis_sentinel: (options) => new RedisStore({ ...options, mode: 'sentinel' }),
  memcache: (options) => new MemcacheStore(options),
  couchbase: (options) => new CouchbaseStore(options),
  mysql: (options) => new MysqlStore(options),
  postgres: (options) => new PostgresStore(options),
}

/** The store of a provider at a config string. */
export function makeStore(provider: string, url: string, timeout: number): Store {
  const make = makers[provider]
  if (make === undefined) throw new Error(`no store for ${provider}`)
  return make({ url, timeout })
}

/** A time limit that no test reaches, in ms. */
export const PATIENCE = 90_000

/** Settings for tests that are not about deadlines: long timeouts for a busy machine. */
export function patient(
  provider: string,
  config: string,
): { readonly store: Store; readonly openTimeout: number; readonly commitTimeout: number } {
  return { store: makeStore(provider, config, PATIENCE), openTimeout: PATIENCE, commitTimeout: PATIENCE }
}

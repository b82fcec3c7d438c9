import { SessionError } from '../errors.ts'
import type { Store } from '../store.ts'
import { CookieStore } from '../stores/cookie.ts'
import { CouchbaseStore } from '../stores/couchbase.ts'
import { FileStore } from '../stores/file.ts'
import { MemcacheStore } from '../stores/memcache.ts'
import { MemoryStore } from '../stores/memory.ts'
import { MysqlStore } from '../stores/mysql.ts'
import { PostgresStore } from '../stores/postgres.ts'
import { RedisStore } from '../stores/redis.ts'
import { parseCookieConfig, type CookieWishes } from '../stores/cookie/config.ts'

/** What a provider is told besides its config string. */
export interface ProviderContext {
  /** The clock of the session's settings, for stores that expire entries by themselves. */
  readonly now: () => number
}

/** Makes a store of a provider's config string. It connects at its first use, but refuses a malformed string at once. */
export type OpenProvider = (config: string, context: ProviderContext) => Store

const providers = new Map<string, OpenProvider>([
  ['memory', (_config, { now }) => new MemoryStore({ now })],
  ['cookie', (config, context) => CookieStore.fromConfig(config, context)],
  ['file', (config, { now }) => new FileStore({ folder: config, now })],
  ['redis', (config, context) => RedisStore.fromConfig(config, context)],
  ['redis_cluster', (config, context) => RedisStore.fromConfig(config, context, 'cluster')],
  ['redis_sentinel', (config, context) => RedisStore.fromConfig(config, context, 'sentinel')],
  ['memcache', (config, context) => MemcacheStore.fromConfig(config, context)],
  ['couchbase', (config, context) => CouchbaseStore.fromConfig(config, context)],
  ['mysql', (config, context) => MysqlStore.fromConfig(config, context)],
  ['postgres', (config, context) => PostgresStore.fromConfig(config, context)],
  ['postgresql', (config, context) => PostgresStore.fromConfig(config, context)],
])

/** Whose config strings say something about the cookie itself, as beego's cookie engine has it. */
const wishes = new Map<string, (config: string) => CookieWishes>([
  ['cookie', (config) => parseCookieConfig(config).cookie],
])

/** What a provider's config string says about the cookie that carries the session. */
export function cookieWishes(provider = '', config = ''): CookieWishes {
  return wishes.get(provider)?.(config) ?? {}
}

/**
 * Adds an engine of your own under a name, as beego's `Register` does: from then on `provider: name` and
 * `sessionprovider = name` open it.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` if the name is taken
 */
export function registerProvider(name: string, open: OpenProvider): void {
  if (name === '') throw new SessionError('ERR_SESSION_OPTIONS', 'registerProvider: the name is empty')
  const known = providers.get(name)
  if (known === open) return
  if (known !== undefined) {
    throw new SessionError('ERR_SESSION_OPTIONS', `registerProvider: there is already a provider '${name}'`)
  }
  providers.set(name, open)
}

/** @throws SessionError `ERR_SESSION_OPTIONS` if nobody has registered the name, or the string is malformed */
export function openProvider(name: string, config: string, context: ProviderContext): Store {
  const open = providers.get(name)
  if (open === undefined) {
    const known = [...providers.keys()].join(', ')
    throw new SessionError('ERR_SESSION_OPTIONS', `provider: there is no '${name}'; known are ${known}`)
  }
  return open(config, context)
}

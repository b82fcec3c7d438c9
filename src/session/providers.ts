import type Cluster from 'node:cluster'
import type * as Module from 'node:module'
import { SessionError } from '../errors.ts'
import { nearestName } from '../nearest-name.ts'
import type { Store, Written } from '../store.ts'
import { CookieStore } from '../stores/cookie.ts'
import { parseCookieConfig, type CookieWishes } from '../stores/cookie/config.ts'
import { MemoryStore } from '../stores/memory.ts'

/** What a provider gets besides its config string. */
export interface ProviderContext {
  /** The `now` of the session options: a clock in ms since the epoch, for stores that expire entries themselves. */
  readonly now: () => number
}

/**
 * Creates a store from a config string. It should throw for a string that is malformed, and connect at the first use of the store.
 */
export type OpenProvider = (config: string, context: ProviderContext) => Store

/** The modules of the engines that are loaded when a program names them. */
interface Engines {
  readonly file: typeof import('../stores/file.ts')
  readonly sqlite: typeof import('../stores/sqlite.ts')
  readonly redis: typeof import('../stores/redis.ts')
  readonly memcache: typeof import('../stores/memcache.ts')
  readonly couchbase: typeof import('../stores/couchbase.ts')
  readonly mysql: typeof import('../stores/mysql.ts')
  readonly postgres: typeof import('../stores/postgres.ts')
}

const onDemand: ReadonlyMap<string, OpenProvider> = new Map<string, OpenProvider>([
  ['file', (config, { now }) => new (load('file').FileStore)({ folder: config, now })],
  ['sqlite', (config, context) => load('sqlite').SqliteStore.fromConfig(config, context)],
  ['redis', (config, context) => load('redis').RedisStore.fromConfig(config, context)],
  ['redis_cluster', (config, context) => load('redis').RedisStore.fromConfig(config, context, 'cluster')],
  ['redis_sentinel', (config, context) => load('redis').RedisStore.fromConfig(config, context, 'sentinel')],
  ['memcache', (config, context) => load('memcache').MemcacheStore.fromConfig(config, context)],
  ['couchbase', (config, context) => load('couchbase').CouchbaseStore.fromConfig(config, context)],
  ['mysql', (config, context) => load('mysql').MysqlStore.fromConfig(config, context)],
  ['postgres', (config, context) => load('postgres').PostgresStore.fromConfig(config, context)],
  ['postgresql', (config, context) => load('postgres').PostgresStore.fromConfig(config, context)],
])

const providers = new Map<string, OpenProvider>([
  ['memory', (_config, { now }) => new MemoryStore({ now })],
  ['cookie', (config, context) => CookieStore.fromConfig(config, context)],
  ...onDemand,
])

/**
 * Loads an engine, at once, so that mistakes in a config string are thrown where the provider is opened. Bundlers do not
 * see it, so a bundle contains the engines only that its program imports. See `docs/decisions/0028-what-the-package-contains.md`.
 */
function load<E extends keyof Engines>(engine: E): Engines[E] {
  try {
    // Not imported: some bundlers follow a `createRequire` that they see. The cast is as above.
    const { createRequire } = process.getBuiltinModule('node:module') as unknown as typeof Module
    const require = createRequire(import.meta.url)
    // The build replaces this path by the subpath of the package, whose types are those of the module.
    return require(`../stores/${engine}.ts`) as Engines[E]
  } catch (cause) {
    const name = `${engine.charAt(0).toUpperCase()}${engine.slice(1)}Store`
    throw new SessionError(
      'ERR_SESSION_OPTIONS',
      `provider: the ${engine} store cannot be loaded by its name, as in a bundle; ` +
        `import { ${name} } from 'koa-typed-session/stores/${engine}', and give store: new ${name}(…) or call registerProvider`,
      { cause },
    )
  }
}

/** The store of a program that names none. */
class DefaultStore extends MemoryStore {
  static #hasWarned = false

  override create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    if (!DefaultStore.#hasWarned) DefaultStore.#warn()
    return super.create(key, payload, expiresAt)
  }

  static #warn(): void {
    DefaultStore.#hasWarned = true
    const isProduction = process.env['NODE_ENV'] === 'production'
    // Loaded in this case only. What is returned is the default export of the module, contrary to its type.
    const { isWorker } = process.getBuiltinModule('node:cluster') as unknown as typeof Cluster
    if (!isProduction && !isWorker) return
    const where = isWorker
      ? 'of one worker, and the other workers do not see them'
      : 'of this process, and a restart ends them'
    process.emitWarning(
      `Sessions are kept in the memory ${where}: no store was chosen. Set provider and providerConfig, or store; provider: 'memory' says that this one is meant.`,
      { type: 'SessionWarning', code: 'KTS_MEMORY_DEFAULT' },
    )
  }
}

/** The store of a program that names none: in memory, with a warning when that may not be meant. */
export function openDefaultStore({ now }: ProviderContext): Store {
  return new DefaultStore({ now })
}

/** What a config string says about the cookie; only that of beego's cookie provider says anything. */
export function cookieSettings(provider = '', config = ''): CookieWishes {
  return provider === 'cookie' ? parseCookieConfig(config).cookie : {}
}

/**
 * Registers a provider, as beego's `Register` does: `provider: name` and `sessionprovider = name` then open it. Registering the
 * same function again does nothing.
 *
 * ```ts
 * registerProvider('dynamo', (config) => new DynamoStore(config))
 * app.use(session({ provider: 'dynamo', providerConfig: 'table=sessions' }))
 * ```
 *
 * An engine of this package is registered under its own name by a program that is bundled: a bundle contains what the program
 * imports, and no engine is found in it by a name alone.
 *
 * ```ts
 * import { RedisStore } from 'koa-typed-session/stores/redis'
 * registerProvider('redis', RedisStore.fromConfig)
 * ```
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` if the name is empty or taken
 */
export function registerProvider(name: string, open: OpenProvider): void {
  if (typeof name !== 'string' || name === '')
    throw new SessionError('ERR_SESSION_OPTIONS', 'registerProvider: the name must be text that is not empty')
  if (typeof open !== 'function')
    throw new SessionError(
      'ERR_SESSION_OPTIONS',
      'registerProvider: the second argument must be a function that makes a store of a config string',
    )
  const known = providers.get(name)
  if (known === open) return
  if (known !== undefined && known !== onDemand.get(name)) {
    throw new SessionError('ERR_SESSION_OPTIONS', `registerProvider: there is already a provider '${name}'`)
  }
  providers.set(name, open)
}

/**
 * The error quotes neither the name, which may be a misplaced config string, nor the config string.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` if there is no such provider, or the config string is malformed
 */
export function openProvider(name: string, config: string, context: ProviderContext): Store {
  const open = providers.get(name)
  if (open === undefined) {
    const near = nearestName(name, providers.keys())
    const hint =
      near === undefined ? `known are ${[...providers.keys()].join(', ')}` : `did you mean ${near}?`
    throw new SessionError('ERR_SESSION_OPTIONS', `provider: is not the name of a provider; ${hint}`)
  }
  return open(config, context)
}

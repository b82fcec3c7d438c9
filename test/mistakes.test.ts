// What programs write by mistake, and the one sentence that each mistake gets: which setting, what was expected, what to do. Values are
// never quoted: one in the wrong place may be a password.
import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { readFile } from 'node:fs/promises'
import test from 'ava'
import Koa from 'koa'
import { z } from 'zod'
import { session as objectSession } from '../src/compat/index.ts'
import {
  createRegistry,
  fromConfig,
  registerProvider,
  requireFresh,
  session,
  SessionError,
  SessionManager,
  type SessionErrorCode,
} from '../src/index.ts'
import { CookieStore } from '../src/stores/cookie.ts'
import { CouchbaseStore } from '../src/stores/couchbase.ts'
import { FileStore } from '../src/stores/file.ts'
import { SqliteStore } from '../src/stores/sqlite.ts'
import { MemcacheStore } from '../src/stores/memcache.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { MysqlStore } from '../src/stores/mysql.ts'
import { PostgresStore } from '../src/stores/postgres.ts'
import { RedisStore } from '../src/stores/redis.ts'

/** Stands for a password, wherever text is given. */
const SECRET = 'hunter2-hunter2-hunter2'
const key = randomBytes(32).toString('base64')
const url = 'redis://127.0.0.1'

class Cart {
  items: string[] = []
}
class Wallet {
  #cents = 0
  add(cents: number): void {
    this.#cents += cents
  }
  get cents(): number {
    return this.#cents
  }
}
class Purse extends Wallet {
  owner = ''
}
class Scale {
  grams = 0
  weigh(): string {
    return this.#shown()
  }
  #shown(): string {
    return `${this.grams} g`
  }
}
class Point {
  x = 1
}

/** Calls a function as a JavaScript program may, with what its types forbid. */
function calls(target: unknown, ...args: readonly unknown[]): () => unknown {
  if (typeof target !== 'function') throw new Error('not a function')
  return () => Reflect.apply(target, undefined, args) as unknown
}

function makes(target: unknown, ...args: readonly unknown[]): () => unknown {
  if (typeof target !== 'function') throw new Error('not a class')
  return () => Reflect.construct(target, args) as unknown
}

function registers(...args: readonly unknown[]): () => unknown {
  const registry = createRegistry()
  return () => Reflect.apply(registry.registerType, registry, args) as unknown
}

/** Registers a class twice. */
function registersAgain(type: unknown, before: object | undefined, now: object | undefined): () => unknown {
  const registry = createRegistry()
  Reflect.apply(registry.registerType, registry, [type, before ?? {}])
  return () => Reflect.apply(registry.registerType, registry, [type, now ?? {}]) as unknown
}

/** An application of Express, as far as it is looked at. */
const express = Object.assign(() => {}, { use() {}, listen() {} })
const koaSessionStore = { get() {}, set() {}, destroy() {} }

type Mistake = readonly [what: string, provoke: () => unknown, says: RegExp, code?: SessionErrorCode]

const ofCalls: readonly Mistake[] = [
  ['session(app)', calls(session, new Koa()), /^session: options: .*without the application: app\.use/],
  [
    'session(options, app)',
    calls(session, {}, new Koa()),
    /^session: options: is the only argument: app\.use/,
  ],
  ['session(app, options)', calls(session, new Koa(), {}), /^session: options: .*without the application/],
  ['session(expressApp)', calls(session, express), /^session: options: .*where app is a Koa application/],
  [
    "session('text')",
    calls(session, SECRET),
    /^session: options: must be an object of settings instead of text: session\(\{/,
  ],
  ['session(null)', calls(session, null), /^session: options: must be an object of settings: session\(\{/],
  ['session(5)', calls(session, 5), /^session: options: must be an object of settings: session\(\{/],
  ['session([])', calls(session, []), /^session: options: .*instead of a list/],
  ['session(() => {})', calls(session, () => {}), /^session: options: .*instead of a function/],
  [
    'session(promise)',
    calls(session, Promise.resolve({})),
    /^session: options: .*instead of a promise: session\(await …\)/,
  ],
  [
    'session(store)',
    calls(session, new MemoryStore()),
    /^session: options: .*instead of a store: session\(\{ store \}\)/,
  ],
  ['session(manager)', calls(session, new SessionManager()), /^session: options: .*instead of a manager/],
  [
    'app.use(session)',
    calls(session, new Koa().createContext({} as never, {} as never), () => {}),
    /^session: options: .*mount what session\(\) returns/,
  ],
  [
    'expressApp.use(session)',
    calls(session, { headers: {}, method: 'GET' }),
    /^session: options: .*not a request: mount what session\(\) returns/,
  ],
  [
    "new SessionManager('text')",
    makes(SessionManager, SECRET),
    /^session: options: .*new SessionManager\(\{/,
  ],
  [
    'new SessionManager(store)',
    makes(SessionManager, new MemoryStore()),
    /^session: options: .*new SessionManager\(\{ store \}\)/,
  ],
  [
    'new SessionManager(app)',
    makes(SessionManager, new Koa()),
    /^session: options: .*without the application/,
  ],
  ['compat: session(app)', calls(objectSession, new Koa()), /^session: options: .*without the application/],
  [
    'compat: session(options, app)',
    calls(objectSession, {}, new Koa()),
    /^session: options: is the only argument/,
  ],
  ["compat: session('text')", calls(objectSession, SECRET), /^session: options: .*instead of text/],
  [
    'createRegistry([Cart])',
    calls(createRegistry, [Cart]),
    /^createRegistry: takes no arguments; .*registerType/,
    'ERR_SESSION_TYPE',
  ],
  ["requireFresh('5m')", calls(requireFresh, '5m'), /^requireFresh: expected a whole number of ms/],
  [
    'registerProvider() without a function',
    calls(registerProvider, 'mine'),
    /^registerProvider: .*must be a function/,
  ],
  ['registerProvider(function)', calls(registerProvider, () => {}), /^registerProvider: the name must be/],
  [
    'a name of a provider that is taken',
    calls(registerProvider, 'memory', () => {}),
    /^registerProvider: there is already/,
  ],
]

/** Settings of `session()`. */
const settings: readonly Mistake[] = (
  [
    // Names.
    [{ idleTimout: 5_000 }, /^session: idleTimout: is not a setting; did you mean idleTimeout\?$/],
    [{ idletimeout: 5_000 }, /did you mean idleTimeout\?$/],
    [{ providerConfg: SECRET }, /^session: providerConfg: .*did you mean providerConfig\?$/],
    [{ regsitry: createRegistry() }, /did you mean registry\?$/],
    [{ cookies: {} }, /did you mean cookie\?$/],
    [{ database: SECRET }, /^session: database: is not a setting; the README lists them$/],
    [{ cookie: { maxage: 5 } }, /^session: cookie\.maxage: is not a setting; did you mean maxAge\?$/],
    [{ cookie: { sameSiet: 'lax' } }, /did you mean sameSite\?$/],
    [{ cookie: { color: SECRET } }, /^session: cookie\.color: is not a setting; there are maxAge, domain, /],
    [{ limits: { byte: 5 } }, /^session: limits\.byte: .*did you mean bytes\?$/],
    [{ limits: { maxBytes: 5 } }, /^session: limits\.maxBytes: is not a setting; there are bytes, /],
    [
      { seal: { keys: [key], aplication: 'shop' } },
      /^session: seal\.aplication: .*did you mean application\?$/,
    ],
    [{ seal: { key } }, /^session: seal\.keys: is missing$/],
    [{ owners: { maximum: 5 } }, /^session: owners\.maximum: is not a setting; there are max, /],
    [{ keys: { cart: { mrege: 'items' } } }, /^session: keys\.cart\.mrege: .*did you mean merge\?$/],
    // Names of other libraries.
    [{ key: 'koa.sess' }, /^session: key: is `name` here$/],
    [{ secret: SECRET }, /^session: secret: is not needed: .*leave it out$/],
    [{ rolling: true }, /^session: rolling: .*leave it out$/],
    [{ maxAge: 86_400_000 }, /^session: maxAge: is `cookie\.maxAge` .*`idleTimeout`/],
    [{ signed: true }, /^session: signed: .*leave it out$/],
    [{ httpOnly: true }, /^session: httpOnly: is `cookie\.httpOnly` here$/],
    [{ renew: true }, /^session: renew: .*leave it out$/],
    [{ resave: false, saveUninitialized: false }, /^session: resave: .*leave it out$/],
    [{ saveUninitialized: false }, /^session: saveUninitialized: .*leave it out$/],
    [{ genid: () => '1' }, /^session: genid: is `idPrefix` here/],
    [{ keys: [SECRET] }, /^session: keys: is the isolation of single keys here, and no list of signing keys/],
    [{ ttl: 5 }, /^session: ttl: is `idleTimeout` here$/],
    [{ autoCommit: false }, /^session: autoCommit: is an option of session\(\) of koa-typed-session\/compat/],
    [{ valid: () => true }, /^session: valid: .*compat/],
    [{ cookie: { signed: true } }, /^session: cookie\.signed: .*leave it out$/],
    [{ cookie: { expires: new Date() } }, /^session: cookie\.expires: is `cookie\.maxAge` here, in ms$/],
    [{ cookie: { overwrite: true } }, /^session: cookie\.overwrite: .*leave it out$/],
    [{ store: koaSessionStore }, /^session: store: must be a store of koa-typed-session; .*`adopt`$/],
    // Stores.
    [{ store: 'redis' }, /^session: store: .*a name such as 'redis' is the option provider$/],
    [{ store: RedisStore }, /^session: store: .*not a class or function: write new RedisStore/],
    [{ store: new Map() }, /^session: store: must be a store of koa-typed-session/],
    [{ store: {} }, /^session: store: is not a store, which has read, create, /],
    [
      { store: new EventEmitter() },
      /^session: store: .*a client or pool is given to a store: new RedisStore\(\{ client \}\)$/,
    ],
    [{ store: [] }, /^session: store: must be a store/],
    [{ store: undefined }, /^session: store: must be a store, .*and is undefined$/],
    [
      { store: new MemoryStore(), provider: 'file' },
      /^session: store: cannot be given together with provider/,
    ],
    [{ provider: 'reddis' }, /provider: is not the name of a provider; did you mean redis\?$/],
    [{ provider: SECRET }, /provider: is not the name of a provider; known are memory, /],
    [{ provider: new MemoryStore() }, /^session: provider: must be the name of a provider, .*store$/],
    [{ provider: undefined }, /^session: provider: .*and is undefined$/],
    [
      { provider: 'redis', providerConfig: { host: SECRET } },
      /^session: providerConfig: must be a string, .*new RedisStore/,
    ],
    // Times.
    [
      { idleTimeout: '1h' },
      /^session: idleTimeout: must be a whole number of ms, such as 3_600_000 for an hour$/,
    ],
    [{ idleTimeout: -1 }, /^session: idleTimeout: must be more than 0 ms$/],
    [
      { idleTimeout: 0.5 },
      /^session: idleTimeout: must be a whole number of ms, such as 3_600_000 for an hour$/,
    ],
    [
      { idleTimeout: NaN },
      /^session: idleTimeout: must be a whole number of ms, such as 3_600_000 for an hour$/,
    ],
    [
      { absoluteTimeout: Infinity },
      /^session: absoluteTimeout: must be a whole number of ms, such as 3_600_000 for an hour$/,
    ],
    [
      { idleTimeout: 7_200_000, absoluteTimeout: 3_600_000 },
      /^session: idleTimeout: is longer than absoluteTimeout; lower it, or raise absoluteTimeout$/,
    ],
    [
      { rotateAfter: 60_000, rotateGrace: 60_000 },
      /^session: rotateGrace: is not shorter than rotateAfter; lower it$/,
    ],
    [{ commitTimeout: 2 ** 31 }, /^session: commitTimeout: must be at most 24 days$/],
    [
      { cookie: { maxAge: '1d' } },
      /^session: cookie\.maxAge: must be a whole number of ms, such as 3_600_000 for an hour$/,
    ],
    [{ cookie: { maxAge: 401 * 86_400_000 } }, /^session: cookie\.maxAge: must be at most 400 days/],
    // Limits.
    [{ limits: 5 }, /^session: limits: must be an object of settings, such as \{ bytes: 65_536 \}$/],
    [{ limits: { bytes: '1mb' } }, /^session: limits\.bytes: must be a whole number above 0$/],
    [
      { limits: { keys: undefined } },
      /^session: limits\.keys: must be a whole number above 0, and is undefined$/,
    ],
    [{ limits: { keys: NaN } }, /^session: limits\.keys: must be a whole number above 0$/],
    [{ limits: { depth: 1_000 } }, /^session: limits\.depth: must be at most 256$/],
    [{ limits: [1] }, /^session: limits: must be an object of settings/],
    // Schemas.
    [
      { schema: { user: 'string' } },
      /^session: schema\.user: is not a schema of zod 4, .*write z\.string\(\)/,
    ],
    [{ schema: { user: String } }, /^session: schema\.user: is not a schema/],
    [{ schema: { cart: Cart } }, /^session: schema\.cart: .*z\.instanceof\(Cart\) for a class$/],
    [{ schema: { user: { type: 'string' } } }, /^session: schema\.user: is not a schema/],
    [{ schema: { user: undefined } }, /^session: schema\.user: is not a schema.*and is undefined$/],
    [
      { schema: z.object({ user: z.string() }) },
      /^session: schema: must be an object with a schema for each key/,
    ],
    [{ schema: 'user' }, /^session: schema: must be an object of schemas$/],
    [{ schema: [z.string()] }, /^session: schema: must be an object of schemas$/],
    // Isolation and merge.
    [{ isolation: 'serialisable' }, /^session: isolation: must be one of .*; did you mean 'serializable'\?$/],
    [{ isolation: true }, /^session: isolation: must be one of snapshot, serializable, last-wins$/],
    [{ merge: true }, /^session: merge: is an option of single keys, .*keys: \{ cart: \{ merge/],
    [
      { keys: { cart: { merge: true } } },
      /^session: keys\.cart\.merge: must be a function, 'fields' or 'items'$/,
    ],
    [
      { keys: { cart: 'items' } },
      /^session: keys\.cart: must be an object of settings, such as \{ merge: 'items' \}$/,
    ],
    [
      { keys: { cart: { isolation: 'lastwins' } } },
      /^session: keys\.cart\.isolation: .*did you mean 'last-wins'\?$/,
    ],
    [
      { keys: { crat: { merge: 'items' } }, schema: { cart: z.instanceof(Cart) } },
      /^session: keys\.crat: is no key of the schema; did you mean cart\?$/,
    ],
    // Registries and seals.
    [{ registry: {} }, /^session: registry: must be a registry, which createRegistry\(\) returns/],
    [{ registry: [Cart] }, /^session: registry: .*classes are given to its registerType$/],
    [{ registry: createRegistry }, /^session: registry: must be a registry/],
    [{ seal: key }, /^session: seal: must be an object of settings, such as \{ keys: \[key\] \}$/],
    [{ seal: { keys: key } }, /^session: seal\.keys: must be a list of keys$/],
    [{ seal: { keys: [] } }, /^session: seal\.keys: needs at least one key$/],
    [{ seal: { keys: [SECRET] } }, /^session: seal\.keys\[0\]: /],
    [{ seal: { keys: [key], plainUntil: '2030-01-01' } }, /^session: seal\.plainUntil: must be a Date$/],
    [
      { seal: { keys: [key] }, provider: 'cookie', providerConfig: JSON.stringify({ keys: [key] }) },
      /^session: seal: is for stores on a server/,
    ],
    [{ owners: { store: 'postgres' } }, /^session: owners\.store: must be a store/],
    [
      { owners: { whenFull: 'refused' } },
      /^session: owners\.whenFull: must be 'unused', 'oldest' or 'refuse'/,
    ],
    // Cookies, headers and hooks.
    [{ cookie: 'sid' }, /^session: cookie: must be false or an object of settings/],
    [{ cookie: true }, /^session: cookie: must be false or an object of settings/],
    [{ cookie: { sameSite: 'Lax' } }, /^session: cookie\.sameSite: .*did you mean 'lax'\?$/],
    [{ cookie: { sameSite: true } }, /^session: cookie\.sameSite: must be 'lax', 'strict' or 'none'$/],
    [
      { cookie: { sameSite: 'none' } },
      /^session: cookie\.sameSite: sameSite 'none' needs cookie\.secure: true$/,
    ],
    [{ cookie: { secure: 'true' } }, /^session: cookie\.secure: must be true, false or 'auto'$/],
    [{ cookie: { domain: 'https://example.org' } }, /^session: cookie\.domain: must be a host name$/],
    [{ cookie: { path: 'shop' } }, /^session: cookie\.path: must begin with \//],
    [{ cookie: false }, /^session: cookie: is false, and neither header nor query/],
    [{ name: '__Host-sid' }, /^session: name: begins with __Host-, which needs cookie\.secure: true$/],
    [{ name: 'my sid' }, /^session: name: must be a name of letters/],
    [{ header: true }, /^session: header: must be a name of letters/],
    [{ clearSiteData: 'cache' }, /^session: clearSiteData: must be a list/],
    [{ property: Symbol('s') }, /^session: property: must be a string that is not empty$/],
    [{ passive: '/poll' }, /^session: passive: must be a function$/],
    [{ mayCreate: false }, /^session: mayCreate: must be a function$/],
    [{ commitOnError: 'never' }, /^session: commitOnError: must be true, false or a function$/],
    [{ onStoreError: 'annonymous' }, /^session: onStoreError: .*did you mean 'anonymous'\?$/],
    [{ onEvent: console }, /^session: onEvent: must be a function$/],
    [{ enabled: 'true' }, /^session: enabled: must be true or false$/],
    [{ hash: 'md5' }, /^session: hash: must name a hash/],
    [{ idPrefix: 'a b' }, /^session: idPrefix: must be letters/],
  ] as const
).map(([options, says]) => [`session(${described(options)})`, calls(session, options), says])

const ofManagers: readonly Mistake[] = [
  [
    'a manager with a cookie',
    makes(SessionManager, { cookie: {} }),
    /^session: cookie: is an option of session\(\)/,
  ],
  [
    'manager.begin() with a misspelled setting',
    () => new SessionManager().begin({ passiv: true } as object),
    /^manager\.open: passiv: is not a setting; did you mean passive\?$/,
  ],
  [
    'manager.begin() with an unknown setting',
    () => new SessionManager().begin({ id: SECRET } as object),
    /^manager\.open: id: is not a setting; there are passive, unseen, mayCreate$/,
  ],
  [
    'compat: a misspelled shape',
    calls(objectSession, { shap: 'koa-session' }),
    /^session: shap: .*did you mean shape\?$/,
  ],
  [
    'compat: a shape that is none',
    calls(objectSession, { shape: 'koa-sesion' }),
    /^session: shape: .*did you mean 'koa-session'\?$/,
  ],
  [
    'compat: a misspelled setting',
    calls(objectSession, { idleTimout: 5 }),
    /^session: idleTimout: .*did you mean idleTimeout\?$/,
  ],
  [
    'fromConfig: a misspelled setting',
    calls(fromConfig, { SessionProvder: SECRET }),
    /^fromConfig: options: .*did you mean sessionprovider\?$/,
  ],
  [
    'fromConfig: text for a number',
    calls(fromConfig, { SessionGCMaxLifetime: SECRET }),
    /^fromConfig: sessiongcmaxlifetime: must be a whole number/,
  ],
  [
    'fromConfig: a file that is not there',
    calls(fromConfig, `/nowhere/${SECRET}`),
    /^fromConfig: source: the file cannot be read \(ENOENT\)/,
  ],
]

const ofStores: readonly Mistake[] = [
  [
    "new RedisStore('url')",
    makes(RedisStore, `redis://:${SECRET}@h`),
    /^redis: the options must be an object instead of text: \{ url: … \}$/,
  ],
  ['new RedisStore()', makes(RedisStore), /^redis: the options must be an object/],
  [
    'new RedisStore(client)',
    makes(RedisStore, Object.assign(new EventEmitter(), { status: 'ready' })),
    /^redis: .*a client is one of them: \{ client \}$/,
  ],
  [
    'a misspelled prefix',
    makes(RedisStore, { url, prefx: 'a' }),
    /^redis: prefx: is not a setting; did you mean prefix\?$/,
  ],
  ['neither url nor client', makes(RedisStore, { prefix: 'a' }), /^redis: give either url or client$/],
  ['a url that is an object', makes(RedisStore, { url: new URL(url) }), /^redis: url must be a string$/],
  ['a timeout as text', makes(RedisStore, { url, timeout: '5s' }), /^redis: timeout must be a whole number/],
  ['a clock that is no function', makes(RedisStore, { url, now: 5 }), /^redis: now must be a function$/],
  [
    'memcache: an unknown setting',
    makes(MemcacheStore, { url: 'h:1', servers: SECRET }),
    /^memcache: servers: is not a setting; there are url, /,
  ],
  [
    'memcache: a prefix with a space',
    makes(MemcacheStore, { url: 'h:1', prefix: 'a b' }),
    /^memcache: prefix must be printable/,
  ],
  [
    'memcache: a small item size',
    makes(MemcacheStore, { url: 'h:1', maxItemBytes: 1 }),
    /^memcache: maxItemBytes must be a whole number of at least 2048$/,
  ],
  [
    'mysql: a misspelled table',
    makes(MysqlStore, { url: 'mysql://u@h/d', tabel: 'a' }),
    /^mysql: tabel: .*did you mean table\?$/,
  ],
  [
    'mysql: a table that is no name',
    makes(MysqlStore, { url: 'mysql://u@h/d', table: 'a b' }),
    /^mysql: table must be/,
  ],
  [
    'mysql: no connections',
    makes(MysqlStore, { url: 'mysql://u@h/d', poolSize: 0 }),
    /^mysql: poolSize must be/,
  ],
  [
    "mysql: postgres's name",
    makes(MysqlStore, { url: 'mysql://u@h/d', maxConnections: 5 }),
    /^mysql: maxConnections: is not a setting; there are .*poolSize/,
  ],
  [
    'postgres: a misspelled limit',
    makes(PostgresStore, { url: 'postgres://u@h/d', maxConections: 5 }),
    /^postgres: maxConections: .*did you mean maxConnections\?$/,
  ],
  [
    'postgres: a table that is no name',
    makes(PostgresStore, { url: 'postgres://u@h/d', table: '"' }),
    /^postgres: table must be/,
  ],
  [
    'couchbase: a place beside the url',
    makes(CouchbaseStore, { url: 'couchbase://u:p@h/b', bucket: 'b' }),
    /^couchbase: bucket, scope and collection belong into the url$/,
  ],
  [
    'couchbase: an unknown setting',
    makes(CouchbaseStore, { url: 'couchbase://u:p@h/b', buckit: 'b' }),
    /^couchbase: buckit: .*did you mean bucket\?$/,
  ],
  [
    "new SqliteStore('path')",
    makes(SqliteStore, './sessions.db'),
    /^sqlite: the options must be an object instead of text: \{ path: … \}$/,
  ],
  ['an SQLite store without a path', makes(SqliteStore, {}), /^sqlite: give either path or client$/],
  ['an SQLite store in memory', makes(SqliteStore, { path: ':memory:' }), /^sqlite: .*use the memory store/],
  [
    'a misspelled timeout of the SQLite store',
    makes(SqliteStore, { path: 'x', timout: 5 }),
    /^sqlite: timout: .*did you mean timeout\?$/,
  ],
  [
    'a path that is a URL',
    makes(SqliteStore, { path: `redis://:${SECRET}@h` }),
    /^sqlite: path must be the path of a file, not a URL$/,
  ],
  [
    'a path in the place of a client',
    makes(SqliteStore, { client: 'sessions.db' }),
    /^sqlite: client must be a database .* the name of a file is the option path$/,
  ],
  [
    "new FileStore('folder')",
    makes(FileStore, './sessions'),
    /^file: the options must be an object instead of text: \{ folder: … \}$/,
  ],
  ['a file store without a folder', makes(FileStore, {}), /^file: folder must name a directory/],
  [
    'a misspelled maxEntries',
    makes(FileStore, { folder: 'x', maxEntrys: 5 }),
    /^file: maxEntrys: .*did you mean maxEntries\?$/,
  ],
  [
    'a folder that is a URL',
    makes(FileStore, { folder: `redis://:${SECRET}@h` }),
    /^file: folder must be the path of a directory, not a URL$/,
  ],
  [
    'a cookie store without keys',
    makes(CookieStore, {}),
    /^cookie: keys must be a list of keys$|^cookie: keys: must be a list of keys$/,
  ],
  [
    'a misspelled revocations',
    makes(CookieStore, { keys: [key], revocation: 1 }),
    /^cookie: revocation: .*did you mean revocations\?$/,
  ],
  [
    'revocations that are no store',
    makes(CookieStore, { keys: [key], revocations: [] }),
    /^cookie: revocations: must be a store/,
  ],
  ['a key that can be guessed', makes(CookieStore, { keys: [SECRET] }), /^cookie: keys\[0\]/],
  [
    'a memory store with a size as text',
    makes(MemoryStore, { maxBytes: '1mb' }),
    /^memory: maxBytes must be a whole number/,
  ],
  [
    'a memory store with a misspelled size',
    makes(MemoryStore, { maxByte: 5 }),
    /^memory: maxByte: .*did you mean maxBytes\?$/,
  ],
]

const ofTypes: readonly Mistake[] = (
  [
    ['nothing', registers(), /^registerType: the first argument must be a class: registerType\(Cart\)$/],
    [
      'an instance',
      registers(new Cart()),
      /^registerType: the first argument must be a class, and not an instance/,
    ],
    ['a list of classes', registers([Cart]), /^registerType: .*not an instance or a list of classes/],
    ['a name before the class', registers('Cart', Cart), /^registerType: the first argument must be a class/],
    ['an arrow function', registers(() => {}), /^registerType: .*not a function that makes objects/],
    [
      'a name instead of options',
      registers(Cart, 'Cart'),
      /^registerType: .*object of options, such as \{ name: 'Cart' \}$/,
    ],
    [
      'a built-in class',
      registers(Date),
      /^registerType: built-in classes cannot be registered, except RegExp$/,
    ],
    [
      'a misspelled upgrade',
      registers(Cart, { upgrad: () => ({}) }),
      /^registerType: `upgrad` is not an option; did you mean `?upgrade/,
    ],
    [
      'an unknown option',
      registers(Cart, { fields: ['items'] }),
      /^registerType: `fields` is not an option; there are name, /,
    ],
    [
      'a name that is no text',
      registers(Cart, { name: 5 }),
      /^registerType: a name must be 1 to 64 characters/,
    ],
    [
      'a version as text',
      registers(Cart, { version: '2' }),
      /^registerType: the version of 'Cart' must be a whole number from 1$/,
    ],
    [
      'a schema of texts',
      registers(Cart, { schema: { items: 'string[]' } }),
      /^registerType: the schema of 'Cart' is no object schema .*z\.object\(\)/,
    ],
    [
      'a schema of one value',
      registers(Cart, { schema: z.string() }),
      /^registerType: the schema of 'Cart' is no object schema/,
    ],
    [
      'an upgrade that is no function',
      registers(Cart, { upgrade: {} }),
      /^registerType: `upgrade` must be a function$/,
    ],
    [
      'an encode that is no function',
      registers(Cart, { encode: 'items', decode: () => new Cart() }),
      /^registerType: `encode` must be a function$/,
    ],
    [
      'an encode without decode',
      registers(Cart, { encode: () => 1 }),
      /^registerType: 'Cart' needs both `encode` and `decode`$/,
    ],
    [
      'merge: true',
      registers(Cart, { merge: true }),
      /^registerType: the `merge` of 'Cart' is 'fields', 'items' or a function$/,
    ],
    [
      "merge: 'items' for no collection",
      registers(Cart, { merge: 'items' }),
      /^registerType: 'Cart' is no subclass of Array, Map or Set/,
    ],
    [
      'a #private field',
      registers(Wallet),
      /^registerType: 'Wallet' has #cents, .*give it `encode` and `decode`/,
    ],
    ['an inherited #private field', registers(Purse), /^registerType: 'Purse' has #cents, /],
    ['a #private method', registers(Scale), /^registerType: 'Scale' has #shown, /],
    [
      'a subclass of Map',
      registers(class Scores extends Map<string, number> {}),
      /^registerType: 'Scores' extends a built-in class and needs `encode` and `decode`$/,
    ],
    [
      'another version',
      registersAgain(Point, { version: 1 }, { version: 2 }),
      /^registerType: 'Point' is already registered with another `version`; register it once$/,
    ],
    [
      'another schema',
      registersAgain(Point, { schema: z.object({ x: z.int() }) }, { schema: z.object({ y: z.int() }) }),
      /with another `schema`; register it once$/,
    ],
    [
      'a schema after none',
      registersAgain(Point, {}, { schema: z.object({ x: z.int() }) }),
      /with another `schema`/,
    ],
    ['another merge', registersAgain(Point, {}, { merge: 'fields' }), /with another `merge`/],
    [
      'another upgrade',
      registersAgain(Point, { version: 2 }, { version: 2, upgrade: () => ({ x: 2 }) }),
      /with another `upgrade`/,
    ],
    [
      'another name',
      registersAgain(Point, { name: 'P1' }, { name: 'P2' }),
      /^registerType: the class is already registered as 'P1'/,
    ],
  ] as const
).map(([what, provoke, says]) => [`registerType: ${what}`, provoke, says, 'ERR_SESSION_TYPE'])

const mistakes = [...ofCalls, ...settings, ...ofManagers, ...ofStores, ...ofTypes]

for (const [what, provoke, says, code = 'ERR_SESSION_OPTIONS'] of mistakes) {
  test(`${what} is refused with a sentence that says what to do`, (t) => {
    const error = t.throws(provoke, { instanceOf: SessionError })
    t.is(error?.code, code)
    t.regex(error?.message ?? '', says)
    t.notRegex(error?.message ?? '', /hunter2|\n|\. [A-Z]|undefined: /)
    t.true((error?.message ?? '').length < 260)
  })
}

test('each option of session() that a manager does not have is told so', async (t) => {
  const source = await readFile('src/koa/options.ts', 'utf8')
  const [, body = ''] = /export interface SessionOptions<[^{]*\{([\s\S]*?)\n\}/.exec(source) ?? []
  const names = [...body.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name = '']) => name)
  t.true(names.length > 10)
  for (const name of names.filter((each) => each !== 'name'))
    t.throws(makes(SessionManager, { [name]: 1 }), { message: /is an option of session\(\)/ }, name)
})

test('more than a hundred mistakes are provoked, each under a name of its own', (t) => {
  t.true(mistakes.length > 150)
  t.is(new Set(mistakes.map(([what]) => what)).size, mistakes.length)
})

test('manager.open() of a request is refused with a sentence that says what opens it', async (t) => {
  const manager = new SessionManager()
  for (const request of [{ headers: {} }, 5, null])
    await t.throwsAsync(manager.open(request as never), {
      // what its type forbids
      code: 'ERR_SESSION_OPTIONS',
      message: /^manager\.open: the ID must be a string; .*sessions\.open\(request\)$/,
    })
})

/** The options as a program writes them, for a title. */
function described(options: object): string {
  const show = (value: unknown): string => {
    if (typeof value === 'string') return `'${value.replace(SECRET, '…').replace(key, '…')}'`
    if (typeof value === 'function') return value.name || 'function'
    if (typeof value === 'symbol') return 'symbol'
    if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`
    if (typeof value !== 'object' || value === null) return String(value)
    const { constructor: type, ...own } = value
    if (Object.getPrototypeOf(value) !== Object.prototype) return `a ${type.name}`
    return `{ ${Object.entries(own)
      .map(([name, each]) => `${name}: ${show(each)}`)
      .join(', ')} }`
  }
  return show(options)
}

import test from 'ava'
import {
  createRegistry,
  registerProvider,
  session,
  SessionError,
  SessionManager,
  type OpenProvider,
  type SessionOptions,
} from '../../src/index.ts'
import { defaultLimits } from '../../src/codec/limits.ts'
import { MemoryStore } from '../../src/stores/memory.ts'

// Options that the types forbid, as a JavaScript program may pass them.
const refused: readonly (readonly [field: string, options: Record<string, unknown>])[] = [
  ['idleTimout', { idleTimout: 1 }],
  ['cookie.sameSite', { cookie: { sameSite: 'relaxed' } }],
  ['cookie.expires', { cookie: { expires: 1 } }],
  ['idleTimeout', { idleTimeout: '1h' }],
  ['idleTimeout', { idleTimeout: 0 }],
  ['idleTimeout', { idleTimeout: 2, absoluteTimeout: 1 }],
  ['openTimeout', { openTimeout: 0 }],
  ['openTimeout', { openTimeout: Infinity }],
  ['commitTimeout', { commitTimeout: 2 ** 31 }],
  ['maxPending', { maxPending: 0 }],
  ['onStoreError', { onStoreError: 'ignore' }],
  ['provider', { provider: 'rediss' }],
  ['store', { store: new MemoryStore(), provider: 'file' }],
  ['store', { store: {} }],
  ['store', { store: 'redis' }],
  ['hash', { hash: 'md5' }],
  ['hash', { hash: 'RSA-MD5' }],
  ['hash', { hash: 'none' }],
  ['idPrefix', { idPrefix: 'a b' }],
  ['limits.depth', { limits: { depth: 1_000 } }],
  ['limits.byte', { limits: { byte: 1 } }],
  ['limits.keys', { limits: { keys: 0 } }],
  ['seal.keys', { seal: {} }],
  ['seal.plainUntil', { seal: { keys: [], plainUntil: 'soon' } }],
  ['schema', { schema: 'user' }],
  ['cookie', { cookie: 'sid' }],
  ['keepEmpty', { keepEmpty: 1 }],
  ['cookie', { cookie: false }],
  ['property', { property: '' }],
  ['onEvent', { onEvent: 'log' }],
  ['commitOnError', { commitOnError: 'yes' }],
  // security 22, 30, 31, 34, 35
  ['cookie.maxAge', { cookie: { maxAge: 401 * 86_400_000 } }],
  ['name', { name: '__Host-sid' }],
  ['name', { name: '__HOST-sid', cookie: { secure: true, domain: 'example.org' } }],
  ['name', { name: '__Host-sid', cookie: { secure: true, path: '/shop' } }],
  ['name', { name: '__Secure-sid', cookie: { secure: 'auto' } }],
  ['cookie.sameSite', { cookie: { sameSite: 'none' } }],
  ['cookie.partitioned', { cookie: { partitioned: true } }],
  ['cookie.domain', { cookie: { domain: 'a.com; HttpOnly=0' } }],
  ['cookie.path', { cookie: { path: '/; Secure' } }],
  ['name', { name: 'sid=1; x' }],
  ['header', { header: 'X Sid' }],
]
for (const [field, options] of refused) {
  test(`${JSON.stringify(options)} is refused with an error that names ${field}`, (t) => {
    // The cast is the point of the test.
    const error = t.throws(() => session(options as SessionOptions), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.regex(error.message, new RegExp(`^(session: )?${field}: `))
  })
}

test('the message says where, what is wrong, and what is allowed or known', (t) => {
  const messageOf = (options: Record<string, unknown>): string | undefined =>
    t.throws(() => session(options as SessionOptions))?.message // as above
  t.is(messageOf({ idleTimout: 1 }), 'session: idleTimout: is not a setting; did you mean idleTimeout?')
  t.is(messageOf({ limits: { depth: 1_000 } }), 'session: limits.depth: must be at most 256')
  t.is(
    messageOf({ idleTimeout: 2, absoluteTimeout: 1 }),
    'session: idleTimeout: is longer than absoluteTimeout; lower it, or raise absoluteTimeout',
  )
  t.regex(
    messageOf({ provider: 'dynamo' }) ?? '',
    /is not the name of a provider; known are memory, cookie, file, sqlite, redis, /,
  )
})

test('every limit can be set', (t) => {
  t.notThrows(() => new SessionManager({ limits: { ...defaultLimits } }))
})

test('security 30: prefixed names with the attributes they need are accepted', (t) => {
  t.notThrows(() => session({ name: '__Host-sid', cookie: { secure: true } }))
  t.notThrows(() =>
    session({ name: '__Secure-sid', cookie: { secure: true, domain: 'example.org', path: '/x' } }),
  )
})

test('a provider that the program has registered is opened by its name', async (t) => {
  const opened: string[] = []
  registerProvider('mine', (config, { now }) => {
    opened.push(config)
    return new MemoryStore({ now })
  })
  const manager = new SessionManager({ provider: 'mine', providerConfig: 'here' })
  const begun = manager.begin().set('a', 1)
  await manager.commit(begun)
  t.is((await manager.open(begun.id)).get('a'), 1)
  t.deepEqual(opened, ['here'])
  for (const taken of ['mine', 'memory'])
    t.throws(() => registerProvider(taken, () => new MemoryStore()), { code: 'ERR_SESSION_OPTIONS' })
})

test('a mistake in a config string is thrown at once, also for an engine that is not loaded before', (t) => {
  for (const provider of [
    'file',
    'sqlite',
    'redis',
    'redis_cluster',
    'redis_sentinel',
    'memcache',
    'couchbase',
    'mysql',
    'postgres',
  ])
    t.throws(() => session({ provider, providerConfig: provider === 'file' ? '' : 'http://?' }), {
      instanceOf: SessionError,
      code: 'ERR_SESSION_OPTIONS',
    })
})

test('the traits are those of the store from the beginning', (t) => {
  const names = { redis: 'redis', redis_cluster: 'redis', memcache: 'memcache', mysql: 'mysql' }
  const configs = { mysql: 'mysql://127.0.0.1/shop' }
  for (const [provider, name] of Object.entries(names)) {
    const providerConfig = Object.hasOwn(configs, provider) ? configs.mysql : '127.0.0.1:1'
    const { traits } = new SessionManager({ provider, providerConfig })
    t.is(traits.name, name)
    t.is(traits.evicts === true, name === 'memcache')
  }
})

test('an engine that is not loaded before is registered under its own name once, as a bundle needs it', (t) => {
  const opened: string[] = []
  const open: OpenProvider = (config, { now }) => {
    opened.push(config)
    return new MemoryStore({ now })
  }
  registerProvider('couchbase', open)
  registerProvider('couchbase', open)
  t.is(new SessionManager({ provider: 'couchbase', providerConfig: 'here' }).traits.name, 'memory')
  t.deepEqual(opened, ['here'])
  t.throws(() => registerProvider('couchbase', () => new MemoryStore()), { code: 'ERR_SESSION_OPTIONS' })
  t.throws(() => registerProvider('cookie', () => new MemoryStore()), { code: 'ERR_SESSION_OPTIONS' })
})

test('beego 19: a second manager in one process has its own settings', async (t) => {
  class Point {
    x = 1
  }
  const registry = createRegistry()
  registry.registerType(Point)
  const one = new SessionManager({ idleTimeout: 1_000, registry, idPrefix: 'one_' })
  const two = new SessionManager({ idleTimeout: 9_000, idPrefix: 'two_' })
  const a = one.begin().set('p', new Point())
  const b = two.begin()
  t.throws(() => b.set('p', new Point()), { code: 'ERR_SESSION_VALUE' })
  await one.commit(a)
  t.is(await two.find(a.id), undefined)
  t.true(a.expiresAt < b.expiresAt)
  t.true(a.id.startsWith('one_') && b.id.startsWith('two_'))
})

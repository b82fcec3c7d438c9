import test from 'ava'
import {
  createRegistry,
  registerProvider,
  session,
  SessionError,
  SessionManager,
  type SessionOptions,
} from '../../src/index.ts'
import { defaultLimits } from '../../src/codec/limits.ts'
import { MemoryStore } from '../../src/stores/memory.ts'

// What a JavaScript program can pass although the compiler would refuse it.
const wrong: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ idleTimout: 1 }, /idleTimout: is not a setting/],
  [{ cookie: { sameSite: 'relaxed' } }, /cookie\.sameSite: /],
  [{ cookie: { expires: 1 } }, /cookie\.expires: is not a setting/],
  [{ idleTimeout: '1h' }, /idleTimeout: must be a whole number of ms/],
  [{ idleTimeout: 0 }, /idleTimeout: must be more than 0 ms/],
  [{ idleTimeout: 2, absoluteTimeout: 1 }, /idleTimeout: is longer than absoluteTimeout/],
  [{ openTimeout: 0 }, /openTimeout: must be more than 0 ms/],
  [{ openTimeout: Infinity }, /openTimeout: must be a whole number of ms/],
  [{ commitTimeout: 2 ** 31 }, /commitTimeout: must be at most 24 days/],
  [{ maxPending: 0 }, /maxPending: must be more than 0/],
  [{ onStoreError: 'ignore' }, /onStoreError: must be 'throw' or 'anonymous'/],
  [{ provider: 'rediss' }, /provider: there is no 'rediss'; known are memory, cookie, file, redis, /],
  [{ store: new MemoryStore(), provider: 'file' }, /store: cannot be given together with provider/],
  [{ store: {} }, /store: is no store/],
  [{ store: 'redis' }, /store: must be a store/],
  [{ hash: 'md5' }, /hash: must name a hash/],
  [{ hash: 'RSA-MD5' }, /hash: must name a hash/],
  [{ hash: 'none' }, /hash: must name a hash/],
  [{ idPrefix: 'a b' }, /idPrefix: must be letters/],
  [{ limits: { depth: 1_000 } }, /limits\.depth: must be at most 256/],
  [{ limits: { byte: 1 } }, /limits\.byte: is not a setting/],
  [{ limits: { keys: 0 } }, /limits\.keys: must be a whole number above 0/],
  [{ seal: {} }, /seal\.keys: is missing/],
  [{ seal: { keys: [], plainUntil: 'soon' } }, /seal\.plainUntil: must be a Date/],
  [{ schema: 'user' }, /schema: must be an object of zod types/],
  [{ cookie: 'sid' }, /cookie: must be false or an object of settings/],
  [{ keepEmpty: 1 }, /keepEmpty: must be true or false/],
  [{ cookie: false }, /cookie: is false, and neither header nor query/],
  [{ property: '' }, /property: /],
  [{ onEvent: 'log' }, /onEvent: must be a function/],
  [{ commitOnError: 'yes' }, /commitOnError: must be true, false or a function/],
  // security 22, 30, 31, 34, 35
  [{ cookie: { maxAge: 401 * 86_400_000 } }, /cookie\.maxAge: must be at most 400 days/],
  [{ name: '__Host-sid' }, /name: begins with __Host-, which needs cookie\.secure: true/],
  [
    { name: '__HOST-sid', cookie: { secure: true, domain: 'example.org' } },
    /name: begins with __HOST-, which allows no cookie\.domain/,
  ],
  [{ name: '__Host-sid', cookie: { secure: true, path: '/shop' } }, /cookie\.path but \//],
  [
    { name: '__Secure-sid', cookie: { secure: 'auto' } },
    /name: begins with __Secure-, which needs cookie\.secure: true/,
  ],
  [{ cookie: { sameSite: 'none' } }, /cookie\.sameSite: .*needs cookie\.secure: true/],
  [{ cookie: { partitioned: true } }, /cookie\.partitioned: .*needs cookie\.secure: true/],
  [{ cookie: { domain: 'a.com; HttpOnly=0' } }, /cookie\.domain: must be a host name/],
  [{ cookie: { path: '/; Secure' } }, /cookie\.path: must begin with \//],
  [{ name: 'sid=1; x' }, /name: must be a name/],
  [{ header: 'X Sid' }, /header: must be a name/],
]
for (const [options, expected] of wrong) {
  test(`${JSON.stringify(options)} is refused with a sentence that names the field`, (t) => {
    // The point of the test: options that the type forbids.
    const error = t.throws(() => session(options as SessionOptions), {
      instanceOf: SessionError,
      message: expected,
    })
    t.is(error?.code, 'ERR_SESSION_OPTIONS')
  })
}

test('every limit can be set', (t) => {
  t.notThrows(() => new SessionManager({ limits: { ...defaultLimits } }))
})

test('security 30: prefixed names with the attributes they need are accepted', (t) => {
  t.notThrows(() => session({ name: '__Host-sid', cookie: { secure: true } }))
  t.notThrows(() =>
    session({ name: '__Secure-sid', cookie: { secure: true, domain: 'example.org', path: '/x' } }),
  )
})

test("a user's own provider, registered by name, serves", async (t) => {
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
  t.throws(() => registerProvider('mine', () => new MemoryStore()), {
    message: /there is already a provider 'mine'/,
  })
  t.throws(() => registerProvider('memory', () => new MemoryStore()), { message: /already/ })
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

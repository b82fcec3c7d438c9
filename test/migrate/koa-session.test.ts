import { randomUUID } from 'node:crypto'
import test from 'ava'
import { Redis } from 'ioredis'
import { koaSession, type KoaSessionImporterOptions } from '../../src/migrate/index.ts'
import { SessionError } from '../../src/index.ts'
import { redisServer } from '../servers/redis.ts'
import { koaCookies, refusalOf, siteOf } from './site.ts'

const server = await redisServer()
const redis = new Redis(server.url)
test.after.always(async () => {
  await redis.quit()
  await server.stop()
})

const KEY = 'a key of the old program'
const DAY = 86_400_000

/** What koa-session stores: the own keys, and when it expires. */
function record(values: object, maxAge = DAY, at = Date.now()): string {
  return JSON.stringify({ ...values, _expire: at + maxAge, _maxAge: maxAge })
}

/** A session as koa-session and koa-redis store it. Returns its key, which is what the cookie holds. */
async function stored(text: string, prefix = ''): Promise<string> {
  const key = prefix + randomUUID()
  await redis.setex(key, 86_410, text)
  return key
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

test('a session in the Redis of koa-redis is found with its values, and stays there', async (t) => {
  const site = await siteOf(t, koaSession({ keys: [KEY], redis }))
  for (const prefix of ['', 'app:']) {
    const key = await stored(record({ user: 'ann', n: 1, list: [{ a: null }], größe: '😀' }), prefix)
    const cookies = koaCookies('koa.sess', key, KEY)
    t.deepEqual(await site.look(cookies), { user: 'ann', n: 1, list: [{ a: null }], größe: '😀' })
    t.not(await redis.get(key), null)
  }
})

test('a logout removes both cookies and the key in Redis, and the cookies open nothing more', async (t) => {
  const site = await siteOf(t, koaSession({ keys: [KEY], redis }))
  const text = record({ user: 'ann' })
  const key = await stored(text)
  const cookies = koaCookies('koa.sess', key, KEY)
  await site.look(cookies)
  t.deepEqual(await site.logOut(cookies), ['koa.sess', 'koa.sess.sig'])
  t.is(await redis.get(key), null)
  await redis.set(key, text)
  t.deepEqual(await site.look(cookies), {})
})

test("a session without an end, of maxAge 'session', is found", async (t) => {
  const site = await siteOf(t, koaSession({ keys: [KEY], redis }))
  const key = randomUUID()
  await redis.set(key, JSON.stringify({ user: 'ann', _session: true }))
  t.deepEqual(await site.look(koaCookies('koa.sess', key, KEY)), { user: 'ann' })
})

test('a session that has expired is none', async (t) => {
  const site = await siteOf(t, koaSession({ keys: [KEY], redis }))
  const key = await stored(record({ user: 'ann' }, DAY, Date.now() - DAY))
  t.deepEqual(await site.look(koaCookies('koa.sess', key, KEY)), {})
  const inCookie = base64(record({ user: 'ann' }, DAY, Date.now() - DAY))
  const other = await siteOf(t, koaSession({ keys: [KEY] }))
  t.deepEqual(await other.look(koaCookies('koa.sess', inCookie, KEY)), {})
})

test('a session in the signed cookie is found, and after a logout that cookie opens nothing', async (t) => {
  const site = await siteOf(t, koaSession({ keys: [KEY] }))
  // Lengths with no, one and two `=` at the end.
  for (const user of ['ann', 'anna', 'annas', '日本']) {
    const cookies = koaCookies('koa.sess', base64(record({ user })), KEY)
    t.deepEqual(await site.look(cookies), { user })
    t.deepEqual(await site.logOut(cookies), ['koa.sess', 'koa.sess.sig'])
    t.deepEqual(await site.look(cookies), {})
  }
})

test('every key verifies, an object like Keygrip too, and what no key has signed is no session', async (t) => {
  const key = await stored(record({ user: 'ann' }))
  const found = async (
    keys: NonNullable<KoaSessionImporterOptions['keys']>,
    cookies: string,
  ): Promise<boolean> => {
    const site = await siteOf(t, koaSession({ keys, redis }))
    const values = await site.look(cookies)
    t.deepEqual(refusalOf(site.events), undefined)
    return JSON.stringify(values) === '{"user":"ann"}'
  }
  const signed = koaCookies('koa.sess', key, KEY)
  t.true(await found([KEY], signed))
  t.true(await found(['new', KEY], signed))
  t.true(await found(KEY, signed))
  t.true(
    await found({ verify: (data, digest) => signed.endsWith(digest) && data === `koa.sess=${key}` }, signed),
  )
  t.false(await found(['new'], signed))
  const [cookie = '', signature = ''] = signed.split('; ')
  t.false(await found([KEY], cookie))
  t.false(await found([KEY], `${cookie}; koa.sess.sig=`))
  t.false(await found([KEY], `${cookie}; ${signature.slice(0, -1)}`))
  t.false(await found([KEY], `${cookie}; ${signature}A`))
  t.false(await found([KEY], `${cookie}x; ${signature}`))
  t.false(
    await found(
      [KEY],
      `${cookie}; ${koaCookies('koa.sid', key, KEY).split('; ')[1]?.replace('koa.sid', 'koa.sess')}`,
    ),
  )
  t.true(await found([KEY], `koa.sess=planted; ${signed}`), 'one that a neighbour has planted before it')
})

test('a broken session is an anonymous visit with an event that quotes nothing of it', async (t) => {
  const inCookie = await siteOf(t, koaSession({ keys: [KEY] }))
  const broken = [
    '%',
    '%E0%A4%A',
    '====',
    'e30',
    base64('{"user":"ann"'),
    base64('[1]'),
    base64('"x"'),
    base64('null'),
    base64('7'),
    'x'.repeat(9_000),
  ]
  for (const value of broken)
    t.deepEqual(await inCookie.look(koaCookies('koa.sess', value, KEY)), {}, value.slice(0, 20))
  t.deepEqual(await inCookie.look('koa.sess=%zz; koa.sess.sig=%zz'), {})
  const site = await siteOf(t, koaSession({ keys: [KEY], redis }))
  for (const text of [
    'secret',
    '[]',
    '1',
    '',
    `{"a":"${'x'.repeat(1_048_576)}"}`,
    '{"_expire":'.repeat(5_000),
  ]) {
    t.deepEqual(await site.look(koaCookies('koa.sess', await stored(text), KEY)), {})
    t.notRegex(refusalOf(site.events) ?? 'none', /secret|xxx/)
  }
})

test('an old key like __proto__ changes no prototype', async (t) => {
  const site = await siteOf(t, koaSession({ keys: [KEY] }))
  const text = `{"__proto__":{"admin":true},"user":"ann","_expire":${Date.now() + DAY}}`
  const values = Object(await site.look(koaCookies('koa.sess', base64(text), KEY))) as { admin?: unknown }
  t.is(values.admin, undefined)
  t.is(Object(site.seen.get('user')).admin, undefined)
})

test('the option values maps them, and one that throws is an anonymous visit', async (t) => {
  const key = await stored(record({ passport: { user: 7 } }))
  const cookies = koaCookies('koa.sess', key, KEY)
  const importer = koaSession({
    keys: [KEY],
    redis,
    values: ({ passport }) => ({ userId: Object(passport).user, since: new Date(0) }),
  })
  const site = await siteOf(t, importer)
  t.deepEqual(await site.look(cookies), { userId: 7, since: '1970-01-01T00:00:00.000Z' })
  t.true(site.seen.get('since') instanceof Date)
  const failing = await siteOf(t, koaSession({ keys: [KEY], redis, values: () => JSON.parse('no') as {} }))
  t.deepEqual(await failing.look(cookies), {})
  t.regex(refusalOf(failing.events) ?? '', /koa-session koa\.sess: .*option values/)
})

test('a store of the old program, another name of the cookie and another encoding are used', async (t) => {
  const records = new Map<string, unknown>([['id', { user: 'ann', _expire: Date.now() + DAY }]])
  const store = {
    get: (key: string) => records.get(key),
    destroy: async (key: string) => records.delete(key),
  }
  const site = await siteOf(
    t,
    koaSession({ key: 'app', keys: [KEY], store, cookie: { path: '/app', domain: 'example.org' } }),
  )
  const cookies = koaCookies('app', 'id', KEY)
  t.deepEqual(await site.look(cookies), { user: 'ann' })
  t.deepEqual(await site.logOut(cookies), ['app', 'app.sig'])
  t.is(records.size, 0)
  t.deepEqual(await site.look(koaCookies('app', 'other', KEY)), {})
  const decode = (text: string): unknown => JSON.parse(Buffer.from(text, 'hex').toString())
  const own = await siteOf(t, koaSession({ keys: [KEY], decode }))
  t.deepEqual(
    await own.look(koaCookies('koa.sess', Buffer.from(record({ user: 'bob' })).toString('hex'), KEY)),
    { user: 'bob' },
  )
  t.deepEqual(await own.look(koaCookies('koa.sess', 'ff', KEY)), {})
})

test('security: without signatures a client cannot make a logout remove other keys of the old store', async (t) => {
  const site = await siteOf(t, koaSession({ signed: false, redis }))
  const key = await stored(record({ user: 'ann' }))
  t.deepEqual(await site.look(`koa.sess=${key}`), { user: 'ann' })
  await redis.set('another-program:key', '{"user":"root"}')
  await redis.hset('another-program:hash', 'a', 'b')
  await redis.set('short', record({ user: 'root' }))
  for (const planted of ['another-program:key', 'another-program:hash', 'short']) {
    if (planted !== 'another-program:key') t.deepEqual(await site.look(`koa.sess=${planted}`), {})
    t.deepEqual(await site.logOut(`koa.sess=${planted}`), ['koa.sess'])
    t.is(await redis.exists(planted), 1)
  }
  t.deepEqual(await site.logOut(`koa.sess=${key}`), ['koa.sess'])
  t.is(await redis.exists(key), 0)
})

test('faults: a Redis that is gone is status 503', async (t) => {
  const gone = new Redis({ port: 1, lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null })
  gone.on('error', () => undefined)
  const site = await siteOf(t, koaSession({ keys: [KEY], redis: gone }))
  t.is(await site.look(koaCookies('koa.sess', randomUUID(), KEY)), 503)
  gone.disconnect()
})

test('options that cannot work are refused, with the nearest name', (t) => {
  const refused = (options: object): string =>
    t.throws(() => koaSession(options as KoaSessionImporterOptions), {
      instanceOf: SessionError,
      code: 'ERR_SESSION_OPTIONS',
    })?.message ?? ''
  t.regex(refused({}), /keys is missing/)
  t.regex(refused({ keys: [] }), /keys must be/)
  t.regex(refused({ keys: [''] }), /keys must be/)
  t.regex(refused({ keyss: [KEY] }), /keyss is not an option; did you mean keys\?/)
  t.regex(refused({ signed: false }), /signed cannot be false/)
  t.regex(
    refused({ keys: [KEY], redis, store: { get() {}, destroy() {} } }),
    /store and redis cannot be given together/,
  )
  t.regex(refused({ keys: [KEY], redis: {} }), /redis must be a connected client/)
  t.regex(refused({ keys: [KEY], key: 'a b' }), /key must be the name of a cookie/)
  t.regex(refused({ keys: [KEY], cookie: { secure: true } }), /cookie has only path and domain/)
})

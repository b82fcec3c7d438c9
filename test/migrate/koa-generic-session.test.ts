import { randomBytes } from 'node:crypto'
import test from 'ava'
import { Redis } from 'ioredis'
import { koaGenericSession } from '../../src/migrate/index.ts'
import { redisServer } from '../servers/redis.ts'
import { koaCookies, siteOf } from './site.ts'

const server = await redisServer()
const redis = new Redis(server.url)
test.after.always(async () => {
  await redis.quit()
  await server.stop()
})

const KEY = 'a key of the old program'
const cookie = { httpOnly: true, path: '/', overwrite: true, signed: true, maxAge: 86_400_000 }

/** A session as koa-generic-session and koa-redis store it. */
async function stored(session: object, prefix = 'koa:sess:'): Promise<string> {
  const sid = randomBytes(24).toString('base64url')
  await redis.setex(prefix + sid, 86_400, JSON.stringify(session))
  return sid
}

test('a session in the Redis of koa-redis is found, and a logout ends it there', async (t) => {
  for (const prefix of ['koa:sess:', 'app:']) {
    const site = await siteOf(t, koaGenericSession({ keys: ['new', KEY], redis, prefix }))
    const sid = await stored({ cookie, user: 'ann' }, prefix)
    const cookies = koaCookies('koa.sid', sid, KEY)
    t.deepEqual(await site.look(cookies), { user: 'ann' })
    t.is(await redis.exists(prefix + sid), 1)
    t.deepEqual(await site.logOut(cookies), ['koa.sid', 'koa.sid.sig'])
    t.is(await redis.exists(prefix + sid), 0)
    await redis.set(prefix + sid, JSON.stringify({ cookie, user: 'ann' }))
    t.deepEqual(await site.look(cookies), {})
  }
})

test('a store of the old program is asked with the prefix', async (t) => {
  const records = new Map<string, unknown>([['koa:sess:id', { cookie, user: 'ann' }]])
  const store = {
    get: async (key: string) => records.get(key) ?? null,
    destroy: (key: string) => records.delete(key),
  }
  const site = await siteOf(t, koaGenericSession({ keys: KEY, store }))
  t.deepEqual(await site.look(koaCookies('koa.sid', 'id', KEY)), { user: 'ann' })
  t.deepEqual(await site.look(koaCookies('koa.sid', 'other', KEY)), {})
  await site.logOut(koaCookies('koa.sid', 'id', KEY))
  t.is(records.size, 0)
})

test('security: without signatures a client cannot make a logout remove other keys of the old store', async (t) => {
  const site = await siteOf(t, koaGenericSession({ signed: false, redis, prefix: '' }))
  const sid = await stored({ cookie, user: 'ann' }, '')
  t.deepEqual(await site.look(`koa.sid=${sid}`), { user: 'ann' })
  await redis.set('a-key-of-another-program', 'text')
  await site.logOut('koa.sid=a-key-of-another-program')
  await site.logOut(`koa.sid=${sid}`)
  t.is(await redis.exists('a-key-of-another-program'), 1)
  t.is(await redis.exists(sid), 0)
})

test('a cookie without its signature, an expired session and a broken one are anonymous visits', async (t) => {
  const site = await siteOf(t, koaGenericSession({ keys: [KEY], redis }))
  const sid = await stored({ cookie, user: 'ann' })
  t.deepEqual(await site.look(`koa.sid=${sid}`), {})
  t.deepEqual(await site.look(koaCookies('koa.sid', sid, 'another')), {})
  const expired = await stored({ cookie: { ...cookie, expires: new Date(0) }, user: 'ann' })
  t.deepEqual(await site.look(koaCookies('koa.sid', expired, KEY)), {})
  const broken = await stored([1])
  t.deepEqual(await site.look(koaCookies('koa.sid', broken, KEY)), {})
})

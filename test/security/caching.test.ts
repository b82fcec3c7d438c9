import test from 'ava'
import Koa, { type DefaultState } from 'koa'
import { session, type SessionContext, type SessionOptions } from '../../src/index.ts'
import { serve, type Answer, type Client } from '../support/client.ts'

/** A shared cache. It stores every response that it may store, and follows `Vary` as RFC 9111 says. */
class SharedCache {
  readonly #kept: { path: string; vary: Map<string, string | null>; answer: Answer }[] = []
  hits = 0

  async get(visitor: Client, path: string, init: { headers?: Record<string, string> } = {}): Promise<Answer> {
    const cookie = [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const sent = new Headers({ ...(cookie === '' ? {} : { cookie }), ...init.headers })
    const match = this.#kept.find(
      (kept) => kept.path === path && [...kept.vary].every(([name, value]) => sent.get(name) === value),
    )
    if (match !== undefined) {
      this.hits += 1
      return match.answer
    }
    const answer = await visitor.get(path, init)
    const control = answer.headers.get('cache-control') ?? ''
    const vary = (answer.headers.get('vary') ?? '').split(/\s*,\s*/).filter((name) => name !== '')
    if (!/no-store|private/.test(control)) {
      this.#kept.push({ path, vary: new Map(vary.map((name) => [name, sent.get(name)])), answer })
    }
    return answer
  }
}

function shop(options: SessionOptions<undefined, 'session'> = {}): Koa<DefaultState, SessionContext> {
  const app = new Koa<DefaultState, SessionContext>().use(session(options))
  app.use(async (ctx) => {
    if (ctx.path === '/plain') ctx.body = 'the same for all'
    if (ctx.path === '/login') ctx.body = String(ctx.session.set('user', ctx.query['as']).get('user'))
    if (ctx.path === '/who') ctx.body = String(ctx.session.get('user'))
    if (ctx.path === '/public') {
      ctx.set('Cache-Control', 'public, max-age=60')
      ctx.body = String(ctx.session.get('user'))
    }
    if (ctx.path === '/early') {
      ctx.session.set('user', 'eve')
      await ctx.session.commit()
      ctx.set('Cache-Control', 'public, max-age=60')
      ctx.body = 'welcome'
    }
    if (ctx.path === '/accept') {
      ctx.vary('Accept')
      ctx.body = String(ctx.session.get('user'))
    }
    if (ctx.path === '/missing') ctx.throw(404, `nothing for ${String(ctx.session.get('user'))}`)
    if (ctx.path === '/refused') {
      ctx.session.set('tries', 1)
      ctx.throw(410, 'gone', { headers: { 'x-own': '1', 'cache-control': 'max-age=5' } })
    }
  })
  return app
}

test('security 37: behind a shared cache no visitor gets the response or the cookie of another one', async (t) => {
  const { client } = await serve(t, shop())
  const cache = new SharedCache()
  const [ann, bob, stranger] = [client(), client(), client()]
  t.is((await cache.get(ann, '/login?as=ann')).text, 'ann')
  t.is((await cache.get(bob, '/login?as=bob')).text, 'bob')
  for (const path of ['/who', '/public', '/accept', '/missing']) {
    const seen = await Promise.all(
      [ann, bob, stranger].map(async (visitor) => (await cache.get(visitor, path)).text),
    )
    t.deepEqual(
      seen.map((text) => text.replace('nothing for ', '')),
      ['ann', 'bob', 'undefined'],
      path,
    )
  }
})

test('security 37: a response of a request that did not use the session is as cacheable as before', async (t) => {
  const { client } = await serve(t, shop())
  const cache = new SharedCache()
  const visitor = client()
  const { headers } = await cache.get(visitor, '/plain')
  t.is(headers.get('vary'), null)
  t.is(headers.get('cache-control'), null)
  await cache.get(visitor, '/plain')
  t.is(cache.hits, 1)
})

test('security 37: a response of a request that used the session is private and varies by cookie; the handler may add to that', async (t) => {
  const { client } = await serve(t, shop())
  const visitor = client()
  const [who, open, accept] = await Promise.all(
    ['/who', '/public', '/accept'].map(async (path) => visitor.get(path)),
  )
  t.like(Object.fromEntries(who?.headers ?? []), { vary: 'Cookie', 'cache-control': 'private' })
  t.like(Object.fromEntries(open?.headers ?? []), { vary: 'Cookie', 'cache-control': 'public, max-age=60' })
  t.is(accept?.headers.get('vary'), 'Accept, Cookie')
})

test('security 37: error responses are private too, and one with a cookie is not stored', async (t) => {
  const { client } = await serve(t, shop())
  const missing = await client().get('/missing')
  t.like(Object.fromEntries(missing.headers), { vary: 'Cookie', 'cache-control': 'private' })
  const refused = await client().get('/refused')
  t.like(Object.fromEntries(refused.headers), { 'x-own': '1', 'cache-control': 'no-store' })
  t.is(refused.setCookies.length, 1)
})

test('security 37: no cache stores a response with a cookie, even if the handler allows it after an early commit', async (t) => {
  const { client } = await serve(t, shop())
  const { headers, setCookies } = await client().get('/early')
  t.deepEqual([headers.get('cache-control'), setCookies.length], ['no-store', 1])
})

test('security 37: where the ID is sent in a header, responses vary by that header', async (t) => {
  const { client } = await serve(t, shop({ cookie: false, header: 'X-Session-ID' }))
  const { headers } = await client().get('/who')
  t.is(headers.get('vary'), 'X-Session-ID')
})

// An ID that travels in the query string: a link can bring its reader into the session of its author, and its page can tell the ID.
import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import Koa, { type DefaultState } from 'koa'
import { session, type SessionContext, type SessionOptions } from '../../src/index.ts'
import { CookieStore } from '../../src/stores/cookie.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { serve, type Answer, type Client } from '../support/client.ts'

const UNKNOWN = Buffer.alloc(32, 7).toString('base64url')

interface Site {
  client(): Client
  /** The ID of a session that the author of the link has begun. */
  readonly planted: string
}

async function site(t: ExecutionContext, options: SessionOptions<undefined, 'session'>): Promise<Site> {
  const sessions = session({ store: new MemoryStore(), ...options })
  const app = new Koa<DefaultState, SessionContext>().use(sessions).use(async (ctx) => {
    const cacheControl = ctx.request.query['control']
    const policy = ctx.request.query['policy']
    if (ctx.path === '/read') ctx.session.get('n')
    if (ctx.path === '/write') ctx.session.update('n', (n = 0) => n + 1)
    if (ctx.path === '/remember') ctx.session.maxAge = 60_000
    if (ctx.path === '/login') ctx.session.set('user', 'victim').regenerate()
    if (ctx.path === '/logout') await ctx.session.destroy()
    if (ctx.path === '/early') await ctx.session.set('n', 1).commit()
    if (ctx.path === '/missing') ctx.throw(404, 'missing')
    if (ctx.path === '/refused') ctx.throw(410, 'gone', { headers: { 'cache-control': 'max-age=5' } })
    if (ctx.path === '/broken') throw new Error('broken')
    if (ctx.path === '/redirect') ctx.redirect('https://example.org/')
    if (typeof cacheControl === 'string') ctx.set('Cache-Control', cacheControl)
    if (typeof policy === 'string') ctx.set('Referrer-Policy', policy)
    if (ctx.path !== '/missing') ctx.body = 'done'
  })
  const author = sessions.manager.begin()
  author.set('user', 'author')
  await sessions.manager.commit(author)
  const { client } = await serve(t, app)
  return { client, planted: author.id }
}

const shownIn = ({ headers, setCookies }: Answer, id: string): boolean =>
  [...headers.values(), ...setCookies].some((text) => text.includes(id))

const transports: Readonly<Record<string, SessionOptions<undefined, 'session'>>> = {
  'a cookie until the browser is closed': {},
  'a cookie with maxAge': { cookie: { maxAge: 60_000 } },
  'a cookie with maxAge and a header': { cookie: { maxAge: 60_000 }, header: 'X-Session' },
  'a header': { cookie: false, header: 'X-Session' },
  'a cookie with rotation': { rotateAfter: 2, rotateGrace: 1, cookie: { maxAge: 60_000 } },
}

for (const [name, options] of Object.entries(transports)) {
  test(`security 11 and 32: an ID from a URL is written to nothing, beside ${name}`, async (t) => {
    const { client, planted } = await site(t, { ...options, query: 's' })
    for (const path of [
      '/read',
      '/write',
      '/remember',
      '/early',
      '/missing',
      '/refused',
      '/broken',
      '/redirect',
    ]) {
      const answer = await client().get(`${path}?s=${planted}`)
      t.false(shownIn(answer, planted), path)
      t.deepEqual(answer.setCookies, [], path)
    }
    const victim = client()
    const login = await victim.get(`/login?s=${planted}`)
    t.false(shownIn(login, planted))
    // The new ID, which the author of the link does not know, is given to the client.
    t.is(login.setCookies.length, options.cookie === false ? 0 : 1)
    t.is(login.headers.has('x-session'), options.header !== undefined)
  })
}

test('security 11: an ID from a URL that is also in the cookie is not written again', async (t) => {
  const { client, planted } = await site(t, { query: 's', cookie: { maxAge: 60_000 } })
  const answer = await client().get(`/write?s=${planted}`, { headers: { cookie: `sid=${planted}` } })
  t.deepEqual(answer.setCookies, [])
})

test('security 4: an ID from a URL that was never issued is not adopted: what is set goes to a new session', async (t) => {
  const { client } = await site(t, { query: 's' })
  const answer = await client().get(`/write?s=${UNKNOWN}`)
  t.is(answer.setCookies.length, 1)
  t.false(shownIn(answer, UNKNOWN))
})

test('security 37: a response to a URL with an ID is not cached, and its links do not tell the URL', async (t) => {
  const { client, planted } = await site(t, { query: 's' })
  const paths = [
    '/plain',
    '/read',
    '/write',
    '/login',
    '/logout',
    '/early',
    '/missing',
    '/refused',
    '/broken',
    '/redirect',
  ]
  for (const path of paths) {
    for (const id of [planted, UNKNOWN]) {
      const { headers } = await client().get(`${path}?s=${id}`)
      t.is(headers.get('cache-control'), 'no-store', path)
      t.is(headers.get('referrer-policy'), 'no-referrer', path)
    }
  }
})

test('security 37: a handler may make the headers of a URL with an ID stricter, and not weaker', async (t) => {
  const { client, planted } = await site(t, { query: 's' })
  for (const [control, expected] of [
    ['public, max-age=60', 'no-store'],
    ['private', 'no-store'],
    ['no-cache', 'no-store'],
    ['x-no-store', 'no-store'],
    ['private, no-store, must-revalidate', 'private, no-store, must-revalidate'],
    ['NO-STORE', 'NO-STORE'],
  ] as const) {
    const query = new URLSearchParams({ s: planted, control, policy: 'unsafe-url' })
    const { headers } = await client().get(`/read?${query.toString()}`)
    t.is(headers.get('cache-control'), expected)
    t.is(headers.get('referrer-policy'), 'no-referrer')
  }
})

test('security 37: a URL without an ID, and a parameter that is not configured, change no header', async (t) => {
  const { client, planted } = await site(t, { query: 's' })
  for (const path of ['/plain', '/plain?s', '/plain?s=', `/plain?sid=${planted}`]) {
    const { headers } = await client().get(path)
    t.deepEqual([headers.get('cache-control'), headers.get('referrer-policy')], [null, null], path)
  }
})

test('where sessions are off, a URL with an ID changes no header', async (t) => {
  const app = new Koa().use(session({ enabled: false, query: 's' })).use((ctx) => void (ctx.body = 'plain'))
  const { headers } = await (await serve(t, app)).client().get(`/?s=${UNKNOWN}`)
  t.deepEqual([headers.get('cache-control'), headers.get('referrer-policy')], [null, null])
})

test('security 11: a store on the client refuses the query string, since a link would plant a whole session', (t) => {
  const store = new CookieStore({ keys: [randomBytes(32)] })
  t.throws(() => session({ store, query: 's' }), {
    code: 'ERR_SESSION_OPTIONS',
    message: /^session: query: cannot be used/,
  })
})

import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { session, SessionError, type SessionOptions } from '../../src/index.ts'
import { serve, type Client } from '../support/client.ts'

async function visitorOf(
  t: ExecutionContext,
  options: SessionOptions<undefined, 'session'>,
  proxy = false,
): Promise<Client> {
  const koa = new Koa({ proxy }).use(session(options))
  koa.use(async (ctx) => {
    if (ctx.path === '/set') ctx.session.set('a', 1)
    if (ctx.path === '/end') await ctx.session.destroy()
    ctx.body = { a: ctx.session.get('a') ?? null, id: ctx.path === '/id' ? ctx.session.id : null }
  })
  const { client } = await serve(t, koa)
  return client()
}
const cookieOf = async (
  t: ExecutionContext,
  options: SessionOptions<undefined, 'session'>,
): Promise<string> =>
  (await (await visitorOf(t, options)).get('/set')).setCookies[0]?.replace(/=[\w-]{43}/, '=ID') ?? 'none'

test('security 31 and 32: the cookie has its attributes by default and as they are set', async (t) => {
  t.is(await cookieOf(t, {}), 'sid=ID; Path=/; HttpOnly; SameSite=Lax')
  t.is(
    await cookieOf(t, {
      name: 'shop',
      cookie: { domain: 'example.org', path: '/shop', sameSite: 'strict', httpOnly: false, maxAge: 90_500 },
    }),
    'shop=ID; Max-Age=91; Domain=example.org; Path=/shop; SameSite=Strict',
  )
})

test('security 36: Secure follows the connection, and X-Forwarded-Proto only where app.proxy trusts it', async (t) => {
  const headers = { 'x-forwarded-proto': 'https' }
  const trusting = await visitorOf(t, {}, true)
  t.regex((await trusting.get('/set', { headers })).setCookies[0] ?? '', /; Secure$/)
  const wary = await visitorOf(t, {})
  t.notRegex((await wary.get('/set', { headers })).setCookies[0] ?? '', /Secure/)
})

test('security 36: a Secure cookie on a plain connection is not sent, and the program is told why', async (t) => {
  const events: string[] = []
  const errors: unknown[] = []
  const koa = new Koa().use(
    session({ cookie: { secure: true }, onEvent: (event) => events.push(event.type) }),
  )
  koa.on('error', (error) => errors.push(error))
  koa.use((ctx) => {
    ctx.session.set('a', 1)
    ctx.body = 'fine'
  })
  const { client } = await serve(t, koa)
  const { status, setCookies } = await client().get('/')
  t.is(status, 200)
  t.deepEqual(setCookies, [])
  t.true(events.includes('cookie-not-sent'))
  t.true(errors[0] instanceof SessionError && errors[0].code === 'ERR_SESSION_STATE')
})

test.serial(
  'security 36: a cookie without Secure in production is a warning, once, that says what to set',
  async (t) => {
    const warnings: Error[] = []
    const note = (warning: Error): void => {
      if ('code' in warning && warning.code === 'KTS_COOKIE_NOT_SECURE') warnings.push(warning)
    }
    process.on('warning', note)
    t.teardown(() => process.off('warning', note))
    const warned = async (
      options: SessionOptions<undefined, 'session'>,
      { env = 'production', proxy = false, path = '/set' } = {},
    ): Promise<number> => {
      warnings.length = 0
      const koa = new Koa({ env, proxy }).use(session(options)).use(async (ctx) => {
        if (ctx.path === '/set') ctx.session.update('a', (a = 0) => a + 1)
        if (ctx.path === '/end') await ctx.session.destroy()
        ctx.body = String(ctx.session.get('a'))
      })
      const { client } = await serve(t, koa)
      const headers = { 'x-forwarded-proto': 'https' }
      for (let visit = 0; visit < 3; visit += 1) await client().get(path, { headers })
      await new Promise((resolve) => setImmediate(resolve))
      return warnings.length
    }
    t.is(await warned({}), 1, 'a proxy ends HTTPS, and Koa does not trust its header')
    t.regex(String(warnings[0]), /set app\.proxy = true .* X-Forwarded-Proto.* cookie\.secure/)
    t.is(warnings[0]?.name, 'SessionWarning')
    t.is(await warned({ cookie: { maxAge: 60_000 } }), 1)
    t.is(await warned({}, { proxy: true }), 0, 'Koa trusts the header, so the cookie has Secure')
    t.is(await warned({}, { env: 'development' }), 0)
    t.is(await warned({ cookie: { secure: false } }), 0, 'on purpose')
    t.is(
      await warned({ cookie: { secure: true } }),
      0,
      'such a cookie is not sent, which is an event of its own',
    )
    t.is(await warned({ cookie: false, header: 'X-Session' }), 0)
    for (const path of ['/read', '/end']) t.is(await warned({}, { path }), 0, path)
  },
)

test('security 28: a cookie is removed with the attributes it was set with', async (t) => {
  const options = {
    name: '__Host-sid',
    cookie: { secure: true, sameSite: 'none', partitioned: true },
  } as const
  const visitor = await visitorOf(t, options, true)
  const headers = { 'x-forwarded-proto': 'https' }
  const [set = ''] = (await visitor.get('/set', { headers })).setCookies
  const [removed = ''] = (await visitor.get('/end', { headers })).setCookies
  t.regex(set, /^__Host-sid=[\w-]{43}; Path=\/; HttpOnly; Secure; Partitioned; SameSite=None$/)
  const attributes = (line: string): string[] => line.split('; ').slice(1)
  t.deepEqual(
    attributes(removed).filter((text) => !/^(Max-Age|Expires)/.test(text)),
    attributes(set),
  )
})

test('beego 9: a cookie with a life of its own is renewed while the session is used, once in a tenth of it', async (t) => {
  let now = Date.now()
  const visitor = await visitorOf(t, { cookie: { maxAge: 60_000 }, now: () => now })
  const [first = ''] = (await visitor.get('/set')).setCookies
  t.deepEqual((await visitor.get('/')).setCookies, [])
  now += 5_999
  t.deepEqual((await visitor.get('/')).setCookies, [])
  now += 1
  const [second = ''] = (await visitor.get('/')).setCookies
  t.regex(second, /Max-Age=60/)
  t.is(second, first)
  t.deepEqual((await visitor.get('/')).setCookies, [])
})

test('security 10: the ID is taken from the configured transport only', async (t) => {
  const visitor = await visitorOf(t, {})
  await visitor.get('/set')
  const id = visitor.cookies.get('sid') ?? ''
  visitor.cookies.clear()
  const attempts: readonly (readonly [string, Record<string, string>])[] = [
    [`/?sid=${id}`, {}],
    ['/', { 'x-session-id': id }],
    ['/', { beegosessionid: id }],
    ['/', { authorization: `Bearer ${id}` }],
    ['/', { cookie: `SID=${id}` }],
    ['/', { cookie: `xsid=${id}` }],
  ]
  for (const [path, headers] of attempts)
    t.is(JSON.parse((await visitor.get(path, { headers })).text).a, null, path)
  t.is(JSON.parse((await visitor.get('/', { headers: { cookie: `sid=${id}` } })).text).a, 1)
})

test('an ID that travels in a header is returned in the same header', async (t) => {
  const visitor = await visitorOf(t, { cookie: false, header: 'X-Session-ID' })
  const { headers, setCookies } = await visitor.get('/set')
  const id = headers.get('x-session-id') ?? ''
  t.is(id.length, 43)
  t.deepEqual(setCookies, [])
  t.is(JSON.parse((await visitor.get('/', { headers: { 'x-session-id': id } })).text).a, 1)
})

test('beego 7: regenerating and ending work on an ID by header or query too', async (t) => {
  const visitor = await visitorOf(t, { cookie: false, header: 'X-Session-ID', query: 's' })
  const id = (await visitor.get('/set')).headers.get('x-session-id') ?? ''
  t.is(JSON.parse((await visitor.get(`/?s=${id}`)).text).a, 1)
  await visitor.get(`/end?s=${id}`)
  t.is(JSON.parse((await visitor.get('/', { headers: { 'x-session-id': id } })).text).a, null)
})

test('beego 17: a malformed query string or cookie is an anonymous visit', async (t) => {
  const visitor = await visitorOf(t, { query: 's' })
  for (const path of ['/?s=%zz', '/?s', '/?s=&s=1', '/?%00']) t.is((await visitor.get(path)).status, 200)
  for (const cookie of ['sid=%zz', 'sid', '=', ';;;', 'sid="', 'sid=a=b']) {
    t.is((await visitor.get('/', { headers: { cookie } })).status, 200)
  }
})

test('a session has the same ID before and after it is first stored', async (t) => {
  const koa = new Koa().use(session())
  koa.use((ctx) => {
    const early = ctx.session.id
    ctx.session.set('a', 1)
    ctx.body = early
  })
  const { client } = await serve(t, koa)
  const { text, setCookies } = await client().get('/')
  t.true(setCookies[0]?.startsWith(`sid=${text};`))
})

import test, { type ExecutionContext } from 'ava'
import Koa, { type DefaultState } from 'koa'
import { session, type SessionContext, type SessionOptions } from '../../src/index.ts'
import { serve, type Client } from '../support/client.ts'

async function visitorOf(
  t: ExecutionContext,
  options: SessionOptions<undefined, 'session'> = { clearSiteData: ['cache', 'storage'] },
): Promise<Client> {
  const app = new Koa<DefaultState, SessionContext>().use(session(options)).use(async (ctx) => {
    ctx.body = 'done'
    if (ctx.path === '/set') ctx.session.set('n', 1)
    if (ctx.path === '/read') ctx.session.get('n')
    if (ctx.path === '/take') ctx.session.take('n')
    if (ctx.path === '/regenerate') ctx.session.regenerate()
    if (ctx.path === '/clear') ctx.session.clear()
    if (ctx.path === '/own') ctx.set('Clear-Site-Data', '"cookies"')
    if (!/logout|again|refused|streamed/.test(ctx.path)) return
    await ctx.session.destroy()
    if (ctx.path === '/again') ctx.session.set('n', 2)
    if (ctx.path === '/logout-own') ctx.set('Clear-Site-Data', '"*"')
    if (ctx.path === '/refused') ctx.throw(410, 'gone')
    if (ctx.path === '/streamed') ctx.flushHeaders()
  })
  return (await serve(t, app)).client()
}

const cleared = async (visitor: Client, path: string): Promise<string | null> =>
  (await visitor.get(path)).headers.get('clear-site-data')

test('security 28: destroy() tells the browser to clear what clearSiteData names, and nothing else does', async (t) => {
  const visitor = await visitorOf(t)
  for (const path of ['/plain', '/set', '/read', '/regenerate', '/take', '/set', '/clear', '/set'])
    t.is(await cleared(visitor, path), null, path)
  t.is(await cleared(visitor, '/logout'), '"cache", "storage"')
  t.is(await cleared(visitor, '/read'), null)
})

test('security 28: Clear-Site-Data comes with a streamed response and with an error that is thrown after the logout', async (t) => {
  for (const path of ['/streamed', '/refused']) {
    const visitor = await visitorOf(t)
    await visitor.get('/set')
    t.is(await cleared(visitor, path), '"cache", "storage"', path)
    t.false(visitor.cookies.has('sid'))
  }
})

test('security 28: a logout of a session that has already expired clears the browser too', async (t) => {
  t.is(await cleared(await visitorOf(t), '/logout'), '"cache", "storage"')
})

test('security 28: a new session after the logout keeps its cookie: nothing is cleared', async (t) => {
  const visitor = await visitorOf(t, { clearSiteData: ['cookies'] })
  await visitor.get('/set')
  t.is(await cleared(visitor, '/again'), null)
  t.is(visitor.cookies.get('sid')?.length, 43)
})

test('security 28: what the route itself clears is left as it is', async (t) => {
  const visitor = await visitorOf(t)
  await visitor.get('/set')
  t.is(await cleared(visitor, '/own'), '"cookies"')
  t.is(await cleared(visitor, '/logout-own'), '"*"')
})

test('security 28: nothing is cleared by default', async (t) => {
  const visitor = await visitorOf(t, {})
  await visitor.get('/set')
  t.is(await cleared(visitor, '/logout'), null)
})

test('clearSiteData takes the names of the header, and at least one', (t) => {
  for (const clearSiteData of [[], ['history'], ['"cache"'], 'cache', true, [1]])
    t.throws(() => session({ clearSiteData } as object), {
      code: 'ERR_SESSION_OPTIONS',
      message: /clearSiteData: must be a list of 'cache', 'cookies', 'storage' and '\*'/,
    })
  for (const clearSiteData of [['cache'], ['cookies', 'storage'], ['*']] as const)
    t.notThrows(() => session({ clearSiteData }))
})

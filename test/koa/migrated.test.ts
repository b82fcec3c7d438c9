import vm from 'node:vm'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Context, type Middleware } from 'koa'
import { session, SessionError, type SessionContext } from '../../src/index.ts'
import { serve } from '../support/client.ts'

/**
 * The routes of an application that has come from koa-session. At each `⟦…⟧` stands how this library is used, and what stood
 * there before. It is compiled in sloppy mode, where JavaScript itself says nothing to a failed assignment.
 */
const application = `({
  guard: async (ctx, next) => {
    if (⟦ctx.session.get('mfa') === 'pending'|ctx.session.mfa === 'pending'⟧ && ctx.path === '/account') return void (ctx.body = 'code?')
    await next()
  },
  '/form': async (ctx) => {
    let csrf = ⟦ctx.session.get('csrf')|ctx.session.csrf⟧
    if (csrf === undefined) {
      csrf = 'c5'
      ⟦ctx.session.set('csrf', csrf)|ctx.session.csrf = csrf⟧
    }
    ⟦ctx.session.set('returnTo', '/account')|ctx.session.returnTo = '/account'⟧
    ctx.body = csrf
  },
  '/login': async (ctx) => {
    ⟦ctx.session.regenerate()|await new Promise((resolve) => ctx.session.regenerate(resolve))⟧
    ⟦ctx.session.set('user', 'ann')|ctx.session.user = 'ann'⟧
    ⟦ctx.session.set('mfa', 'pending')|ctx.session['mfa'] = 'pending'⟧
    ⟦ctx.session.set('tries', 0)|Object.assign(ctx.session, { tries: 0 })⟧
    const to = ⟦ctx.session.take('returnTo')|ctx.session.returnTo⟧
    ctx.body = to ?? '/'
  },
  '/code': async (ctx) => {
    ⟦ctx.session.update('tries', (n = 0) => n + 1)|ctx.session.tries++⟧
    ⟦ctx.session.delete('mfa')|delete ctx.session.mfa⟧
    ⟦ctx.session.set('notice', 'Welcome')|ctx.session.notice = 'Welcome'⟧
    ⟦await ctx.session.commit()|await ctx.session.save()⟧
    ctx.body = 'ok'
  },
  '/account': async (ctx) => {
    const ⟦user = ctx.session.get('user')|{ user } = ctx.session⟧
    const isKnown = ⟦ctx.session.has('user')|Object.hasOwn(ctx.session, 'user')⟧
    ctx.body = [user, isKnown, ⟦ctx.session.take('notice')|ctx.session.notice⟧, ⟦ctx.session.size > 0|ctx.session.populated⟧].join()
  },
  '/add': async (ctx) => {
    ⟦ctx.session.update('cart', (cart = []) => [...cart, 'tea'])|(ctx.session.cart ??= []).push('tea')⟧
    const count = ⟦ctx.session.get('cart').length|ctx.session.cart.length⟧
    ctx.body = String(count)
  },
  '/cart': async (ctx) => {
    ctx.body = ⟦ctx.session.has('cart')|('cart' in ctx.session)⟧ ? 'full' : 'empty'
  },
  '/authorize': async (ctx) => {
    ⟦ctx.session.set('state', 's7')|ctx.session.state ||= 's7'⟧
    ctx.body = 's7'
  },
  '/callback': async (ctx) => {
    ctx.body = String(⟦await ctx.session.claim('state')|ctx.session.state⟧)
  },
  '/empty': async (ctx) => {
    ⟦ctx.session.clear()|ctx.session = {}⟧
    ctx.body = 'ok'
  },
  '/logout': async (ctx) => {
    ⟦await ctx.session.destroy()|ctx.session = null⟧
    ctx.body = 'bye'
  },
  '/leave': async (ctx) => {
    ⟦await ctx.session.destroy()|await new Promise((resolve) => ctx.session.destroy(resolve))⟧
    ctx.body = 'bye'
  },
})`

/** What a visitor asks for, and the answers. */
const visit: readonly (readonly [path: string, answer: string])[] = [
  ['/form', 'c5'],
  ['/login', '/account'],
  ['/account', 'code?'],
  ['/code', 'ok'],
  ['/account', 'ann,true,Welcome,true'],
  ['/add', '1'],
  ['/cart', 'full'],
  ['/authorize', 's7'],
  ['/callback', 's7'],
  ['/empty', 'ok'],
  ['/cart', 'empty'],
  ['/login', '/'],
  ['/logout', 'bye'],
  ['/account', ',false,,false'],
  ['/login', '/'],
  ['/leave', 'bye'],
]

const SITE = /⟦(.*?)\|(.*?)⟧/gs
const sites = [...application.matchAll(SITE)].map(([, now = '', before = '']) => ({ now, before }))

/** Visits the application in which one place is as it was before, and returns what went wrong. */
async function visited(t: ExecutionContext, before?: number): Promise<readonly string[]> {
  let place = 0
  const source = application.replaceAll(SITE, (_, now: string, old: string) =>
    place++ === before ? old : now,
  )
  type Routes = Readonly<Record<string, Middleware<object, SessionContext>>>
  const routes = vm.runInThisContext(source) as Routes // the text above
  const errors: string[] = []
  const app = new Koa()
  app.silent = true
  app.on('error', (error: unknown) => {
    const isOurs = error instanceof SessionError && error.code === 'ERR_SESSION_STATE'
    errors.push(isOurs ? error.message : `another error: ${String(error)}`)
  })
  app.use(session())
  app.use(async (ctx: Context, next) => routes['guard']?.(ctx as never, next)) // it has the session
  app.use(async (ctx: Context, next) => routes[ctx.path]?.(ctx as never, next))
  const client = (await serve(t, app)).client()
  for (const [path, answer] of visit) {
    const { status, text } = await client.get(path)
    if (status === 500) return errors
    if (status !== 200 || text !== answer) return [`${path} answers ${status} ${text}`]
  }
  return errors
}

test('an application that has come from koa-session works', async (t) => {
  t.true(sites.length >= 24)
  t.deepEqual(await visited(t), [])
})

for (const [place, { now, before }] of sites.entries()) {
  test(`the same application with ${before} instead of ${now} answers 500 and says what to write (${place + 1})`, async (t) => {
    const [message, ...others] = await visited(t, place)
    t.deepEqual(others, [])
    t.regex(message ?? 'no error', /^ctx\.session\b.*ctx\.session\.\w+/s)
  })
}

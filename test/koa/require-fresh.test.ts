import test from 'ava'
import Koa from 'koa'
import { requireFresh, session } from '../../src/index.ts'
import { serve } from '../support/client.ts'

const MINUTE = 60_000

test('security 60: a guard lets a fresh log-in pass, and says in JSON what is missing otherwise', async (t) => {
  let now = Date.UTC(2026, 0, 1)
  const app = new Koa().use(session({ now: () => now, sweepInterval: 0 }))
  app.use(async (ctx, next) => {
    if (ctx.path === '/login') ctx.session.signIn('ann', { by: 'password' })
    else if (ctx.path === '/confirm') ctx.session.confirm('otp')
    else return next()
    ctx.body = 'ok'
  })
  let runs = 0
  app.use(async (ctx, next) => requireFresh(5 * MINUTE, ctx.path === '/otp' ? 'otp' : undefined)(ctx, next))
  app.use((ctx) => {
    runs += 1
    ctx.body = 'done'
  })
  const client = (await serve(t, app)).client()
  const ask = async (path: string): Promise<unknown> => {
    const { status, text } = await client.get(path)
    return [status, status === 200 ? text : (JSON.parse(text) as unknown)]
  }
  t.deepEqual(await ask('/'), [401, { error: 'login_required' }])
  await client.get('/login')
  t.deepEqual(await ask('/'), [200, 'done'])
  const insufficient = { error: 'insufficient_user_authentication', max_age: 300 }
  t.deepEqual(await ask('/otp'), [403, { ...insufficient, method: 'otp' }])
  now += 5 * MINUTE
  t.deepEqual(await ask('/'), [403, insufficient])
  await client.get('/confirm')
  t.deepEqual(await ask('/otp'), [200, 'done'])
  t.is(runs, 2)
})

test('a guard where no session is mounted, or without a number of ms, throws what to do', async (t) => {
  t.throws(() => requireFresh(0), { code: 'ERR_SESSION_OPTIONS' })
  const errors: unknown[] = []
  const app = new Koa().use(requireFresh(MINUTE))
  app.on('error', (error) => errors.push(error))
  t.is((await (await serve(t, app)).client().get('/')).status, 500)
  t.regex(String(errors[0]), /mount session\(\) first/)
})

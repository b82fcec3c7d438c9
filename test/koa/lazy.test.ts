// The option `open`: sessions that are opened only where a handler asks for them.
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { session, SessionError, type SessionOptions } from '../../src/index.ts'
import { serve, type Client } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'

interface Fixture {
  readonly client: Client
  readonly store: SpiedStore
  readonly errors: unknown[]
}

async function fixture(t: ExecutionContext, open: NonNullable<SessionOptions['open']>): Promise<Fixture> {
  const store = new SpiedStore()
  const errors: unknown[] = []
  const sessions = session({ store, open })
  const app = new Koa()
  app.on('error', (error: unknown) => errors.push(error))
  app.use(sessions)
  app.use(async (ctx) => {
    if (ctx.path === '/asset') ctx.body = 'an asset'
    else if (ctx.path === '/closed') ctx.body = String(ctx['session'].get('n'))
    else {
      const [one, other] = await Promise.all([sessions.load(ctx), sessions.load(ctx)])
      ctx.body = String(one.update('n', (n = 0) => n + 1))
      if (one !== other || one !== ctx['session']) throw new Error('they are two')
    }
  })
  const { client } = await serve(t, app)
  return { client: client(), store, errors }
}

test("with open: 'lazy' a request that does not ask for its session makes no call to the store", async (t) => {
  const { client, store } = await fixture(t, 'lazy')
  t.is((await client.get('/')).text, '1')
  store.calls.length = 0
  const asset = await client.get('/asset')
  t.deepEqual([asset.status, asset.setCookies, store.calls], [200, [], []])
  t.is((await client.get('/')).text, '2')
  t.deepEqual(store.calls, ['read', 'replace'])
})

test('a session that is not open throws a sentence, unless the request presents no ID', async (t) => {
  const { client, errors } = await fixture(t, 'lazy')
  t.is((await client.get('/closed')).text, 'undefined')
  await client.get('/')
  t.is((await client.get('/closed')).status, 500)
  const [error] = errors
  t.true(error instanceof SessionError)
  t.regex(String(error), /ctx\.session is not open in this request.*await sessions\.load\(ctx\)/)
})

test('a function decides for each request, and parallel requests lose nothing', async (t) => {
  const { client, store } = await fixture(t, (ctx) => ctx.path === '/closed')
  await client.get('/')
  t.is((await client.get('/closed')).text, '1')
  store.calls.length = 0
  await client.get('/asset')
  t.deepEqual(store.calls, [])
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.get('/')))
  t.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  t.is((await client.get('/closed')).text, '21')
})

test('load() says what is wrong where the middleware is not mounted', async (t) => {
  const sessions = session()
  await t.throwsAsync(sessions.load({}), { code: 'ERR_SESSION_STATE', message: /mount it/ })
})

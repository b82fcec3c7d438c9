import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { session, SessionError, type Session, type SessionOptions } from '../../src/index.ts'
import { serve, type Client } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'

async function fixture(
  t: ExecutionContext,
  act: (session: Session, path: string) => unknown,
  options: SessionOptions = {},
): Promise<{ visitor: Client; store: SpiedStore; fail: (failing: boolean) => void; errors: unknown[] }> {
  const store = new SpiedStore()
  const errors: unknown[] = []
  const app = new Koa()
  app.use(session({ store, onStoreError: 'anonymous', cookie: { maxAge: 60_000 }, ...options }))
  app.on('error', (error) => errors.push(error))
  app.use(async (ctx) => {
    ctx.body = { answer: (await act(ctx['session'], ctx.path)) ?? null }
  })
  const served = await serve(t, app)
  const fail = (failing: boolean): void => {
    store.before = (verb) => {
      if (failing && verb === 'read') throw new Error('down')
    }
  }
  return { visitor: served.client(), store, fail, errors }
}

const show = (current: Session, path: string): unknown => {
  if (path === '/set') current.set('user', 'ann')
  return [current.isReadOnly, current.get('user') ?? null, current.size, current.isNew, [...current.keys()]]
}

test('security 53: with anonymous, a page whose session cannot be opened is served an empty one that is read-only, and no cookie is touched', async (t) => {
  const { visitor, fail, store } = await fixture(t, show)
  await visitor.get('/set')
  fail(true)
  const { status, text, setCookies } = await visitor.get('/')
  t.is(status, 200)
  t.deepEqual(JSON.parse(text), { answer: [true, null, 0, true, []] })
  t.deepEqual(setCookies, [])
  t.deepEqual(store.calls.slice(1), ['read'])
  fail(false)
  t.deepEqual(JSON.parse((await visitor.get('/')).text), { answer: [false, 'ann', 1, false, ['user']] })
})

test('security 53: whatever would change such a session is a 503, and after recovery the data is intact', async (t) => {
  const deeds: Record<string, (current: Session) => unknown> = {
    set: (current) => current.set('user', 'bob'),
    delete: (current) => current.delete('user'),
    update: (current) => current.update('user', () => 'bob'),
    take: (current) => current.take('user'),
    claim: async (current) => current.claim('user'),
    clear: (current) => current.clear(),
    regenerate: (current) => current.regenerate(),
    destroy: async (current) => current.destroy(),
    id: (current) => current.id,
    maxAge: (current) => (current.maxAge = 1_000),
  }
  const { visitor, fail, errors } = await fixture(t, async (current, path) =>
    path === '/' ? show(current, '/set') : deeds[path.slice(1)]?.(current),
  )
  await visitor.get('/')
  fail(true)
  for (const path of Object.keys(deeds)) {
    const { status, text, setCookies } = await visitor.get(`/${path}`)
    t.is(status, 503, path)
    t.is(text, 'Service Unavailable')
    t.deepEqual(setCookies, [])
    fail(false) // a response, so that the circuit breaker stays closed
    t.deepEqual(
      JSON.parse((await visitor.get('/')).text),
      { answer: [false, 'ann', 1, false, ['user']] },
      path,
    )
    fail(true)
  }
  for (const error of errors) {
    t.true(error instanceof SessionError && error.code === 'ERR_SESSION_STORE')
  }
})

test('security 53: the manager ends no such session either, and it stays read-only', async (t) => {
  const store = new SpiedStore()
  const sessions = session({ store, onStoreError: 'anonymous' })
  const app = new Koa().use(sessions).use(async (ctx) => {
    if (ctx.path === '/set') ctx.session.set('user', 'ann')
    else await t.throwsAsync(sessions.manager.destroy(ctx.session), { code: 'ERR_SESSION_STORE' })
    ctx.body = String(ctx.session.isReadOnly)
  })
  const visitor = (await serve(t, app)).client()
  await visitor.get('/set')
  store.before = () => {
    throw new Error('down')
  }
  t.is((await visitor.get('/')).text, 'true')
})

test('an early commit of a read-only session stores nothing and does not throw', async (t) => {
  const { visitor, fail, store } = await fixture(t, async (current, path) =>
    path === '/set' ? show(current, path) : current.commit(),
  )
  await visitor.get('/set')
  fail(true)
  t.deepEqual(JSON.parse((await visitor.get('/')).text), { answer: 'ok' })
  t.deepEqual(store.calls, ['create', 'read'])
})

test('security 54: with anonymous, too, a commit that fails is a 503 without a cookie', async (t) => {
  const { visitor, store } = await fixture(t, show)
  store.before = () => {
    throw new Error('down')
  }
  const { status, setCookies } = await visitor.get('/set')
  t.is(status, 503)
  t.deepEqual(setCookies, [])
})

test('by default the failure is thrown where the session is first used', async (t) => {
  const { visitor, fail } = await fixture(t, show, { onStoreError: 'throw' })
  await visitor.get('/set')
  fail(true)
  t.is((await visitor.get('/')).status, 503)
})

test('onStoreError also applies to a session that is opened for a WebSocket upgrade', async (t) => {
  const store = new SpiedStore()
  const sessions = session({ store, onStoreError: 'anonymous' })
  const { IncomingMessage } = await import('node:http')
  const { Socket } = await import('node:net')
  const request = new IncomingMessage(new Socket())
  request.headers.cookie = `sid=${'A'.repeat(43)}`
  store.before = () => {
    throw new Error('down')
  }
  const empty = await sessions.open(request)
  t.true(empty.isReadOnly)
  t.throws(() => empty.set('a', 1), { code: 'ERR_SESSION_STORE' })
})

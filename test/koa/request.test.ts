import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import { session, SessionError, type Session, type SessionOptions } from '../../src/index.ts'
import { serve, type Client } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'

const HOUR = 3_600_000
const PREFETCH = { headers: { 'sec-purpose': 'prefetch;anonymous-client-ip' } }

type Handler = (ctx: Context & { session: Session }) => unknown
interface Fixture {
  koa: Koa
  store: SpiedStore
  clock: { now: number }
  errors: unknown[]
}

function app(routes: Record<string, Handler>, options: SessionOptions<undefined, 'session'> = {}): Fixture {
  const clock = { now: Date.UTC(2026, 0, 1) }
  const store = new SpiedStore(() => clock.now)
  const errors: unknown[] = []
  const koa = new Koa()
  koa.on('error', (error) => errors.push(error))
  koa.use(session({ store, now: () => clock.now, idleTimeout: HOUR, ...options })).use(async (ctx) => {
    ctx.body = { value: (await routes[ctx.path]?.(ctx)) ?? null }
  })
  return { koa, store, clock, errors }
}

const routes: Record<string, Handler> = {
  '/set': ({ session }) => void session.set('user', 'ann').set('flash', 'Welcome!'),
  '/get': ({ session }) => session.get('user'),
  '/poll': ({ session }) => session.get('user'),
  '/count': ({ session }) => session.update('polls', (n = 0) => n + 1),
  '/flash': ({ session }) => session.take('flash'),
  '/nothing': () => 'nothing',
}

async function visitorOf(t: ExecutionContext, { koa }: Fixture): Promise<Client> {
  return (await serve(t, koa)).client()
}

test('security 21: passive requests do not extend the life, whatever the store does while it reads', async (t) => {
  for (const isExtending of [true, false]) {
    const passive: SessionOptions['passive'] = ({ path }) => path === '/poll' || path === '/count'
    const fixture = app(routes, { passive, cookie: { maxAge: HOUR } })
    const { store, clock } = fixture
    if (!isExtending) {
      const read = store.read.bind(store)
      store.read = async (key) => read(key) // like a SQL store
    }
    const visitor = await visitorOf(t, fixture)
    await visitor.get('/set')
    for (let polls = 0; polls < 99; polls += 1) {
      clock.now += HOUR / 100
      const { text, setCookies } = await visitor.get(polls % 10 === 9 ? '/count' : '/poll')
      t.is(text, polls % 10 === 9 ? `{"value":${(polls + 1) / 10}}` : '{"value":"ann"}')
      t.deepEqual(setCookies, []) // the cookie is not extended either
    }
    t.false(store.calls.includes('touch'))
    clock.now += HOUR / 100
    t.is((await visitor.get('/poll')).text, '{"value":null}')
  }
})

test('opening a session with passive: true does not extend it', async (t) => {
  const clock = { now: 0 }
  const { manager } = session({ store: new SpiedStore(() => clock.now), now: () => clock.now })
  const begun = manager.begin().set('a', 1)
  await manager.commit(begun)
  clock.now = HOUR - 1
  t.is((await manager.open(begun.id, { passive: true })).expiresAt, HOUR)
  clock.now = HOUR
  t.is(await manager.find(begun.id), undefined)
})

test('security 57: a prefetch is passive and takes no flash message; so does HEAD, which is a sign of life', async (t) => {
  const fixture = app(routes)
  const { clock } = fixture
  const visitor = await visitorOf(t, fixture)
  await visitor.get('/set')
  clock.now += HOUR / 2
  t.is((await visitor.get('/flash', PREFETCH)).text, '{"value":"Welcome!"}')
  t.is((await visitor.get('/flash', { headers: { 'Sec-Purpose': 'other' } })).text, '{"value":"Welcome!"}')
  t.is((await visitor.get('/flash')).text, '{"value":null}')

  await visitor.get('/set')
  clock.now += HOUR - 1
  await visitor.get('/flash', { method: 'HEAD' })
  clock.now += HOUR - 1
  t.is((await visitor.get('/flash')).text, '{"value":"Welcome!"}')

  clock.now += HOUR - 1
  await visitor.get('/get', PREFETCH)
  clock.now += 1
  t.is((await visitor.get('/get')).text, '{"value":null}')
})

test('mayCreate is called once, and only before a new session is stored', async (t) => {
  const asked: string[] = []
  const fixture = app(
    {
      ...routes,
      '/twice': async ({ session }) => {
        session.set('a', 1)
        await session.commit()
        await session.destroy()
        session.set('b', 1)
        await session.commit()
      },
      '/again': async ({ session }) => {
        await session.destroy()
        session.set('flash', 'Bye!')
      },
    },
    { mayCreate: async ({ path }) => asked.push(path) > 0 },
  )
  const visitor = await visitorOf(t, fixture)
  await visitor.get('/nothing')
  await visitor.get('/get')
  t.deepEqual(asked, [])
  await visitor.get('/twice')
  t.deepEqual(asked, ['/twice'])
  for (const path of ['/set', '/get', '/again', '/flash']) await visitor.get(path)
  t.deepEqual(asked, ['/twice'])
  t.is((await visitor.get('/set')).status, 200) // the last session was emptied by /flash
  t.deepEqual(asked, ['/twice', '/set'])
})

test('security 51: 10,000 writing requests without a cookie make as many sessions as mayCreate allows', async (t) => {
  let left = 25
  const { koa, store, errors } = app(routes, { mayCreate: () => left-- > 0 })
  const handle = koa.callback()
  const statuses = new Map<string, number>()
  for (let visits = 0; visits < 10_000; visits += 1) {
    const request = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: '/set' })
    const response = new ServerResponse(request)
    await handle(request, response)
    const answer = `${response.statusCode} ${response.hasHeader('set-cookie')}`
    statuses.set(answer, (statuses.get(answer) ?? 0) + 1)
  }
  t.deepEqual(Object.fromEntries(statuses), { '200 true': 25, '429 false': 9_975 })
  t.is(await store.count(), 25)
  t.is(store.calls.length, 25)
  t.true(errors.every((error) => error instanceof SessionError && error.code === 'ERR_SESSION_LIMIT'))
})

test('an error that mayCreate throws becomes the response, and nothing is stored', async (t) => {
  const fixture = app(routes, {
    mayCreate: (ctx) => ctx.throw(403, 'not from this network'),
  })
  const visitor = await visitorOf(t, fixture)
  const { status, text, setCookies } = await visitor.get('/set')
  t.deepEqual([status, text, setCookies], [403, 'not from this network', []])
  t.is(await fixture.store.count(), 0)
})

test('values that are set while mayCreate is pending are committed too', async (t) => {
  const fixture = app(
    {
      '/slow': async (ctx) => {
        ctx.session.set('a', 1)
        const commit = ctx.session.commit()
        ctx.session.set('b', 2)
        await commit
        return fixture.store.calls
      },
      '/size': ({ session }) => session.size,
    },
    { mayCreate: async () => true },
  )
  const visitor = await visitorOf(t, fixture)
  t.is((await visitor.get('/slow')).text, '{"value":["create"]}')
  t.is((await visitor.get('/size')).text, '{"value":2}')
  t.deepEqual(fixture.store.calls, ['create', 'read'])
})

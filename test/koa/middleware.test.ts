import Router from '@koa/router'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import {
  createRegistry,
  session,
  SessionError,
  type SessionEvent,
  type SessionOptions,
} from '../../src/index.ts'
import { serve, type Client, type Served } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'

class Cart {
  items: string[] = []
  add(sku: string): void {
    this.items.push(sku)
  }
}
const registry = createRegistry()
registry.registerType(Cart)

interface Fixture extends Served {
  store: SpiedStore
  events: SessionEvent[]
  errors: unknown[]
  /** Resolves when all requests have left the middleware, even if their clients have no response yet. */
  settled: () => Promise<unknown>
  visitor: Client
}

const codeOf = (error: unknown): unknown => error instanceof SessionError && error.code

type Handler = (ctx: Context & { session: import('../../src/index.ts').Session }) => unknown

async function app(
  t: ExecutionContext,
  routes: Record<string, Handler>,
  options: SessionOptions = {},
): Promise<Fixture> {
  const store = new SpiedStore(options.now)
  const events: SessionEvent[] = []
  const errors: unknown[] = []
  const koa = new Koa()
  const underWay = new Set<Promise<unknown>>()
  koa.use(async (_ctx, next) => {
    const request = next()
    underWay.add(request)
    await request
  })
  const sessions = session({ store, registry, onEvent: (event) => events.push(event), ...options })
  koa.use(sessions)
  koa.on('error', (error) => errors.push(error))
  koa.use(async (ctx) => {
    const body = await routes[ctx.path]?.(ctx as Parameters<Handler>[0])
    if (ctx.body === undefined && ctx.respond !== false) ctx.body = { value: body ?? null }
  })
  const served = await serve(t, koa)
  const settled = async (): Promise<unknown> => Promise.allSettled(underWay)
  return { ...served, store, events, errors, settled, visitor: served.client() }
}

const value = async (client: Client, path: string): Promise<unknown> => {
  const { text } = await client.get(path)
  const body: unknown = JSON.parse(text)
  return typeof body === 'object' && body !== null && 'value' in body ? body.value : undefined
}

test('a class instance that was set is an instance with its methods in the next request', async (t) => {
  const { visitor } = await app(t, {
    '/add': ({ session }) => {
      const cart = session.get('cart') ?? new Cart()
      cart.add('apple')
      session.set('cart', cart)
    },
    '/look': ({ session }) => session.get('cart') instanceof Cart && session.get('cart').items,
  })
  await visitor.get('/add')
  await visitor.get('/add')
  t.deepEqual(await value(visitor, '/look'), ['apple', 'apple'])
})

test('an anonymous request that only reads makes no store call, no record and no cookie', async (t) => {
  const { visitor, store } = await app(t, { '/': ({ session }) => session.get('a') ?? session.has('b') })
  const { setCookies, headers } = await visitor.get('/')
  t.deepEqual(setCookies, [])
  t.is(headers.get('cache-control'), 'private')
  t.deepEqual(store.calls, [])
})

test('a request makes one store call to read a session, and a second one to change it', async (t) => {
  const { visitor, store } = await app(t, {
    '/set': ({ session }) => void session.set('a', 1),
    '/get': ({ session }) => session.get('a'),
    '/none': () => 'nothing',
  })
  await visitor.get('/set')
  t.deepEqual(store.calls, ['create'])
  for (const path of ['/get', '/none', '/set']) {
    store.calls.length = 0
    await visitor.get(path)
    t.deepEqual(store.calls, ['read'], path) // setting the stored value again is no change
  }
})

test('an object that was read and changed in place is stored', async (t) => {
  const { visitor } = await app(t, {
    '/set': ({ session }) => void session.set('list', [1]),
    '/push': ({ session }) => void session.get('list').push(2),
    '/get': ({ session }) => session.get('list'),
  })
  await visitor.get('/set')
  await visitor.get('/push')
  t.deepEqual(await value(visitor, '/get'), [1, 2])
})

test('security 4: an ID that was never issued is not adopted, and leads to no cookie until something is written', async (t) => {
  const { visitor, store, events } = await app(t, {
    '/get': ({ session }) => session.get('a'),
    '/set': ({ session }) => void session.set('a', 1),
  })
  const forged = 'A'.repeat(43)
  visitor.cookies.set('sid', forged)
  t.deepEqual((await visitor.get('/get')).setCookies, [])
  t.is(await store.count(), 0)
  t.deepEqual(
    events.map(({ type }) => type),
    ['unknown'],
  )
  const { setCookies } = await visitor.get('/set')
  t.is(setCookies.length, 1)
  t.not(visitor.cookies.get('sid'), forged)
})

test('security 5: what cannot be an ID never reaches the store and is an anonymous visit', async (t) => {
  const { visitor, store } = await app(t, { '/': ({ session }) => session.get('a') })
  const odd = [
    "'",
    '../x',
    '%00',
    '%zz',
    '__proto__',
    'x'.repeat(10_000),
    `${'A'.repeat(42)}B`,
    `${'A'.repeat(43)}==`,
    '""',
    'ä',
  ]
  for (const text of odd) {
    const { status, setCookies } = await visitor.get('/', { headers: { cookie: `sid=${encodeURI(text)}` } })
    t.is(status, 200, text)
    t.deepEqual(setCookies, [])
  }
  t.deepEqual(store.calls, [])
})

test('security 9: a planted cookie of the same name does not hide the real one, in either order', async (t) => {
  const { visitor } = await app(t, {
    '/set': ({ session }) => void session.set('a', 1),
    '/get': ({ session }) => session.get('a'),
  })
  await visitor.get('/set')
  const real = visitor.cookies.get('sid')
  const evil = 'B'.repeat(42) + 'A'
  for (const cookie of [
    `sid=${evil}; sid=${real}`,
    `sid=${real}; sid=${evil}`,
    `sid=x; other=1; sid=${real}`,
  ]) {
    t.deepEqual(JSON.parse((await visitor.get('/get', { headers: { cookie } })).text), { value: 1 }, cookie)
  }
})

test('security 6 and 7: the store never sees the ID, and its key opens nothing', async (t) => {
  const { visitor, store } = await app(t, {
    '/set': ({ session }) => void session.set('a', 1),
    '/get': ({ session }) => session.get('a'),
  })
  await visitor.get('/set')
  const [key = ''] = store.keys
  t.regex(key, /^[0-9a-f]{64}$/)
  t.false(key.includes(visitor.cookies.get('sid') ?? ''))
  visitor.cookies.set('sid', key)
  t.is(await value(visitor, '/get'), null)
})

test('security 11, 12 and 13: regenerate gives a new ID, keeps the data, and the old ID is dead', async (t) => {
  const { visitor } = await app(t, {
    '/set': ({ session }) => void session.set('a', 1),
    '/login': ({ session }) => session.regenerate(),
    '/get': ({ session }) => session.get('a'),
  })
  await visitor.get('/set')
  const thief = visitor.clone()
  const { setCookies } = await visitor.get('/login')
  t.is(setCookies.length, 1)
  t.not(visitor.cookies.get('sid'), thief.cookies.get('sid'))
  t.is(await value(visitor, '/get'), 1)
  t.is(await value(thief, '/get'), null)
})

test('security 23: after destroy the old cookie opens nothing, and the browser is told to forget it', async (t) => {
  const { visitor, store } = await app(t, {
    '/set': ({ session }) => void session.set('a', 1),
    '/logout': ({ session }) => session.destroy(),
    '/get': ({ session }) => session.get('a'),
  })
  await visitor.get('/set')
  const thief = visitor.clone()
  const { setCookies } = await visitor.get('/logout')
  t.regex(setCookies[0] ?? '', /^sid=; Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970/)
  t.false(visitor.cookies.has('sid'))
  t.is(await store.count(), 0)
  t.is(await value(thief, '/get'), null)
})

test('what is set after destroy begins a new session under a new ID', async (t) => {
  const { visitor } = await app(t, {
    '/set': ({ session }) => void session.set('a', 1),
    '/restart': async ({ session }) => {
      await session.destroy()
      session.set('b', 2)
    },
    '/get': ({ session }) => [session.get('a') ?? null, session.get('b')],
  })
  await visitor.get('/set')
  const before = visitor.cookies.get('sid')
  const { setCookies } = await visitor.get('/restart')
  t.is(setCookies.length, 1)
  t.not(visitor.cookies.get('sid'), before)
  t.deepEqual(await value(visitor, '/get'), [null, 2])
})

test('security 24: a slow request cannot bring back a session that was destroyed meanwhile, and sends no cookie', async (t) => {
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => (release = resolve))
  let entered = (): void => {}
  const inside = new Promise<void>((resolve) => (entered = resolve))
  const { visitor, store, events } = await app(t, {
    '/set': ({ session }) => void session.set('user', 'ann'),
    '/slow': async ({ session }) => {
      session.set('seen', true)
      entered()
      await gate
    },
    '/logout': ({ session }) => session.destroy(),
  })
  await visitor.get('/set')
  const slow = visitor.clone().get('/slow')
  await inside
  await visitor.get('/logout')
  release()
  const { status, setCookies } = await slow
  t.is(status, 200)
  t.deepEqual(setCookies, [])
  t.is(await store.count(), 0)
  t.true(events.some(({ type }) => type === 'gone'))
})

test('20 parallel requests lose no key and no increment', async (t) => {
  const { visitor } = await app(t, {
    '/set': ({ session }) => void session.set('a', 0),
    '/write': (ctx) => {
      ctx.session.set(String(ctx.query['key']), true)
      ctx.session.update('n', (n = 0) => n + 1)
    },
    '/get': ({ session }) => [session.size, session.get('n')],
  })
  await visitor.get('/set')
  await Promise.all(Array.from({ length: 20 }, async (_, key) => visitor.clone().get(`/write?key=${key}`)))
  t.deepEqual(await value(visitor, '/get'), [22, 20])
})

test('security 55: a handler that throws keeps nothing, but a 4xx for the client keeps its changes and its cookie', async (t) => {
  const { visitor, store } = await app(t, {
    '/crash': ({ session }) => {
      session.set('a', 1)
      throw new Error('bug')
    },
    '/refuse': (ctx) => {
      ctx.session.set('tries', 1)
      ctx.throw(401, 'wrong password')
    },
    '/get': ({ session }) => session.get('tries'),
  })
  const crash = await visitor.get('/crash')
  t.is(crash.status, 500)
  t.deepEqual(crash.setCookies, [])
  t.is(await store.count(), 0)
  const refused = await visitor.get('/refuse')
  t.is(refused.status, 401)
  t.is(refused.setCookies.length, 1)
  t.is(await value(visitor, '/get'), 1)
})

test('a cookie of an early commit is sent with the error of a later commit that fails', async (t) => {
  const { visitor, store } = await app(t, {
    '/twice': async ({ session }) => {
      session.set('a', 1)
      await session.commit()
      session.set('a', 2)
    },
    '/get': ({ session }) => session.get('a'),
  })
  store.before = (verb) => {
    if (verb === 'replace') throw new Error('down')
  }
  const { status, setCookies } = await visitor.get('/twice')
  t.is(status, 503)
  t.is(setCookies.length, 1)
  t.is(await value(visitor, '/get'), 1)
})

test('destroy stays in effect and removes the cookie when the handler throws', async (t) => {
  const { visitor, store } = await app(t, {
    '/set': ({ session }) => void session.set('a', 1),
    '/crash': async ({ session }) => {
      await session.destroy()
      throw new Error('bug')
    },
  })
  await visitor.get('/set')
  const { status, setCookies } = await visitor.get('/crash')
  t.is(status, 500)
  t.regex(setCookies[0] ?? '', /^sid=; Max-Age=0/)
  t.is(await store.count(), 0)
})

test('commitOnError decides whether changes are committed when the handler throws', async (t) => {
  const routes: Record<string, Handler> = {
    '/crash': ({ session }) => {
      session.set('a', 1)
      throw new Error('bug')
    },
  }
  const always = await app(t, routes, { commitOnError: true })
  const { status, setCookies } = await always.visitor.get('/crash')
  t.is(status, 500)
  t.is(setCookies.length, 1)
  const never = await app(t, routes, { commitOnError: () => false })
  t.deepEqual((await never.visitor.get('/crash')).setCookies, [])
})

test('security 53: when the store fails, routes that never look are served, the others say 503, and nothing is overwritten', async (t) => {
  const { visitor, store, events } = await app(t, {
    '/set': ({ session }) => void session.set('a', 1),
    '/none': () => 'fine',
    '/get': ({ session }) => session.get('a'),
  })
  await visitor.get('/set')
  store.before = () => {
    throw new Error('connection to 10.1.2.3 refused')
  }
  t.is((await visitor.get('/none')).status, 200)
  for (const path of ['/get', '/set']) {
    const { status, text } = await visitor.get(path)
    t.is(status, 503)
    t.is(text, 'Service Unavailable') // security 39: no details of the backend
  }
  store.before = () => {}
  t.is(await value(visitor, '/get'), 1)
  t.true(events.some(({ type }) => type === 'store-failed'))
})

test('security 54: a commit that fails is an error for the client, without a cookie', async (t) => {
  const { visitor, store } = await app(t, { '/set': ({ session }) => void session.set('a', 1) })
  store.before = (verb) => {
    if (verb === 'create') throw new Error('down')
  }
  const { status, setCookies } = await visitor.get('/set')
  t.is(status, 503)
  t.deepEqual(setCookies, [])
})

test('an unsupported value is refused with its path: by set, or after a change in place by commit', async (t) => {
  const { visitor, errors } = await app(t, {
    '/set': ({ session }) => void session.set('cart', { items: [{ price: () => 1 }] }),
    '/ok': ({ session }) => void session.set('cart', { items: [] }),
    '/place': ({ session }) => void session.get('cart').items.push(Symbol('x')),
    '/get': ({ session }) => session.get('cart'),
  })
  t.is((await visitor.get('/set')).status, 500)
  await visitor.get('/ok')
  t.is((await visitor.get('/place')).status, 500)
  t.deepEqual(
    errors.map(
      (error) => error instanceof SessionError && [error.code, error.message.includes('cart.items[0]')],
    ),
    [
      ['ERR_SESSION_VALUE', true],
      ['ERR_SESSION_VALUE', true],
    ],
  )
  t.deepEqual(await value(visitor, '/get'), { items: [] })
})

test('a session whose last key was deleted is removed, with its cookie', async (t) => {
  const { visitor, store } = await app(t, {
    '/set': ({ session }) => void session.set('a', 1).set('b', 2),
    '/clear': ({ session }) => session.clear(),
  })
  await visitor.get('/set')
  t.is(await store.count(), 1)
  const { setCookies } = await visitor.get('/clear')
  t.is(await store.count(), 0)
  t.regex(setCookies[0] ?? '', /Max-Age=0/)
})

test('with keepEmpty an emptied session keeps its ID, as in beego', async (t) => {
  const { visitor, store } = await app(
    t,
    {
      '/set': ({ session }) => void session.set('a', 1),
      '/clear': ({ session }) => session.clear(),
      '/size': ({ session }) => session.size,
    },
    { keepEmpty: true },
  )
  await visitor.get('/set')
  const before = visitor.cookies.get('sid')
  await visitor.get('/clear')
  t.is(await store.count(), 1)
  t.is(await value(visitor, '/size'), 0)
  t.is(visitor.cookies.get('sid'), before)
})

test('claim returns a one-time value to exactly one of many concurrent requests', async (t) => {
  const { visitor, store } = await app(t, {
    '/set': ({ session }) => void session.set('state', 'secret').set('a', 1),
    '/claim': ({ session }) => session.claim('state'),
    '/keys': ({ session }) => [...session.keys()],
  })
  await visitor.get('/set')
  const claims = await Promise.all(Array.from({ length: 12 }, async () => value(visitor.clone(), '/claim')))
  t.deepEqual(
    claims.filter((claim) => claim !== null),
    ['secret'],
  )
  t.deepEqual(await value(visitor, '/keys'), ['a'])
  t.is(await store.count(), 1)
})

test('claiming the only value leaves no record behind', async (t) => {
  const { visitor, store } = await app(t, {
    '/set': ({ session }) => void session.set('state', 's'),
    '/claim': ({ session }) => session.claim('state'),
  })
  await visitor.get('/set')
  t.is(await value(visitor, '/claim'), 's')
  t.is(await store.count(), 0)
})

test('F22: a stream commits explicitly, and what is set when the request is over throws instead of being lost', async (t) => {
  let late: unknown
  let finished = (): void => {}
  const end = new Promise<void>((resolve) => (finished = resolve))
  const { visitor } = await app(t, {
    '/stream': async (ctx) => {
      ctx.respond = false
      ctx.session.set('progress', 1)
      t.is(await ctx.session.commit(), 'ok')
      ctx.res.write('begin ')
      ctx.session.set('progress', 2)
      await ctx.session.commit()
      setImmediate(() => {
        try {
          ctx.session.set('progress', 3)
        } catch (error) {
          late = error
        }
        ctx.res.end('end')
        finished()
      })
    },
    '/get': ({ session }) => session.get('progress'),
  })
  const { text, setCookies } = await visitor.get('/stream')
  await end
  t.is(text, 'begin end')
  t.is(setCookies.length, 1)
  t.is(await value(visitor, '/get'), 2)
  t.true(late instanceof SessionError && late.code === 'ERR_SESSION_STATE')
})

test('F22: when the response has begun, the data is saved and the program is told that the cookie could not be sent', async (t) => {
  const { visitor, store, events, errors, settled } = await app(t, {
    '/early': (ctx) => {
      ctx.respond = false
      ctx.status = 200
      ctx.res.write('too early')
      ctx.session.set('a', 1)
      ctx.res.end()
    },
  })
  const { status, setCookies } = await visitor.get('/early')
  await settled()
  t.is(status, 200)
  t.deepEqual(setCookies, [])
  t.is(await store.count(), 1)
  t.true(events.some((event) => event.type === 'cookie-not-sent' && event.reason === 'headers-sent'))
  t.is(codeOf(errors[0]), 'ERR_SESSION_STATE')
})

test('security 34: one Set-Cookie of ours, and other cookies on the response are left alone', async (t) => {
  const { visitor } = await app(t, {
    '/': async (ctx) => {
      ctx.cookies.set('theme', 'dark')
      ctx.session.set('a', 1)
      await ctx.session.commit()
      ctx.session.regenerate()
      ctx.cookies.set('lang', 'de')
    },
  })
  const { setCookies, headers } = await visitor.get('/')
  t.deepEqual(setCookies.map((line) => line.split('=')[0]).toSorted(), ['lang', 'sid', 'theme'])
  t.is(headers.get('cache-control'), 'no-store') // security 37
})

test('security 32 and 38: the ID stands in Set-Cookie and nowhere else', async (t) => {
  const { visitor } = await app(t, {
    '/': (ctx) => {
      ctx.session.set('secret', 'planted-value')
      const shown = JSON.stringify(ctx) + JSON.stringify(ctx.session) + String(ctx.inspect())
      return { shown, id: shown.includes(ctx.session.id), value: shown.includes('planted-value') }
    },
  })
  const { text, setCookies } = await visitor.get('/')
  const id = /sid=([^;]+)/.exec(setCookies[0] ?? '')?.[1] ?? ''
  t.is(id.length, 43)
  t.false(text.includes(id))
  t.like(JSON.parse(text), { value: { id: false, value: false } })
})

test('one application can have two independent sessions', async (t) => {
  const koa = new Koa()
    .use(session({ registry }))
    .use(session({ registry, name: 'admin_sid', property: 'admin' }))
  koa.use((ctx) => {
    if (ctx.path === '/both') {
      ctx.session.set('a', 1)
      ctx.admin.set('a', 2)
    }
    if (ctx.path === '/leave') return ctx.admin.destroy().then(() => (ctx.body = 'left'))
    ctx.body = [ctx.session.get('a') ?? null, ctx.admin.get('a') ?? null]
  })
  const { client } = await serve(t, koa)
  const visitor = client()
  t.is((await visitor.get('/both')).setCookies.length, 2)
  t.is((await visitor.get('/')).text, '[1,2]')
  await visitor.get('/leave')
  t.is((await visitor.get('/')).text, '[1,null]')
})

test('F22: the same middleware mounted twice opens and commits once', async (t) => {
  const store = new SpiedStore()
  const sessions = session({ store })
  const koa = new Koa().use(sessions).use(sessions)
  koa.use((ctx) => {
    ctx.body = String(ctx.session.update('n', (n = 0) => n + 1))
  })
  const { client } = await serve(t, koa)
  const visitor = client()
  await visitor.get('/')
  t.is((await visitor.get('/')).text, '2')
  t.deepEqual(store.calls, ['create', 'read', 'replace'])
})

test('F22: two sessions with one cookie name in one request are refused with a sentence', async (t) => {
  const errors: unknown[] = []
  const koa = new Koa().use(session()).use(session())
  koa.on('error', (error) => errors.push(error))
  const { client } = await serve(t, koa)
  t.is((await client().get('/')).status, 500)
  t.is(codeOf(errors[0]), 'ERR_SESSION_OPTIONS')
})

test('using a session that is disabled throws ERR_SESSION_STATE', async (t) => {
  const errors: unknown[] = []
  const off = new Koa().use(session({ enabled: false }))
  off.on('error', (error) => errors.push(error))
  off.use((ctx) => {
    ctx.body = ctx.path === '/use' ? ctx.session.get('a') : 'fine'
  })
  const served = await serve(t, off)
  t.is((await served.client().get('/')).status, 200)
  t.is((await served.client().get('/use')).status, 500)
  t.is(codeOf(errors[0]), 'ERR_SESSION_STATE')
})

test('a property name that Koa uses is refused', async (t) => {
  const errors: unknown[] = []
  const koa = new Koa().use(session({ property: 'body' }))
  koa.on('error', (error) => errors.push(error))
  const { client } = await serve(t, koa)
  t.is((await client().get('/')).status, 500)
  t.is(codeOf(errors[0]), 'ERR_SESSION_OPTIONS')
})

test('a router reads and writes the session of its application', async (t) => {
  const router = new Router<object, { session: import('../../src/index.ts').Session }>()
  router.post('/cart/:sku', (ctx) => {
    const cart = ctx.session.get('cart') ?? new Cart()
    cart.add(String(ctx.params['sku']))
    ctx.session.set('cart', cart)
    ctx.body = cart.items
  })
  const koa = new Koa().use(session({ registry })).use(router.routes())
  const { client } = await serve(t, koa)
  const visitor = client()
  await visitor.get('/cart/a', { method: 'POST' })
  t.is((await visitor.get('/cart/b', { method: 'POST' })).text, '["a","b"]')
})

// The session's headers are written when the headers of the response are sent.
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import http2 from 'node:http2'
import { PassThrough } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import {
  session,
  SessionManager,
  type Session,
  type SessionEvent,
  type SessionOptions,
} from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { CookieStore } from '../../src/stores/cookie.ts'
import { serve, type Client } from '../support/client.ts'

type Handler = (ctx: Koa.ParameterizedContext & { readonly session: Session }) => unknown

async function visitorOf(
  t: ExecutionContext,
  handler: Handler,
  options: SessionOptions = {},
  outer?: Koa.Middleware,
): Promise<Client> {
  const app = new Koa()
  if (outer !== undefined) app.use(outer)
  app.use(session(options))
  app.use(async (ctx) => {
    ctx.body = 'body'
    await handler(ctx as unknown as Parameters<Handler>[0])
  })
  return (await serve(t, app)).client()
}

const id = (text: string | null): boolean => /^[\w-]{43}$/.test(text ?? '')

for (const [what, fail] of Object.entries<Handler>({
  'an error that is shown': (ctx) => ctx.throw(400),
  'a bug': async (ctx) => {
    await ctx.session.commit()
    throw new TypeError('a bug')
  },
  'thrown text': async (ctx) => {
    await ctx.session.commit()
    throw 'text' // oxlint-disable-line no-throw-literal
  },
})) {
  test(`a client whose ID travels in a header gets it with ${what}`, async (t) => {
    const write: Handler = (ctx) => {
      ctx.session.update('n', (n = 0) => n + 1)
      if (ctx.path === '/again') ctx.session.regenerate()
      return ctx.path === '/read' ? undefined : fail(ctx)
    }
    const client = await visitorOf(t, write, { cookie: false, header: 'X-Session' })
    const first = (await client.get('/')).headers.get('x-session')
    t.true(id(first))
    const again = await client.get('/again', { headers: { 'x-session': first ?? '' } })
    const second = again.headers.get('x-session')
    t.true(id(second))
    t.not(second, first)
    t.is(again.headers.get('cache-control'), 'no-store')
    const third = await client.get('/read', { headers: { 'x-session': second ?? '' } })
    t.is(third.headers.get('x-session'), null)
  })
}

test('a cookie that opens nothing hides neither the ID of a header nor that of the query', async (t) => {
  const show: Handler = (ctx) => {
    if (ctx.path === '/write') ctx.session.set('user', 'ann')
    ctx.body = String(ctx.session.get('user'))
  }
  const client = await visitorOf(t, show, { header: 'X-Session', query: 'session' })
  const { headers } = await client.get('/write')
  const live = headers.get('x-session') ?? ''
  const dead = 'A'.repeat(43)
  for (const cookie of ['sid=deleted', `sid=${dead}`, `sid=x; sid=y; sid=z; sid=${dead}`]) {
    t.is((await client.get('/', { headers: { cookie, 'x-session': live } })).text, 'ann', cookie)
    t.is((await client.get(`/?session=${live}`, { headers: { cookie } })).text, 'ann', cookie)
    t.is(
      (await client.get('/?session=deleted', { headers: { cookie, 'x-session': live } })).text,
      'ann',
      cookie,
    )
  }
})

test('what a handler says of caching holds for a session that is only used, also if it says so later', async (t) => {
  const read: Handler = (ctx) => {
    ctx.session.get('user')
    if (ctx.path === '/asset' && !ctx.response.get('cache-control')) ctx.set('Cache-Control', 'max-age=60')
    if (ctx.path === '/vary') ctx.set('Vary', 'Origin')
  }
  const client = await visitorOf(t, read)
  const caching = async (path: string): Promise<unknown> => {
    const { headers } = await client.get(path)
    return [headers.get('cache-control'), headers.get('vary')]
  }
  t.deepEqual(await caching('/'), ['private', 'Cookie'])
  t.deepEqual(await caching('/asset'), ['max-age=60', 'Cookie'])
  t.deepEqual(await caching('/vary'), ['private', 'Origin, Cookie'])
})

test('a handler that copies the headers of another server after a commit loses neither cookie nor no-store', async (t) => {
  const copy: Handler = async (ctx) => {
    ctx.session.set('user', 'ann')
    await ctx.session.commit()
    ctx.set({ 'Set-Cookie': ['upstream=1', 'sid=upstream'], 'Cache-Control': 'public, max-age=60' })
  }
  const client = await visitorOf(t, copy)
  const { setCookies, headers } = await client.get('/')
  t.deepEqual(
    setCookies.map((line) => line.split('=')[0]),
    ['upstream', 'sid'],
  )
  t.true(id(client.cookies.get('sid') ?? ''))
  t.is(headers.get('cache-control'), 'no-store')
})

test('a logout on the cookie engine holds although a handler sets other headers after it', async (t) => {
  const store = new CookieStore({ keys: [randomBytes(32)] })
  const routes: Handler = async (ctx) => {
    if (ctx.path === '/login') ctx.session.set('user', 'ann')
    if (ctx.path === '/logout') {
      await ctx.session.destroy()
      ctx.res.setHeader('Set-Cookie', 'other=1')
    }
  }
  const client = await visitorOf(t, routes, { store })
  await client.get('/login')
  t.true(client.cookies.has('sid'))
  await client.get('/logout')
  t.deepEqual([...client.cookies.keys()], ['other'])
})

test('a stream that is flushed in its handler, and an answer that is written by hand, have the headers', async (t) => {
  const stream = new PassThrough()
  const routes: Handler = async (ctx) => {
    ctx.session.set('user', 'ann')
    await ctx.session.commit()
    if (ctx.path === '/flush') {
      ctx.res.flushHeaders()
      ctx.body = stream
      stream.end('events')
    } else {
      ctx.respond = false
      ctx.res.writeHead(201, { 'Set-Cookie': 'other=1', 'Cache-Control': 'max-age=60' })
      ctx.res.end('by hand')
    }
  }
  const client = await visitorOf(t, routes)
  const flushed = await client.get('/flush')
  t.is(flushed.setCookies.length, 1)
  t.is(flushed.headers.get('cache-control'), 'no-store')
  const written = await client.clone().get('/hand', { headers: { cookie: 'sid=none' } })
  t.is(written.status, 201)
  t.deepEqual(
    written.setCookies.map((line) => line.split('=')[0]),
    ['other', 'sid'],
  )
  t.is(written.headers.get('cache-control'), 'no-store')
})

test('a cookie with a life of its own does not go out with answers that have not used the session', async (t) => {
  let now = Date.now()
  const routes: Handler = (ctx) => {
    if (ctx.path === '/write') ctx.session.set('user', 'ann')
    if (ctx.path === '/read') ctx.session.get('user')
  }
  const client = await visitorOf(t, routes, { cookie: { maxAge: 60_000 }, now: () => now })
  await client.get('/write')
  now += 30_000
  for (const path of ['/a.css', '/b.css', '/c.js']) {
    const { setCookies, headers } = await client.get(path)
    t.deepEqual([setCookies, headers.get('cache-control'), headers.get('vary')], [[], null, null])
  }
  t.is((await client.get('/read')).setCookies.length, 1)
  t.is((await client.get('/read')).setCookies.length, 0)
})

test('a cancelled HTTP/2 stream is not told to be a plain connection', async (t) => {
  const events: SessionEvent[] = []
  const app = new Koa()
  app.silent = true
  app.use(session({ cookie: { secure: true }, name: '__Host-sid', onEvent: (event) => events.push(event) }))
  const begun = new EventEmitter()
  app.use(async (ctx) => {
    ctx['session'].set('user', 'ann')
    begun.emit('begun')
    await once(ctx.res, 'close')
    begun.emit('closed')
  })
  app.proxy = true
  const callback = app.callback()
  const server = http2.createServer((req, res) => void callback(req, res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const client = http2.connect(`http://127.0.0.1:${port}`)
  t.teardown(() => {
    client.destroy()
    server.close()
  })
  const request = client.request({ ':path': '/', 'x-forwarded-proto': 'https' })
  request.on('error', () => {})
  await once(begun, 'begun')
  const closed = once(begun, 'closed')
  request.close(http2.constants.NGHTTP2_CANCEL)
  await closed
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.deepEqual(
    events.filter((event) => event.type === 'cookie-not-sent' && event.reason === 'not-secure'),
    [],
  )
})

test('a context without a response, such as that of a WebSocket, reads its session, and is told that a new one has no client', async (t) => {
  const events: SessionEvent[] = []
  const sessions = session({ onEvent: (event) => events.push(event) })
  const app = new Koa()
  const errors: unknown[] = []
  app.on('error', (error) => errors.push(error))
  const stored = sessions.manager.begin().set('user', 'ann')
  await stored.commit()
  const run = async (cookie: string, handler: (session: Session) => void): Promise<void> => {
    const req = { headers: { cookie }, url: '/', method: 'GET', socket: { encrypted: true } }
    const ctx = app.createContext(req as never, { getHeaderNames: () => [] } as never)
    Object.assign(ctx, { res: undefined, websocket: new EventEmitter() })
    await sessions(ctx as never, async () => handler((ctx as unknown as { session: Session }).session))
  }
  const seen: unknown[] = []
  await run(`sid=${stored.id}`, (held) => {
    seen.push(held.get('user'))
    held.set('seen', true)
  })
  t.deepEqual(seen, ['ann'])
  t.is((await sessions.manager.open(stored.id)).get('seen'), true)
  await run('', (held) => held.set('lost', 1))
  const told = events.filter((event) => event.type === 'cookie-not-sent')
  t.deepEqual(
    told.map(({ reason }) => reason),
    ['no-response'],
  )
  t.regex(String(errors[0]), /this context has no response/)
})

test('the sweep timer does not live in the context of the first request', async (t) => {
  const requests = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const memory = new MemoryStore()
  const swept = new EventEmitter()
  const store = new Proxy(memory, {
    get(target, name) {
      if (name === 'sweep')
        return async (limit: number): Promise<number> => {
          seen.push(requests.getStore())
          swept.emit('swept')
          return target.sweep(limit)
        }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  const manager = new SessionManager({ store, sweepInterval: 1 })
  t.teardown(async () => manager.close())
  const first = once(swept, 'swept')
  await requests.run('the first request', async () => manager.begin().set('n', 1).commit())
  await first
  t.deepEqual(seen.slice(0, 1), [undefined])
})

import { PassThrough, Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { session, SessionError, type Session } from '../../src/index.ts'
import { serve, type Client } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'

type Handler = (ctx: Koa.ParameterizedContext & { readonly session: Session }) => unknown

/** A client of an application with these routes, and its store. */
async function serveRoutes(
  t: ExecutionContext,
  routes: Readonly<Record<string, Handler>>,
): Promise<{ visitor: Client; store: SpiedStore }> {
  const store = new SpiedStore()
  const app = new Koa().use(session({ store })).use(async (ctx) => routes[ctx.path]?.(ctx))
  return { visitor: (await serve(t, app)).client(), store }
}

const count: Handler = ({ session }) => session.update('n', (n = 0) => n + 1)
const show: Handler = (ctx) => void (ctx.body = String(ctx.session.get('n')))

test('F22: answers without a body, 204, 304, a redirect and one to HEAD, carry the cookie, and what was changed is kept', async (t) => {
  const { visitor, store } = await serveRoutes(t, {
    '/204': (ctx) => {
      count(ctx)
      ctx.status = 204
    },
    '/304': (ctx) => {
      count(ctx)
      ctx.status = 200
      ctx.etag = 'one'
      if (ctx.fresh) ctx.status = 304
      else ctx.body = 'fresh'
    },
    '/redirect': (ctx) => {
      count(ctx)
      ctx.redirect('/')
    },
    '/head': (ctx) => {
      count(ctx)
      ctx.body = 'long'
    },
    '/n': show,
  })
  const inits: ReadonlyArray<readonly [path: string, init: RequestInit, status: number]> = [
    ['/204', {}, 204],
    ['/304', { headers: { 'if-none-match': '"one"', 'cache-control': 'max-age=9' } }, 304],
    ['/redirect', {}, 302],
    ['/head', { method: 'HEAD' }, 200],
  ]
  for (const [path, init, status] of inits) {
    const stranger = visitor.clone()
    const first = await stranger.get(path, init)
    t.is(first.status, status)
    t.is(first.setCookies.length, 1, `${path}: of a new session`)
    const second = await stranger.get(path, init)
    t.deepEqual([second.status, second.setCookies], [status, []], `${path}: of a session that is known`)
    t.is((await stranger.get('/n')).text, '2')
  }
  t.is(await store.count(), inits.length)
})

test('F22: the session of a stream of events is committed before the first one; what is set later throws', async (t) => {
  const events = new PassThrough()
  const held: Session[] = []
  const { visitor, store } = await serveRoutes(t, {
    '/events': (ctx) => {
      count(ctx)
      held.push(ctx.session)
      ctx.type = 'text/event-stream'
      ctx.body = events
    },
    '/n': show,
  })
  const answering = visitor.get('/events')
  while ((await store.count()) === 0) await new Promise(setImmediate)
  // The middleware ends a moment after the commit.
  await new Promise(setImmediate)
  const error = t.throws(() => held[0]?.set('n', 9), { instanceOf: SessionError })
  t.is(error.code, 'ERR_SESSION_STATE')
  events.end('data: 1\n\n')
  const { text, setCookies } = await answering
  t.deepEqual([text, setCookies.length], ['data: 1\n\n', 1])
  t.is((await visitor.get('/n')).text, '1')
})

test('F22: a body that breaks off takes back neither the cookie nor what was kept', async (t) => {
  const { visitor, store } = await serveRoutes(t, {
    '/broken': (ctx) => {
      count(ctx)
      ctx.body = Readable.from(
        (function* () {
          yield 'begin '
          throw new Error('broken')
        })(),
      )
    },
  })
  const answer = await visitor.get('/broken').catch(() => undefined)
  t.is(answer, undefined)
  t.is(await store.count(), 1)
  t.deepEqual(
    store.calls.filter((verb) => verb !== 'create'),
    [],
  )
})

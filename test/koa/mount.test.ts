import { once } from 'node:events'
import test from 'ava'
import Koa from 'koa'
import mount from 'koa-mount'
import { WebSocket, WebSocketServer } from 'ws'
import { session } from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { serve } from '../support/client.ts'

test('a sub-application under koa-mount uses the session of the outer one', async (t) => {
  const store = new MemoryStore()
  const sessions = session({ store })
  const inner = new Koa().use(sessions).use((ctx) => {
    ctx.body = String(ctx.session.update('n', (n = 0) => n + 1))
  })
  const outer = new Koa().use(sessions).use(async (ctx, next) => {
    ctx.session.set('outer', true)
    await next()
  })
  outer.use(mount('/inner', inner))
  const { client } = await serve(t, outer)
  const visitor = client()
  await visitor.get('/inner')
  const { text, setCookies } = await visitor.get('/inner')
  t.is(text, '2')
  t.deepEqual(setCookies, [])
  t.is(await store.count(), 1)
})

test('a sub-application with its own session middleware uses it, and the outer session is restored afterwards', async (t) => {
  const inner = new Koa().use(session({ name: 'inner_sid' })).use((ctx) => {
    ctx.session.set('who', 'inner')
    ctx.body = 'x'
  })
  const outer = new Koa().use(session({ name: 'outer_sid' })).use(async (ctx, next) => {
    ctx.session.set('who', 'outer')
    await next()
    ctx.body = ctx.session.get('who')
  })
  outer.use(mount('/inner', inner))
  const { client } = await serve(t, outer)
  const { text, setCookies } = await client().get('/inner')
  t.is(text, 'outer')
  t.deepEqual(setCookies.map((line) => line.split('=')[0]).toSorted(), ['inner_sid', 'outer_sid'])
})

test('security 59, F22: a WebSocket upgrade opens the session of its cookie, and commits it by itself', async (t) => {
  const sessions = session()
  const koa = new Koa().use(sessions).use((ctx) => {
    if (ctx.path === '/login') ctx.session.set('user', 'ann')
    ctx.body = ctx.session.get('messages') ?? 'none'
  })
  const { server, client } = await serve(t, koa)
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    void sessions.open(request).then(async (opened) => {
      const user = opened.get('user')
      if (user === undefined) return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
      opened.update('messages', (n = 0) => n + 1)
      await opened.commit()
      return sockets.handleUpgrade(request, socket, head, (ws) => ws.send(user))
    })
  })
  const visitor = client()
  const url = visitor.base.replace('http', 'ws')
  const stranger = new WebSocket(url)
  const [refused] = await once(stranger, 'unexpected-response').then(([, response]) => [response.statusCode])
  t.is(refused, 401)
  await visitor.get('/login')
  const socket = new WebSocket(url, { headers: { cookie: `sid=${visitor.cookies.get('sid')}` } })
  const [message] = await once(socket, 'message')
  t.is(String(message), 'ann')
  socket.close()
  await once(socket, 'close')
  t.is((await visitor.get('/')).text, '1')
})

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { WebSocket, WebSocketServer } from 'ws'
import { session, SessionError, type OpenRequestOptions, type SessionEvent } from '../../src/index.ts'
import { isFromOrigin } from '../../src/koa/origin.ts'
import { serve } from '../support/client.ts'

const OTHER = [
  'https://evil.example',
  'http://evil.example:8080',
  'null',
  '',
  'file://',
  'chrome-extension://abc',
  '%%',
]

test('security 59: without origins, a page may open the session of the host that it comes from, and no other page may', (t) => {
  const may = (origin: string | undefined, host: string | undefined, encrypted = false): boolean =>
    isFromOrigin(
      {
        headers: { ...(origin !== undefined && { origin }), ...(host !== undefined && { host }) },
        socket: { encrypted },
      },
      {},
    )
  t.true(may('https://shop.example', 'shop.example'))
  t.true(may('https://shop.example', 'shop.example:443'), 'a default port that is spelled out')
  t.true(may('http://shop.example', 'SHOP.example:80'))
  t.true(may('https://shop.example:8443', 'shop.example:8443'))
  t.true(may('https://[::1]:8443', '[::1]:8443'))
  t.true(may('https://shop.example', 'shop.example', true))
  t.true(may(undefined, 'shop.example'), 'no browser sends a WebSocket upgrade without Origin')
  t.false(
    may('http://shop.example', 'shop.example', true),
    'a page over plain HTTP, which a network can replace',
  )
  for (const origin of [
    ...OTHER,
    'https://shop.example.evil.example',
    'https://evilshop.example',
    'https://sub.shop.example',
    'https://shop.example:8443',
    'https://shop.example@evil.example',
    'https://evil.example/shop.example',
    'ftp://shop.example',
  ])
    t.false(may(origin, 'shop.example'), origin)
  for (const host of [undefined, '', 'evil.example', ':443', 'a b', 'shop.example, evil.example'])
    t.false(may('https://shop.example', host), host)
})

test('security 59: with origins, the pages of these origins may open the session, exactly as browsers spell them', (t) => {
  const headers = (origin: string): { headers: { origin: string; host: string } } => ({
    headers: { origin, host: 'shop.example' },
  })
  const origins = ['https://shop.example', 'https://app.example:8443', 'null']
  for (const origin of origins) t.true(isFromOrigin(headers(origin), { origins }), origin)
  for (const origin of [
    ...OTHER.filter((each) => each !== 'null'),
    'http://shop.example',
    'https://SHOP.example',
  ])
    t.false(isFromOrigin(headers(origin), { origins }), origin)
  t.false(isFromOrigin(headers('https://shop.example'), { origins: [] }), 'the list replaces the default')
  for (const origin of OTHER) t.true(isFromOrigin(headers(origin), { origins: 'any' }), origin)
})

test('origins that no browser sends, and settings that are not known, are refused by name', async (t) => {
  const sessions = session()
  const request = { headers: {} } as IncomingMessage
  for (const origins of [
    ['shop.example'],
    ['https://shop.example/'],
    ['https://shop.example:443'],
    ['https://shop.example/chat'],
    ['*'],
    'https://shop.example',
    [/shop/],
    {},
  ]) {
    const error = await t.throwsAsync(sessions.open(request, { origins } as OpenRequestOptions), {
      instanceOf: SessionError,
    })
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.regex(error.message, /open: origins: must be 'any' or a list/)
  }
  await t.throwsAsync(sessions.open(request, { origin: ['https://shop.example'] } as OpenRequestOptions), {
    code: 'ERR_SESSION_OPTIONS',
    message: /open: origin: is not a setting; there is only origins/,
  })
})

/** An application whose WebSockets greet the user of the session, and an answer to each attempt of a page to open one. */
async function chat(
  t: ExecutionContext,
  options?: OpenRequestOptions,
): Promise<{ attempt: (origin?: string) => Promise<unknown>; events: SessionEvent[]; base: string }> {
  const events: SessionEvent[] = []
  const sessions = session({ onEvent: (event) => events.push(event) })
  const koa = new Koa().use(sessions).use((ctx) => {
    ctx.session.set('user', 'ann')
    ctx.body = 'in'
  })
  const { server, client } = await serve(t, koa)
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    void sessions.open(request, options).then(
      (opened) => sockets.handleUpgrade(request, socket, head, (ws) => ws.send(String(opened.get('user')))),
      ({ status }) => socket.end(`HTTP/1.1 ${status} Refused\r\n\r\n`),
    )
  })
  const victim = client()
  await victim.get('/')
  const attempt = async (origin?: string): Promise<unknown> => {
    const cookie = `sid=${victim.cookies.get('sid')}`
    const socket = new WebSocket(victim.base.replace('http', 'ws'), {
      headers: { cookie },
      ...(origin && { origin }),
    })
    const [outcome] = await Promise.race([
      once(socket, 'message').then(([message]) => [String(message)]),
      once(socket, 'unexpected-response').then(([, response]) => [response.statusCode]),
    ])
    socket.on('error', () => {})
    socket.terminate()
    return outcome
  }
  return { attempt, events, base: victim.base }
}

test('security 59: a WebSocket that a page of another site opens with the cookie of its visitor is refused, and reported', async (t) => {
  const { attempt, events, base } = await chat(t)
  t.is(await attempt('https://evil.example'), 403)
  t.is(events.filter(({ type }) => type === 'origin-refused').length, 1)
  t.is(await attempt(base), 'ann')
  t.is(await attempt(), 'ann')
  t.is(events.filter(({ type }) => type === 'origin-refused').length, 1)
})

test('security 59: origins lets the pages of other hosts open a WebSocket, as behind a proxy that changes Host', async (t) => {
  const { attempt, base } = await chat(t, { origins: ['https://shop.example'] })
  t.is(await attempt('https://shop.example'), 'ann')
  t.is(await attempt('https://evil.example'), 403)
  t.is(await attempt(base), 403)
})

test('security 59: the host of an HTTP/2 request is compared too', async (t) => {
  const sessions = session()
  const server = createHttp2Server((request, response) => {
    void sessions.open(request as unknown as IncomingMessage).then(
      () => response.end('open'),
      () => response.end('refused'),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const base = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  const client = connectHttp2(base)
  t.teardown(() => {
    client.close()
    server.close()
  })
  for (const [origin, expected] of [
    [base, 'open'],
    ['https://evil.example', 'refused'],
  ] as const) {
    const stream = client.request({ ':path': '/', origin })
    let text = ''
    for await (const chunk of stream) text += String(chunk)
    t.is(text, expected)
  }
})

import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { session, type SessionEvent, type SessionOptions } from '../../src/index.ts'
import { serve, type Client } from '../support/client.ts'

/** An application whose routes throw `thrown`: `/write` after it has written to the session, any other path before. */
async function thrower(
  t: ExecutionContext,
  thrown: unknown,
  options: SessionOptions = {},
): Promise<{ client: () => Client; logged: string[]; events: SessionEvent[] }> {
  const logged: string[] = []
  const events: SessionEvent[] = []
  const app = new Koa()
  app.on('error', (error: unknown) => logged.push(inspect(error, { depth: 9, showHidden: true })))
  app.use(session({ ...options, onEvent: (event) => events.push(event) }))
  app.use((ctx) => {
    if (ctx.path === '/write') ctx['session'].set('user', 'ann')
    throw thrown
  })
  return { client: (await serve(t, app)).client, logged, events }
}

function notFound(more: object = {}): Error {
  return Object.assign(new Error('nothing there'), { status: 404, expose: true, ...more })
}

test('security 40: an error object that is thrown to several clients carries the cookie of none to another', async (t) => {
  const error = notFound({ headers: { 'X-Own': '1' } })
  const { client } = await thrower(t, error)
  const [ann, bob, stranger] = [client(), client(), client()]
  const answers = await Promise.all([ann.get('/write'), bob.get('/write'), stranger.get('/')])
  t.deepEqual(
    answers.map(({ setCookies, status }) => [status, setCookies.length]),
    [
      [404, 1],
      [404, 1],
      [404, 0],
    ],
  )
  t.not(ann.cookies.get('sid'), bob.cookies.get('sid'))
  const later = await stranger.get('/')
  t.deepEqual([later.setCookies, later.headers.get('cache-control')], [[], null])
  t.is(later.headers.get('x-own'), '1')
  t.deepEqual(Object.getOwnPropertyDescriptor(error, 'headers')?.value, { 'X-Own': '1' })
})

test('security 38: who logs an error does not log the ID that its answer carries', async (t) => {
  const { client, logged } = await thrower(t, notFound())
  const visitor = client()
  await visitor.get('/write')
  const id = visitor.cookies.get('sid') ?? ''
  t.is(id.length, 43)
  t.is(logged.length, 1)
  t.false(logged.some((text) => text.includes(id)))
})

test('security 37: what the error itself says of caching joins what the session says', async (t) => {
  const { client } = await thrower(t, notFound({ headers: { Vary: 'Origin', 'Cache-Control': 'max-age=5' } }))
  const { headers } = await client().get('/write')
  t.deepEqual([headers.get('vary'), headers.get('cache-control')], ['Origin, Cookie', 'no-store'])
})

test('security 34: the cookies of two sessions of one request go with its error', async (t) => {
  const app = new Koa().use(session({ name: 'one' })).use(session({ name: 'two', property: 'other' }))
  app.use((ctx) => {
    ctx['session'].set('a', 1)
    ctx['other'].set('b', 2)
    ctx.throw(400)
  })
  const visitor = (await serve(t, app)).client()
  const { setCookies } = await visitor.get('/')
  t.deepEqual(setCookies.map((line) => line.split('=')[0]).toSorted(), ['one', 'two'])
})

for (const [what, thrown] of Object.entries({
  text: 'not an error',
  'an error that takes nothing': Object.preventExtensions(notFound()),
})) {
  test(`security 54: the answer to ${what} carries the cookie of a session that was stored`, async (t) => {
    const { client, events } = await thrower(t, thrown, { commitOnError: true })
    t.deepEqual((await client().get('/')).setCookies, [])
    const visitor = client()
    const { setCookies, headers } = await visitor.get('/write')
    t.is(setCookies.length, 1)
    t.is(headers.get('cache-control'), 'no-store')
    t.false(events.some(({ type }) => type === 'cookie-not-sent'))
    t.deepEqual((await visitor.get('/write')).setCookies, [])
  })
}

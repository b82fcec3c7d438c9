import test from 'ava'
import Koa from 'koa'
import { session, SessionError, type Limits, type Session } from '../../src/index.ts'
import { serve } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'

const bytesOf = async (values: Record<string, unknown>): Promise<number> => {
  const store = new SpiedStore()
  const { manager } = session({ store })
  const begun = manager.begin()
  for (const [key, value] of Object.entries(values)) begun.set(key, value)
  await manager.commit(begun)
  const [key = ''] = store.keys
  return Buffer.byteLength((await store.inner.read(key))?.payload ?? '')
}

const large = { text: 'ä'.repeat(1_000) }
const cases: readonly {
  title: string
  limits: Partial<Limits>
  fits: (session: Session) => unknown
  exceeds: (session: Session) => unknown
  message: RegExp
}[] = [
  {
    title: 'bytes of a session, counted in UTF-8',
    limits: { bytes: await bytesOf(large) },
    fits: (session) => session.set('text', large.text),
    exceeds: (session) => session.set('text', `${large.text}x`),
    message: /larger than its limit of bytes/,
  },
  {
    title: 'bytes of a key, counted in UTF-8 as it is written',
    limits: { keyBytes: 'J ""'.length + 200 },
    fits: (session) => session.set('cart', 'ä'.repeat(100)),
    exceeds: (session) => session.set('cart', `${'ä'.repeat(100)}x`),
    message: /^cart: the value has more bytes than its limit/,
  },
  {
    title: 'keys',
    limits: { keys: 3 },
    fits: (session) => session.set('a', 1).set('b', 1).set('c', 1),
    exceeds: (session) => session.set('a', 1).set('b', 1).set('c', 1).set('d', 1),
    message: /too many keys/,
  },
  {
    title: 'length of a key',
    limits: { keyLength: 5 },
    fits: (session) => session.set('k'.repeat(5), 1),
    exceeds: (session) => session.set('k'.repeat(6), 1),
    message: /key is 6 characters long; at most 5/,
  },
]

for (const { title, limits, fits, exceeds, message } of cases) {
  test(`F17, security 49: ${title}: exactly the limit is stored, one more is an error before the headers are sent`, async (t) => {
    const store = new SpiedStore()
    const errors: unknown[] = []
    const koa = new Koa()
    koa.on('error', (error) => errors.push(error))
    koa.use(session({ store, limits })).use((ctx) => {
      if (ctx.path === '/fits') fits(ctx.session)
      if (ctx.path === '/exceeds') exceeds(ctx.session)
      ctx.body = [...ctx.session.keys()]
    })
    const visitor = (await serve(t, koa)).client()

    const refused = await visitor.get('/exceeds')
    t.deepEqual([refused.status, refused.setCookies], [500, []])
    t.is(await store.count(), 0)

    t.is((await visitor.get('/fits')).status, 200)
    t.is(await store.count(), 1)
    const [key = ''] = store.keys // the refused session did not get as far as the store
    const before = await store.inner.read(key)
    t.is((await visitor.get('/exceeds')).status, 500)
    t.is((await store.inner.read(key))?.payload, before?.payload)
    t.is(errors.length, 2)
    for (const error of errors) {
      t.true(error instanceof SessionError && error.code === 'ERR_SESSION_LIMIT')
      t.regex(error instanceof Error ? error.message : '', message)
    }
  })
}

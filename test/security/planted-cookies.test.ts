import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import Koa, { type DefaultState } from 'koa'
import { session, type SessionContext, type SessionEvent } from '../../src/index.ts'
import type { Store } from '../../src/store.ts'
import { CookieStore } from '../../src/stores/cookie.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { serve, type Client } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'

const stores: Readonly<Record<string, () => Store>> = {
  memory: () => new MemoryStore(),
  cookie: () => new CookieStore({ keys: [randomBytes(32)] }),
}
const UNKNOWN = Buffer.alloc(32, 7).toString('base64url')

async function world(
  t: ExecutionContext,
  store: Store,
  now: () => number = Date.now,
): Promise<{
  client: () => Client
  login: (user: string) => Promise<string>
  reports: () => number
  events: readonly SessionEvent[]
}> {
  const events: SessionEvent[] = []
  const app = new Koa<DefaultState, SessionContext>().use(
    session({ store, now, onEvent: (event) => events.push(event) }),
  )
  app.use((ctx) => {
    if (ctx.path === '/login') ctx.session.set('user', ctx.query['as'])
    ctx.body = String(ctx.session.get('user'))
  })
  const { client } = await serve(t, app)
  const login = async (user: string): Promise<string> => {
    const visitor = client()
    await visitor.get(`/login?as=${user}`)
    return `sid=${visitor.cookies.get('sid')}`
  }
  return {
    client,
    login,
    events,
    reports: () => events.filter(({ type }) => type === 'several-sessions').length,
  }
}

for (const [name, open] of Object.entries(stores)) {
  test(`security 9: two cookies that both open a session of the ${name} store are reported, and the first one is used`, async (t) => {
    const { client, login, reports, events } = await world(t, open())
    const [ann, eve] = [await login('ann'), await login('eve')]
    const user = async (cookie: string): Promise<string> =>
      (await client().get('/', { headers: { cookie } })).text
    t.is(await user(`${ann}; ${eve}`), 'ann')
    t.is(reports(), 1)
    const [report] = events.filter(({ type }) => type === 'several-sessions')
    const handles = events.flatMap((event) => (event.type === 'created' ? [event.handle] : []))
    t.deepEqual(report, {
      type: 'several-sessions',
      handle: handles[0],
      other: handles[1],
    } as unknown as SessionEvent)
    t.is(await user(`${eve}; ${ann}`), 'eve')
    t.is(reports(), 2)
    t.is(await user(`${ann}; sid=${UNKNOWN}; ${eve}`), 'ann')
    t.is(reports(), 3)
    for (const cookie of [
      ann,
      `${ann}; ${ann}`,
      `sid=${UNKNOWN}; ${ann}`,
      `${ann}; sid=${UNKNOWN}`,
      `${ann}; sid=x`,
    ])
      t.is(await user(cookie), 'ann', cookie)
    t.is(reports(), 3, 'one session is no news')
  })
}

test('security 9: cookies of our name that hold no ID, and copies of one, do not use up the three IDs that are tried', async (t) => {
  const store = new SpiedStore()
  const { client, login } = await world(t, store)
  const ann = await login('ann')
  const unknown = (fill: number): string => `sid=${Buffer.alloc(32, fill).toString('base64url')}`
  const user = async (...cookies: readonly string[]): Promise<string> =>
    (await client().get('/', { headers: { cookie: cookies.join('; ') } })).text
  const foreign = ['sid=', 'sid=x', 'sid=s%3Aabc.def', `sid=${'a'.repeat(200)}`, 'sid=a.b', 'sid="quoted"']
  t.is(await user(...foreign, ann), 'ann')
  t.is(await user(...Array<string>(20).fill(unknown(1)), ann), 'ann')
  t.is(await user(unknown(1), ...foreign, unknown(2), ...foreign, ann), 'ann')
  store.calls.length = 0
  t.is(await user(...Array.from({ length: 100 }, (_, at) => unknown(at)), ann), 'undefined')
  t.deepEqual(store.calls, ['read', 'read', 'read'])
})

test('security 9: whether a second cookie opens a session is asked once, and extends no life', async (t) => {
  let time = 1_000_000
  const now = (): number => time
  const store = new SpiedStore(now)
  const { client, login, reports } = await world(t, store, now)
  const cookies = [await login('ann'), await login('eve')]
  const ends = async (): Promise<unknown> =>
    Promise.all([...store.keys].map(async (key) => (await store.inner.read(key))?.expiresAt))
  const [ann, eve] = [3_600_000 + time, 3_600_000 + time]
  t.deepEqual(await ends(), [ann, eve])
  store.calls.length = 0
  time += 1_800_000
  t.is((await client().get('/', { headers: { cookie: cookies.join('; ') } })).text, 'ann')
  t.is(reports(), 1)
  t.deepEqual(store.calls, ['read', 'read'])
  t.deepEqual(await ends(), [ann + 1_800_000, eve])
})

test('security 9: a store that fails while it is asked for the second session fails no request', async (t) => {
  const store = new SpiedStore()
  const { client, login, reports } = await world(t, store)
  const cookie = `${await login('ann')}; ${await login('eve')}`
  store.calls.length = 0
  store.before = () => {
    if (store.calls.length > 1) throw new Error('down')
  }
  const { status, text } = await client().get('/', { headers: { cookie } })
  t.deepEqual([status, text, reports()], [200, 'ann', 0])
})

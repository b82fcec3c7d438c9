import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import {
  session,
  SessionManager,
  type ManagerOptions,
  type Session,
  type SessionEvent,
  type SessionOptions,
} from '../../../src/index.ts'
import { stateOf } from '../../../src/session/session.ts'
import { serve, type Client } from '../../support/client.ts'
import { SpiedStore } from '../../support/spied-store.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const GRACE = 30_000
const defaults = { rotateAfter: 4 * MINUTE, idleTimeout: HOUR, sweepInterval: 0 }

interface Backend {
  clock: { now: number }
  store: SpiedStore
  events: SessionEvent[]
  options: ManagerOptions<undefined>
}

function backend(options: ManagerOptions<undefined> = {}): Backend {
  const clock = { now: Date.UTC(2026, 0, 1) }
  const store = new SpiedStore(() => clock.now)
  const events: SessionEvent[] = []
  const now = (): number => clock.now
  const onEvent = (event: SessionEvent): void => void events.push(event)
  return { clock, store, events, options: { ...defaults, store, now, onEvent, ...options } }
}

type Handler = (ctx: Context & { session: Session }) => unknown
interface App extends Backend {
  visitor: Client
  manager: SessionManager
}

/** An application, and a visitor whose session is old enough for a new ID. */
async function app(
  t: ExecutionContext,
  routes: Record<string, Handler>,
  options: SessionOptions<undefined, 'session'> = {},
): Promise<App> {
  const behind = backend()
  const sessions = session({ ...behind.options, ...options })
  const koa = new Koa()
  koa.use(sessions).use(async (ctx) => {
    if (ctx.path === '/login') ctx.session.set('user', 'ann')
    const body = await routes[ctx.path]?.(ctx)
    if (ctx.respond !== false) ctx.body ??= { user: ctx.session.get('user') ?? null, body: body ?? null }
  })
  const visitor = (await serve(t, koa)).client()
  await visitor.get('/login')
  behind.clock.now += defaults.rotateAfter
  behind.store.calls.length = 0
  return { ...behind, visitor, manager: sessions.manager }
}

const userOf = async (client: Client, path = '/'): Promise<unknown> =>
  Reflect.get(JSON.parse((await client.get(path)).text), 'user')
const told = ({ events }: Backend, type: SessionEvent['type']): number =>
  events.filter((event) => event.type === type).length

/** A session that is due, opened as a request does whose response can carry a new ID. */
async function due(manager: SessionManager, id: string): Promise<Session> {
  const opened = await manager.open(id)
  stateOf(opened).respondBy({
    update() {},
    canRotate: () => true,
    repeats: () => false,
    isDisconnected: () => false,
  })
  return opened
}

/** A session opened twice: by one request that will end it, and later by one that is due to renew its ID. */
async function leaving(): Promise<{
  behind: Backend
  manager: SessionManager
  id: string
  leaver: Session
  used: Session
}> {
  const behind = backend()
  const manager = new SessionManager(behind.options)
  const id = await login(manager)
  const leaver = await manager.open(id)
  behind.clock.now += defaults.rotateAfter
  return { behind, manager, id, leaver, used: await due(manager, id) }
}

async function login(manager: SessionManager): Promise<string> {
  const begun = manager.begin().set('user', 'ann').set('n', 0)
  await manager.commit(begun)
  return begun.id
}

test('a session whose ID is older than rotateAfter has a new one with the next response', async (t) => {
  const { visitor, clock, store, ...behind } = await app(t, {})
  const before = visitor.cookies.get('sid')
  clock.now -= 1
  t.deepEqual((await visitor.get('/')).setCookies, [])
  clock.now += 1
  const { setCookies, headers } = await visitor.get('/')
  t.is(setCookies.length, 1)
  t.is(headers.get('cache-control'), 'no-store')
  t.not(visitor.cookies.get('sid'), before)
  t.is(told({ ...behind, clock, store }, 'rotated'), 1)
  t.deepEqual(store.calls, ['read', 'read', 'create', 'replace', 'read', 'create'])
  t.deepEqual((await visitor.get('/')).setCookies, [])
  clock.now += defaults.rotateAfter
  t.is((await visitor.get('/')).setCookies.length, 1)
  t.is(await userOf(visitor), 'ann')
})

test('without rotateAfter an ID stays for as long as its session, and no payload is longer for it', async (t) => {
  const { store, clock, options } = backend()
  const { rotateAfter: _, ...without } = options
  const manager = new SessionManager(without)
  const begun = await due(manager, await login(manager))
  await manager.regenerate(begun)
  clock.now += HOUR - 1
  const used = await due(manager, begun.id)
  await manager.commit(used)
  t.is(used.id, begun.id)
  const payloads = await Promise.all([...store.keys].map(async (key) => store.inner.read(key)))
  t.notRegex(payloads.map((entry) => entry?.payload ?? '').join(''), /issued=/)
})

test('security 15: a burst of 20 requests around a renewal: nobody is logged out, no write is lost, one cookie', async (t) => {
  let waiting = 0
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => (release = resolve))
  const write: Handler = ({ session, query }) => {
    session.set(`key${String(query['n'])}`, true)
    session.update('n', (n = 0) => n + 1)
  }
  const { visitor, store } = await app(t, {
    '/together': async (ctx) => {
      waiting += 1
      if (waiting === 20) release()
      await gate
      write(ctx)
    },
    '/after': write,
    '/all': ({ session }) => [session.size, session.get('n')],
  })
  const old = visitor.clone()
  // Twenty that began before it, and twenty that come with the old cookie after it.
  const together = Array.from({ length: 20 }, async (_, n) => visitor.clone().get(`/together?n=${n}`))
  const answers = await Promise.all(together)
  t.is(store.calls.filter((verb) => verb === 'create').length, 2) // the others leave it to one of them
  answers.push(
    ...(await Promise.all(Array.from({ length: 20 }, async (_, n) => old.clone().get(`/after?n=${n + 20}`)))),
  )
  t.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.deepEqual(new Set(answers.map(({ text }) => Reflect.get(JSON.parse(text), 'user'))), new Set(['ann']))
  const cookies = answers.flatMap(({ setCookies }) => setCookies)
  t.is(cookies.length, 1)
  visitor.cookies.set('sid', /^sid=([^;]+)/.exec(cookies[0] ?? '')?.[1] ?? '')
  t.not(visitor.cookies.get('sid'), old.cookies.get('sid'))
  t.is((await visitor.get('/all')).text, '{"user":"ann","body":[42,40]}')
  t.is(await store.count(), 3) // the session, the way to it, and its trail
})

test('security 15: after the grace a retired ID is a stranger, nothing revives it, and an event tells each time', async (t) => {
  const behind = await app(t, { '/write': ({ session }) => void session.set('user', 'eve') })
  const { visitor, clock, store, manager } = behind
  const thief = visitor.clone()
  const retired = visitor.cookies.get('sid') ?? ''
  await visitor.get('/')
  clock.now += GRACE - 1
  t.is(await userOf(thief), 'ann')
  t.is(told(behind, 'retired-id'), 0)
  clock.now += 1 // the grace is over
  t.is(await userOf(thief), null)
  t.is(told(behind, 'retired-id'), 1)
  clock.now += 1
  t.is(await userOf(thief.clone(), '/write'), 'eve') // a session of the thief's own
  t.is(told(behind, 'retired-id'), 2)
  t.is(await userOf(visitor), 'ann')
  t.is(await manager.find(retired), undefined)
  clock.now += HOUR - 1
  t.is(await manager.find(retired), undefined) // late use is noticed for as long as the idle timeout
  t.is(told(behind, 'retired-id'), 4)
  t.false(store.calls.includes('touch'))
})

test('the way to a renewed session ends with its absolute timeout, however often somebody comes along', async (t) => {
  const behind = backend({ absoluteTimeout: 4 * HOUR })
  const manager = new SessionManager(behind.options)
  const id = await login(manager)
  const born = behind.clock.now
  behind.clock.now += defaults.rotateAfter
  await manager.commit(await due(manager, id))
  behind.clock.now += GRACE
  while (behind.clock.now < born + 4 * HOUR) {
    t.is(await manager.find(id), undefined)
    behind.clock.now += HOUR / 2
  }
  t.is(await manager.find(id), undefined)
  t.is(await behind.store.count(), 0)
})

test('security 16: renewals do not extend the absolute timeout', async (t) => {
  const behind = backend({ absoluteTimeout: 3 * HOUR })
  const manager = new SessionManager(behind.options)
  const born = behind.clock.now
  let id = await login(manager)
  const ids = new Set([id])
  while (behind.clock.now + 20 * MINUTE < born + 3 * HOUR) {
    behind.clock.now += 20 * MINUTE
    const used = await due(manager, id)
    t.is(used.get('user'), 'ann')
    await manager.commit(used)
    t.true(used.expiresAt <= born + 3 * HOUR)
    id = used.id
    ids.add(id)
  }
  t.is(ids.size, 9)
  behind.clock.now = born + 3 * HOUR
  t.is(await manager.find(id), undefined)
})

test('security 14: whatever fails in a renewal, the session is there, once, for who holds the ID that the response told', async (t) => {
  for (const when of ['before', 'after'] as const) {
    for (const lost of [1, 2, Infinity]) {
      for (let step = 0; step < 6; step += 1) {
        const title = `${when} step ${step}, ${lost} times`
        const behind = backend()
        const { clock, store } = behind
        const manager = new SessionManager(behind.options)
        const id = await login(manager)
        clock.now += defaults.rotateAfter
        const used = await due(manager, id)
        used.update('n', (n = 0) => n + 1)
        let steps = 0
        store[when] = () => {
          steps += 1
          if (steps > step && steps <= step + lost) throw new Error('cut')
        }
        const outcome = await manager.commit(used).catch(() => 'failed')
        store[when] = () => {}
        const held = outcome === 'ok' ? used.id : id
        const later = new SessionManager(behind.options) // the store is well again
        const found = await later.find(held)
        t.is(found?.get('user'), 'ann', title)
        if (outcome === 'ok') t.is(found?.get('n'), 1, title)
        // No other record is reached by an ID that anybody holds; what is left over is the way, or reached by none.
        const other = await later.find(held === id ? used.id : id)
        if (other !== undefined && found !== undefined) {
          other.set('same', true)
          await later.commit(other)
          t.true((await later.find(held))?.has('same'), title)
        }
      }
    }
  }
})

test('F5: a renewal that took place although its answers were lost is told to the client', async (t) => {
  const behind = backend()
  const manager = new SessionManager(behind.options)
  const id = await login(manager)
  behind.clock.now += defaults.rotateAfter
  const used = await due(manager, id)
  let lost = 2 // of the write, and of the look whether it was applied
  behind.store.after = (verb) => {
    if (verb !== 'create' && lost-- > 0) throw new Error('cut')
  }
  t.is(await manager.commit(used), 'ok')
  t.not(used.id, id)
  t.is((await manager.open(used.id)).get('user'), 'ann')
})

test('two renewals at once leave one successor, and both requests keep their changes', async (t) => {
  for (const step of ['together', 'create', 'replace'] as const) {
    const behind = backend()
    const [one, two] = [new SessionManager(behind.options), new SessionManager(behind.options)]
    const id = await login(one)
    behind.clock.now += defaults.rotateAfter
    const mine = await due(one, id)
    const theirs = await due(two, id)
    for (const each of [mine, theirs]) each.update('n', (n = 0) => n + 1)
    let interfered = false
    let other: Promise<unknown> | undefined
    behind.store.before = async (verb) => {
      if (verb !== step || interfered) return
      interfered = true
      other = two.commit(theirs)
      await other
    }
    const outcome = one.commit(mine)
    if (step === 'together') other = two.commit(theirs)
    t.deepEqual([await outcome, await other], ['ok', 'ok'], step)
    t.is(told(behind, 'rotated'), 1)
    const ids = new Set([mine.id, theirs.id])
    t.is(ids.size, 2)
    t.true(ids.has(id)) // who lost keeps the ID it came with, and so tells the client nothing
    for (const each of ids) t.is((await one.open(each)).get('n'), 2)
    t.is(await behind.store.count(), 3)
  }
})

test('a request that began before the renewal goes along, even after the grace', async (t) => {
  const behind = backend()
  const manager = new SessionManager(behind.options)
  const id = await login(manager)
  const slow = await manager.open(id)
  const claimer = await manager.open(id)
  const leaver = await manager.open(id)
  behind.clock.now += defaults.rotateAfter
  const used = await due(manager, id)
  await manager.commit(used)
  behind.clock.now += GRACE
  slow.update('n', (n = 0) => n + 1)
  t.is(await manager.commit(slow), 'ok')
  t.is(await claimer.claim('n'), 1)
  t.false((await manager.open(used.id)).has('n'))
  await leaver.destroy()
  t.is(await manager.find(used.id), undefined)
})

for (const who of [
  'by a request that began before',
  'by the retired ID',
  'by a job that knows the retired ID',
] as const) {
  test(`security 23: a logout ${who} ends the session under its new ID too`, async (t) => {
    const behind = backend()
    const manager = new SessionManager(behind.options)
    const id = await login(manager)
    const early = await manager.open(id)
    behind.clock.now += defaults.rotateAfter
    const used = await due(manager, id)
    await manager.commit(used)
    t.not(used.id, id)
    if (who === 'by a request that began before') await early.destroy()
    else if (who === 'by the retired ID') await (await manager.open(id)).destroy()
    else await manager.destroy(id)
    t.is(await manager.find(used.id), undefined)
    t.is(await manager.find(id), undefined)
    used.set('late', true)
    t.is(await manager.commit(used), 'gone')
  })
}

test('security 24: a logout between any two steps of a renewal ends the session, and no step of either is undone', async (t) => {
  for (let step = 0; step < 4; step += 1) {
    const { behind, manager, id, leaver, used } = await leaving()
    used.set('late', true)
    let steps = 0
    const interfere = async (): Promise<void> => {
      if (steps++ !== step) return
      await leaver.destroy()
    }
    behind.store.before = interfere
    const outcome = await manager.commit(used)
    t.is(outcome, step < 3 ? 'gone' : 'ok', String(step))
    behind.store.before = () => {}
    if (outcome === 'ok') await leaver.destroy()
    for (const each of [id, used.id]) t.is(await manager.find(each), undefined, String(step))
  }
})

test('a renewal between any two steps of a logout does not save the session', async (t) => {
  for (let step = 0; step < 6; step += 1) {
    const { behind, manager, id, leaver, used } = await leaving()
    const other = await manager.open(id)
    other.set('other', true)
    await manager.commit(other) // so that the logout has to look again
    let steps = 0
    behind.store.before = async () => {
      if (steps++ === step) await manager.commit(used)
    }
    await leaver.destroy()
    behind.store.before = () => {}
    for (const each of [id, used.id]) t.is(await manager.find(each), undefined, String(step))
  }
})

test('regenerate by a request with a retired ID gives a new one, and kills both others at once', async (t) => {
  const { visitor, manager } = await app(t, { '/admin': ({ session }) => session.regenerate() })
  const late = visitor.clone()
  const retired = late.cookies.get('sid')
  await visitor.get('/')
  t.is((await late.get('/admin')).setCookies.length, 1)
  t.not(late.cookies.get('sid'), retired)
  t.is(await userOf(late), 'ann')
  t.is(await manager.find(visitor.cookies.get('sid')), undefined)
  t.is(await manager.find(retired), undefined)
})

test('regenerate itself leaves no way behind, also when a renewal is due, or gets in between', async (t) => {
  const { visitor, manager, store } = await app(t, { '/admin': ({ session }) => session.regenerate() })
  const before = visitor.cookies.get('sid')
  await visitor.get('/admin')
  t.is(await manager.find(before), undefined)
  t.is(await store.count(), 2, 'the old record says to requests under way that the session has moved')

  const behind = backend()
  const jobs = new SessionManager(behind.options)
  const id = await login(jobs)
  behind.clock.now += defaults.rotateAfter
  const admin = await jobs.open(id)
  const used = await due(jobs, id)
  await jobs.commit(used)
  t.is(await jobs.regenerate(admin), 'ok')
  t.is((await jobs.open(admin.id)).get('user'), 'ann')
  for (const each of [id, used.id]) t.is(await jobs.find(each), undefined)
})

test('a request with a retired ID sends no cookie, not even to refresh one that lasts', async (t) => {
  const { visitor } = await app(
    t,
    { '/longer': ({ session }) => void (session.maxAge = 2 * HOUR) },
    { cookie: { maxAge: HOUR } },
  )
  const late = visitor.clone()
  await visitor.get('/')
  t.deepEqual((await late.get('/')).setCookies, [])
  t.deepEqual((await late.get('/longer')).setCookies, [])
  t.regex((await visitor.get('/')).setCookies[0] ?? '', /Max-Age=7200/)
})

test('a logout by a request with a retired ID removes the cookie', async (t) => {
  const { visitor } = await app(t, { '/logout': async ({ session }) => session.destroy() })
  const late = visitor.clone()
  await visitor.get('/')
  t.regex((await late.get('/logout')).setCookies[0] ?? '', /Max-Age=0/)
  t.is(await userOf(visitor), null)
})

test('an ID is renewed only where the response carries the new one to who holds the old one', async (t) => {
  const outcomes: Record<string, boolean> = {}
  const attempt = async (
    title: string,
    { visitor, store }: App,
    path = '/',
    init?: RequestInit,
  ): Promise<void> => {
    await visitor.get(path, init)
    outcomes[title] = store.calls.includes('create')
  }
  const sent: Handler = (ctx) => {
    ctx.respond = false
    ctx.res.writeHead(200).end('sent')
  }
  await attempt('cookie', await app(t, {}))
  const byHeader = await app(t, {}, { header: 'X-Session-ID' })
  const id = byHeader.visitor.cookies.get('sid') ?? ''
  byHeader.visitor.cookies.clear()
  await attempt('header', byHeader, '/', { headers: { 'x-session-id': id } })
  const byQuery = await app(t, {}, { query: 'sid' })
  const inQuery = byQuery.visitor.cookies.get('sid') ?? ''
  byQuery.visitor.cookies.clear()
  await attempt('query', byQuery, `/?sid=${inQuery}`)
  await attempt('headers sent', await app(t, { '/sent': sent }), '/sent')
  await attempt('passive', await app(t, {}, { passive: () => true }))
  await attempt('prefetch', await app(t, {}), '/', { headers: { 'sec-purpose': 'prefetch' } })
  const jobs = await app(t, {})
  const job = await jobs.manager.open(jobs.visitor.cookies.get('sid'))
  await job.commit()
  outcomes['open()'] = jobs.store.calls.includes('create')
  t.deepEqual(outcomes, {
    cookie: true,
    header: true,
    query: false,
    'headers sent': false,
    passive: false,
    prefetch: false,
    'open()': false,
  })
})

test('a stream gets its new ID with an early commit, and an error for the client takes it along', async (t) => {
  const { visitor, clock } = await app(t, {
    '/stream': async (ctx) => {
      ctx.respond = false
      await ctx.session.commit()
      ctx.res.end('streamed')
    },
    '/refuse': (ctx) => ctx.throw(403),
  })
  for (const path of ['/stream', '/refuse']) {
    const { setCookies } = await visitor.get(path)
    t.is(setCookies.length, 1, path)
    t.is(await userOf(visitor), 'ann')
    clock.now += defaults.rotateAfter
  }
})

test('a session as large as its limit stays as it is when its new record would be larger', async (t) => {
  const sized = backend()
  const sizes = new SessionManager(sized.options)
  await login(sizes)
  const [key = ''] = sized.store.keys
  const bytes = Buffer.byteLength((await sized.store.inner.read(key))?.payload ?? '')

  const behind = backend({ limits: { bytes } })
  const manager = new SessionManager(behind.options)
  const id = await login(manager)
  behind.clock.now += defaults.rotateAfter
  const used = await due(manager, id)
  t.is(await manager.commit(used), 'ok')
  t.is(used.id, id)
  t.is((await manager.open(id)).get('user'), 'ann')
})

test('sealed at rest, the way leads on as well, and shows nobody where to', async (t) => {
  const behind = backend({ seal: { keys: [randomBytes(32)] } })
  const manager = new SessionManager(behind.options)
  const id = await login(manager)
  behind.clock.now += defaults.rotateAfter
  const used = await due(manager, id)
  await manager.commit(used)
  t.not(used.id, id)
  t.is((await manager.open(id)).get('user'), 'ann')
  const stored = await Promise.all([...behind.store.keys].map(async (key) => behind.store.inner.read(key)))
  for (const key of behind.store.keys) t.false(stored.some((entry) => entry?.payload.includes(key)))
})

test('an ID that a wrong clock has issued in the future is renewed as well', async (t) => {
  const behind = backend({ absoluteTimeout: 400 * 24 * HOUR })
  const manager = new SessionManager(behind.options)
  behind.clock.now += 24 * HOUR
  const begun = await login(manager)
  const moved = await manager.open(await login(manager))
  await manager.regenerate(moved)
  behind.clock.now -= 24 * HOUR
  const ids: string[] = []
  for (const id of [begun, moved.id]) {
    const seen = await due(manager, id)
    await manager.commit(seen)
    ids.push(seen.id)
  }
  t.not(ids[1], moved.id) // the other one begins now, as far as we know
  behind.clock.now += defaults.rotateAfter
  for (const id of ids) {
    const used = await due(manager, id)
    t.is(used.get('user'), 'ann')
    await manager.commit(used)
    t.not(used.id, id)
  }
})

test('a grace that is not shorter than rotateAfter is refused', (t) => {
  t.throws(() => new SessionManager({ rotateAfter: 30_000 }), {
    message: /rotateGrace: is not shorter than rotateAfter/,
  })
  t.notThrows(() => new SessionManager({ rotateAfter: 1, rotateGrace: 0 }))
})

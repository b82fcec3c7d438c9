import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import {
  session,
  SessionError,
  type Importer,
  type OldSession,
  type Session,
  type SessionEvent,
  type SessionMiddleware,
  type SessionOptions,
} from '../../src/index.ts'
import { session as objectSession } from '../../src/compat/index.ts'
import { CookieStore } from '../../src/stores/cookie.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { Client, serve } from '../support/client.ts'
import { HookedStore } from '../support/hooked-store.ts'
import { z } from 'zod'

const HOUR = 3_600_000

/** An old library whose cookie `old` holds an ID, and `old.sig` nothing. */
class OldLibrary implements Importer {
  readonly name = 'old library'
  readonly cookies = [{ name: 'old' }, { name: 'old.sig' }]
  readonly records = new Map<string, OldSession>()
  reads = 0
  trouble: unknown

  find(valuesOf: (name: string) => readonly string[]): readonly string[] {
    return valuesOf('old').filter((value) => /^\w+$/.test(value))
  }

  async read(id: string): Promise<OldSession | undefined> {
    this.reads += 1
    if (this.trouble !== undefined) throw this.trouble
    return this.records.get(id)
  }

  async destroy(id: string): Promise<void> {
    if (this.trouble !== undefined) throw this.trouble
    this.records.delete(id)
  }
}

interface Site {
  readonly old: OldLibrary
  readonly store: HookedStore
  readonly events: SessionEvent[]
  readonly sessions: SessionMiddleware
  readonly clock: { now: number }
  /** A browser that has the old cookie of a session. */
  visitor(id?: string): Client
}

type Route = (session: Session, site: Site) => unknown

const routes: Readonly<Record<string, Route>> = {
  '/': (s) => s.get('user') ?? 'a guest',
  '/handle': (s) => (s.has('user') ? s.handle : 'a guest'),
  '/read-only': (s) => String(s.isReadOnly),
  '/set': (s) => s.set('theme', 'dark') && 'set',
  '/login': (s) => (s.regenerate(), s.set('user', 'bea'), 'in'),
  '/sign-in': (s) => (s.signIn('ann'), 'in'),
  '/logout': async (s) => String(await s.destroy()),
  '/logout-and-on': async (s) => (await s.destroy(), s.set('user', 'cleo'), 'on'),
  '/logout-and-fail': async (s) => {
    await s.destroy()
    throw Object.assign(new Error('no'), { status: 400, expose: true })
  },
  '/end-all': async (s, { sessions }) => (
    s.signIn('ann'),
    await s.commit(),
    sessions.manager.sessionsOf('ann').endAll().then(String)
  ),
  '/end-by-id': async (s, { sessions }) => String(await sessions.manager.destroy(s.id)),
}

async function site(
  t: ExecutionContext,
  options: SessionOptions = {},
  before?: Pick<Site, 'old' | 'store' | 'clock'>,
): Promise<Site> {
  const clock = before?.clock ?? { now: 1_700_000_000_000 }
  const now = (): number => clock.now
  const old = before?.old ?? new OldLibrary()
  if (before === undefined)
    old.records.set('a1', { values: { user: 'ann', cart: ['pear'] }, expiresAt: clock.now + 24 * HOUR })
  const store =
    before?.store ?? new HookedStore(new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity, now }))
  const events: SessionEvent[] = []
  const sessions = session({
    store,
    now,
    adopt: [old],
    onEvent: (event) => events.push(event),
    ...options,
  }) as SessionMiddleware // without a schema, as far as the routes know
  const koa = new Koa()
  koa.use(async (ctx, next) => {
    if (ctx.path !== '/public') return next()
    ctx.body = 'public'
  })
  koa.use(sessions)
  const self = { old, store, events, sessions, clock }
  koa.use(async (ctx) => {
    if (ctx.path === '/unused') return void (ctx.body = 'unused')
    ctx.body = await routes[ctx.path]?.(ctx['session'] as Session, { ...self, visitor }) // the middleware has set it
  })
  const { client } = await serve(t, koa)
  function visitor(id = 'a1'): Client {
    const browser = client()
    browser.cookies.set('old', id)
    browser.cookies.set('old.sig', 'x')
    return browser
  }
  return { ...self, visitor }
}

const text = async (client: Client, path = '/'): Promise<string> => (await client.get(path)).text

test('the first request with an old cookie finds the values of the old session, and gets a cookie of ours beside the old ones', async (t) => {
  const { visitor, events, old } = await site(t)
  const ann = visitor()
  const { text: user, setCookies } = await ann.get('/')
  t.is(user, 'ann')
  t.deepEqual(
    setCookies.map((line) => line.split('=')[0]),
    ['sid'],
  )
  t.deepEqual(
    events.filter(({ type }) => type === 'adopted').map((event) => 'from' in event && event.from),
    ['old library'],
  )
  t.true(old.records.has('a1'), 'the old record stays, so that a rollback finds it')
  ann.cookies.delete('old')
  t.is(await text(ann), 'ann')
})

test('six first requests at once make one session, and each browser tab gets the same ID', async (t) => {
  const { visitor, store, events } = await site(t)
  const tabs = Array.from({ length: 6 }, () => visitor())
  const handles = await Promise.all(tabs.map(async (tab) => text(tab, '/handle')))
  t.is(new Set(handles).size, 1)
  t.not(handles[0], 'a guest')
  t.is(new Set(tabs.map((tab) => tab.cookies.get('sid'))).size, 1)
  t.is(events.filter(({ type }) => type === 'adopted').length, 1)
  const payloads = await store.payloads()
  t.is(payloads.filter((payload) => payload.includes('"user"')).length, 1)
})

test('a request with our cookie costs one call as before, one without a cookie none, and the old store is not asked again', async (t) => {
  const { visitor, store, old } = await site(t)
  const ann = visitor()
  await ann.get('/')
  const twin = visitor()
  store.calls.length = 0
  old.reads = 0
  await ann.get('/')
  t.deepEqual(store.verbs(), ['read'])
  store.calls.length = 0
  t.is(await text(twin), 'ann')
  t.deepEqual(store.verbs(), ['read', 'read'])
  t.is(old.reads, 0)
  store.calls.length = 0
  await new Client(ann.base).get('/')
  await new Client(ann.base).get('/', { headers: { cookie: 'other=1; older=a1' } })
  await visitor('%zz').get('/')
  t.deepEqual(store.verbs(), [])
})

test('nothing that is stored leads from the old ID to the new one', async (t) => {
  const { visitor, store } = await site(t)
  const ann = visitor()
  await ann.get('/')
  const id = ann.cookies.get('sid') ?? ''
  t.regex(id, /^[\w-]{43}$/)
  for (const payload of await store.payloads()) {
    t.false(payload.includes(id))
    // As a word of its own: two letters may be anywhere in what is random.
    t.notRegex(payload, /(?<![\w-])a1(?![\w-])/)
  }
})

test('security 23, 24: a logout is final: the old cookie opens nothing, for a thief neither, and a rollback finds no old session', async (t) => {
  const { visitor, old } = await site(t)
  const [ann, thief] = [visitor(), visitor()]
  await ann.get('/')
  const { text: hasEnded, setCookies } = await ann.get('/logout')
  t.is(hasEnded, 'true')
  t.deepEqual(setCookies.map((line) => line.split('=')[0]).toSorted(), ['old', 'old.sig', 'sid'])
  for (const line of setCookies) t.regex(line, /=; Max-Age=0;.*Expires=Thu, 01 Jan 1970/)
  t.false(old.records.has('a1'))
  old.records.set('a1', { values: { user: 'ann' } }) // by a slow request of the old program
  t.is(await text(thief), 'a guest')
  t.is(await text(thief, '/set'), 'set')
  t.is(await text(thief), 'a guest')
})

test('the first request may be the logout', async (t) => {
  const { visitor, old } = await site(t)
  t.is(await text(visitor(), '/logout'), 'true')
  old.records.set('a1', { values: { user: 'ann' } })
  t.is(await text(visitor()), 'a guest')
})

test('a logout whose response is an error removes the old cookies too', async (t) => {
  const { visitor } = await site(t)
  const ann = visitor()
  await ann.get('/')
  const { status, setCookies } = await ann.get('/logout-and-fail')
  t.is(status, 400)
  t.true(setCookies.some((line) => line.startsWith('old=;')))
  t.true(setCookies.some((line) => line.startsWith('sid=;')))
})

test('a session that begins after the logout in the same request gets its cookie, and the old ones are removed', async (t) => {
  const { visitor } = await site(t)
  const ann = visitor()
  await ann.get('/logout-and-on')
  t.deepEqual([...ann.cookies.keys()], ['sid'])
  t.is(await text(ann), 'cleo')
  t.is(await text(visitor()), 'a guest')
})

test('a logout of another session ends what the old cookie would have opened, taken over or not', async (t) => {
  for (const isAdopted of [false, true]) {
    const { visitor, old } = await site(t)
    const ann = visitor()
    ann.cookies.delete('old')
    await ann.get('/login')
    if (isAdopted) await visitor().get('/')
    ann.cookies.set('old', 'a1')
    t.is(await text(ann), 'bea')
    t.is(await text(ann, '/logout'), 'true')
    t.false(old.records.has('a1'))
    old.records.set('a1', { values: { user: 'ann' } })
    t.is(await text(visitor()), 'a guest')
  }
})

for (const path of ['/login', '/sign-in', '/end-by-id', '/end-all']) {
  test(`after ${path} the old cookie opens nothing`, async (t) => {
    const { visitor, old } = await site(t)
    const ann = visitor()
    await ann.get('/')
    t.is((await ann.get(path)).status, 200)
    t.is(await text(visitor()), 'a guest')
    t.true(old.records.has('a1'), 'only a logout ends the old record')
  })
}

test('after a rotation the old cookie leads on as the ID does that was rotated: for rotateGrace', async (t) => {
  const { visitor, clock } = await site(t, { rotateAfter: HOUR / 2, rotateGrace: 30_000, retiredFor: 60_000 })
  const ann = visitor()
  await ann.get('/')
  const first = ann.cookies.get('sid')
  clock.now += 0.6 * HOUR
  await ann.get('/')
  t.not(ann.cookies.get('sid'), first)
  t.is(await text(visitor()), 'ann')
  clock.now += 31_000
  t.is(await text(visitor()), 'a guest')
  t.is(await text(ann), 'ann')
})

test('a session that has expired is not taken over again while the old one lives', async (t) => {
  const { visitor, clock, old, store } = await site(t)
  await visitor().get('/')
  clock.now += 2 * HOUR
  t.is(await text(visitor()), 'a guest')
  clock.now += 40 * HOUR // the old program has extended it meanwhile
  old.records.set('a1', { values: { user: 'ann' }, expiresAt: clock.now + HOUR })
  t.is(await text(visitor()), 'a guest')
  let created = 0
  store.before = ({ verb }) => void (verb === 'create' && (created += 1))
  old.records.set('b2', { values: { user: 'bob' }, expiresAt: clock.now })
  t.is(await text(visitor('b2')), 'a guest')
  t.is(created, 0)
})

test('until it is used again, a session that was taken over lives no longer than the old one', async (t) => {
  const { visitor, clock, old } = await site(t, { passive: () => true })
  old.records.set('b2', { values: { user: 'bob' }, expiresAt: clock.now + 600_000 })
  const bob = visitor('b2')
  t.is(await text(bob), 'bob')
  clock.now += 599_000
  t.is(await text(bob), 'bob')
  clock.now += 1_000
  t.is(await text(bob), 'a guest')
})

test('faults: trouble of the old store is status 503 where the session is used, or as onStoreError says, and not an empty session', async (t) => {
  const { visitor, old, events } = await site(t)
  old.trouble = new Error('connection refused')
  const ann = visitor()
  t.is((await ann.get('/')).status, 503)
  t.is((await ann.get('/unused')).status, 200)
  t.is((await ann.get('/public')).status, 200)
  t.true(events.some(({ type }) => type === 'store-failed'))
  old.trouble = undefined
  t.is(await text(ann), 'ann')
  const lenient = await site(t, { onStoreError: 'anonymous' })
  lenient.old.trouble = new Error('connection refused')
  t.is(await text(lenient.visitor(), '/read-only'), 'true')
})

test('faults: an old store that is down does not keep those out who have our cookie', async (t) => {
  const { visitor, old } = await site(t)
  const ann = visitor()
  await ann.get('/')
  old.trouble = new Error('connection refused')
  old.records.set('b2', { values: { user: 'bob' } })
  for (let times = 0; times < 8; times += 1) t.is((await visitor('b2').get('/')).status, 503)
  t.is(await text(ann), 'ann')
})

test('a logout that cannot end the old record is status 503, and is complete when it is tried again', async (t) => {
  const { visitor, old } = await site(t)
  const ann = visitor()
  await ann.get('/')
  old.trouble = new Error('connection refused')
  t.is((await ann.get('/logout')).status, 503)
  t.is(await text(visitor()), 'a guest')
  old.trouble = undefined
  const { status, setCookies } = await ann.get('/logout')
  t.is(status, 200)
  t.true(setCookies.some((line) => line.startsWith('old=;')))
  t.false(old.records.has('a1'))
})

test('what is broken in an old cookie or record is an anonymous visit with an event, never an error', async (t) => {
  const { visitor, old, events } = await site(t)
  old.trouble = new SessionError('ERR_SESSION_DECODE', 'no JSON')
  t.is(await text(visitor()), 'a guest')
  old.trouble = undefined
  old.records.set('c3', { values: { f: () => 1 } })
  t.is(await text(visitor('c3')), 'a guest')
  t.is(events.filter(({ type }) => type === 'decode-failed').length, 2)
  old.find = () => {
    throw new TypeError('no')
  }
  const { status, text: body } = await visitor().get('/')
  t.is(`${status} ${body}`, '200 a guest')
  t.is(events.filter(({ type }) => type === 'decode-failed').length, 3)
})

test('a session with a value that the schema does not allow is not taken over in part', async (t) => {
  const { visitor, events, store } = await site(t, { schema: { user: z.string() } })
  t.is(await text(visitor()), 'a guest')
  t.true(events.some(({ type }) => type === 'decode-failed'))
  t.deepEqual(await store.payloads(), [])
})

test('an old session without values makes none of ours', async (t) => {
  const { visitor, old, store } = await site(t)
  old.records.set('d4', { values: {} })
  t.is(await text(visitor('d4')), 'a guest')
  t.deepEqual(await store.payloads(), [])
})

test('rolled back and forward again, a session is the one that it was, with the changes made before', async (t) => {
  const first = await site(t)
  const ann = first.visitor()
  await ann.get('/set')
  t.deepEqual(first.old.records.get('a1')?.values, { user: 'ann', cart: ['pear'] }, 'what a rollback finds')
  const second = await site(t, {}, first)
  const again = second.visitor()
  again.cookies.set('sid', ann.cookies.get('sid') ?? '')
  t.is(await text(again, '/handle'), await text(second.visitor(), '/handle'))
})

test('with another idPrefix the old sessions are taken over as they are now, and no earlier ID opens anything', async (t) => {
  const first = await site(t)
  const [ann, bob] = [first.visitor(), first.visitor('b2')]
  first.old.records.set('b2', { values: { user: 'bob' } })
  await Promise.all([ann.get('/'), bob.get('/')])
  first.old.records.set('a1', { values: { user: 'cleo' } }) // rolled back, ann has logged out, and cleo in
  first.old.records.delete('b2') // and bob out
  const second = await site(t, { idPrefix: 'v2-' }, first)
  const [cleo, other] = [second.visitor(), second.visitor('b2')]
  cleo.cookies.set('sid', ann.cookies.get('sid') ?? '')
  other.cookies.set('sid', bob.cookies.get('sid') ?? '')
  t.is(await text(cleo), 'cleo')
  t.is(await text(other), 'a guest')
})

test('sealed sessions are taken over and ended like others', async (t) => {
  const { visitor, store } = await site(t, { seal: { keys: [randomBytes(32)] } })
  const ann = visitor()
  t.is(await text(ann), 'ann')
  t.is(await text(visitor()), 'ann')
  for (const payload of await store.payloads()) t.notRegex(payload, /adopted|pear/)
  await ann.get('/logout')
  t.is(await text(visitor()), 'a guest')
})

test('the session object of compat has the values of the old session, and null is a logout of both', async (t) => {
  const old = new OldLibrary()
  old.records.set('a1', { values: { user: 'ann' } })
  const store = new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity })
  const koa = new Koa()
  koa.use(objectSession({ store, adopt: [old] }))
  koa.use(async (ctx) => {
    ctx.body = String(Object(ctx['session'])['user'])
    if (ctx.path === '/logout') Object.assign(ctx, { session: null })
  })
  const { client } = await serve(t, koa)
  const [ann, thief] = [client(), client()]
  for (const each of [ann, thief]) each.cookies.set('old', 'a1')
  t.is(await text(ann), 'ann')
  await ann.get('/logout')
  t.deepEqual([...ann.cookies.keys()], [])
  t.is(await text(thief), 'undefined')
  t.is(old.records.size, 0)
})

test("with open: 'lazy' the old session is taken over when the session is loaded, and not used before", async (t) => {
  const old = new OldLibrary()
  old.records.set('a1', { values: { user: 'ann' } })
  const store = new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity })
  const sessions = session({ store, adopt: [old], open: 'lazy' })
  const koa = new Koa()
  koa.use(sessions)
  koa.use(async (ctx) => {
    if (ctx.path === '/load') await sessions.load(ctx)
    ctx.body = ctx.path === '/unused' ? 'unused' : String(ctx['session'].get('user'))
  })
  const { client } = await serve(t, koa)
  const ann = client()
  ann.cookies.set('old', 'a1')
  t.is(await text(ann, '/unused'), 'unused')
  t.is(old.reads, 0)
  t.is((await ann.get('/')).status, 500)
  t.is(await text(ann, '/load'), 'ann')
})

test('the sessions of a WebSocket are taken over as well', async (t) => {
  const { sessions, visitor } = await site(t)
  const request = new IncomingMessage(new Socket())
  request.headers.cookie = 'old=a1'
  const opened = await sessions.open(request)
  t.is(opened.get('user'), 'ann')
  t.is(await text(visitor(), '/handle'), opened.handle)
})

test('with sessions turned off old cookies are left alone', async (t) => {
  const { visitor, old } = await site(t, { enabled: false })
  t.is((await visitor().get('/unused')).status, 200)
  t.is(old.reads, 0)
})

test('a name that is also that of an old cookie is refused, and so is a store that cannot remember which old sessions have ended', (t) => {
  const adopt = [new OldLibrary()]
  const refusal = (options: SessionOptions): string | undefined =>
    t.throws(() => session({ adopt, ...options }), { instanceOf: SessionError, code: 'ERR_SESSION_OPTIONS' })
      ?.message
  const store = new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity })
  t.regex(refusal({ store, name: 'old.sig' }) ?? '', /name: .*rollback logs no user out/)
  t.notThrows(() => session({ adopt, store, name: 'old.sig', cookie: false, header: 'x-session' }))
  t.regex(
    refusal({ store: new CookieStore({ keys: [randomBytes(32)] }) }) ?? '',
    /adopt: cannot be used: the cookie store/,
  )
  t.regex(refusal({ store: new MemoryStore() }) ?? '', /adopt: cannot be used: the memory store may forget/)
  t.regex(
    refusal({ store, adopt: [...adopt, ...adopt] }) ?? '',
    /adopt\[1\]: is a second importer with the name 'old library'/,
  )
  const whole = { name: 'x', cookies: [{ name: 'x' }], find: () => [], read: async () => undefined }
  t.notThrows(() => session({ store, adopt: [whole] }))
  for (const wrong of [
    {},
    null,
    { ...whole, cookies: [{}] },
    { ...whole, find: 1 },
    { ...whole, destroy: 1 },
  ])
    t.regex(refusal({ store, adopt: [wrong as Importer] }) ?? '', /adopt\[0\]: must be an importer/)
  t.regex(refusal({ store, adopt: adopt[0] as unknown as Importer[] }) ?? '', /adopt: must be a list/)
})

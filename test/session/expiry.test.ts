import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import {
  session,
  SessionManager,
  type OpenOptions,
  type Session,
  type SessionOptions,
  type Store,
} from '../../src/index.ts'
import { CookieStore } from '../../src/stores/cookie.ts'
import { FileStore } from '../../src/stores/file.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { serve, type Client } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'
import { temporaryFolder } from '../support/cleanup.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

interface Fixture {
  visitor: Client
  store: SpiedStore
  clock: { now: number }
  /** What the route does with the session; it answers with what comes of it. */
  act: (visitor: Client, act: (session: Session) => unknown) => ReturnType<Client['get']>
}

async function app(
  t: ExecutionContext,
  options: SessionOptions<undefined, 'session'> = {},
): Promise<Fixture> {
  const clock = { now: Date.UTC(2026, 0, 1) }
  const store = new SpiedStore(() => clock.now)
  const acts: ((session: Session) => unknown)[] = []
  const koa = new Koa().use(session({ store, now: () => clock.now, absoluteTimeout: 60 * DAY, ...options }))
  koa.use(async (ctx) => {
    ctx.body = { value: (await acts[Number(ctx.query['act'])]?.(ctx.session)) ?? null }
  })
  const visitor = (await serve(t, koa)).client()
  const act: Fixture['act'] = async (client, act) => client.get(`/?act=${acts.push(act) - 1}`)
  return { visitor, store, clock, act }
}

const login = (session: Session): void => {
  session.set('user', 'ann')
  session.maxAge = 30 * DAY
}
const user = (session: Session): unknown => session.get('user')

test('session.maxAge is the Max-Age of this one cookie, and the session lives as long', async (t) => {
  const { visitor, clock, act } = await app(t)
  const other = visitor.clone()
  const { setCookies } = await act(visitor, login)
  t.regex(setCookies[0] ?? '', /^sid=[^;]+; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/)
  t.notRegex(
    (await act(other, (session) => session.set('user', 'bob') && null)).setCookies[0] ?? '',
    /Max-Age/,
  )
  clock.now += 30 * DAY - 1
  t.is((await act(visitor, user)).text, '{"value":"ann"}')
  t.is((await act(other, user)).text, '{"value":null}')
  t.is((await act(visitor, (session) => session.maxAge)).text, `{"value":${30 * DAY}}`)
})

for (const [what, end] of Object.entries({
  destroyed: async (session: Session) => session.destroy(),
  regenerated: (session: Session) => session.regenerate(),
})) {
  test(`security 24: a slow request that only reads does not put back the cookie of a session ${what} meanwhile`, async (t) => {
    const { visitor, act } = await app(t, { cookie: { maxAge: HOUR } })
    await act(visitor, login)
    let go = (): void => {}
    const held = new Promise<void>((resolve) => (go = resolve))
    let slow: ReturnType<typeof act> | undefined
    await new Promise<void>((opened) => {
      slow = act(visitor.clone(), async (session) => {
        opened()
        await held
        return user(session)
      })
    })
    t.is((await act(visitor, async (session) => end(session))).setCookies.length, 1)
    go()
    const answer = await slow
    t.deepEqual([answer?.text, answer?.setCookies], ['{"value":"ann"}', []])
  })
}

test('its cookie and its life are refreshed while it is used, and end together when it is not', async (t) => {
  const { visitor, clock, act } = await app(t, { absoluteTimeout: 400 * DAY })
  await act(visitor, login)
  for (let visit = 0; visit < 5; visit += 1) {
    clock.now += 29 * DAY
    const { setCookies, text } = await act(visitor, user)
    t.is(text, '{"value":"ann"}')
    t.regex(setCookies[0] ?? '', /; Max-Age=2592000;/)
  }
  clock.now += 30 * DAY
  t.is((await act(visitor, user)).text, '{"value":null}')
})

test('a session that is used often is not written for it each time', async (t) => {
  const { visitor, clock, store, act } = await app(t)
  await act(visitor, login)
  store.calls.length = 0
  for (let visit = 0; visit < 60; visit += 1) {
    clock.now += 60_000
    await act(visitor, user)
  }
  const touches = store.calls.filter((verb) => verb !== 'read')
  t.deepEqual(new Set(touches), new Set(['touch']))
  t.true(touches.length >= 8 && touches.length <= 10, `${touches.length} touches`)
})

test('undefined goes back to what the settings say: for the cookie, and for how long it lives', async (t) => {
  const { visitor, clock, act } = await app(t)
  await act(visitor, login)
  const { setCookies } = await act(visitor, (session) => void (session.maxAge = undefined))
  t.is(setCookies.length, 1)
  t.notRegex(setCookies[0] ?? '', /Max-Age/)
  t.deepEqual((await act(visitor, user)).setCookies, [])
  clock.now += HOUR
  t.is((await act(visitor, user)).text, '{"value":null}')
})

const MINUTE = 60_000

test('a maxAge shorter than the idle timeout ends the session on the server too, for a client that keeps its cookie', async (t) => {
  const { visitor, clock, act } = await app(t)
  const { setCookies } = await act(visitor, (session) => {
    session.set('user', 'ann').maxAge = 10 * MINUTE + 500
  })
  t.regex(setCookies[0] ?? '', /; Max-Age=601;/) // rather too long than too short: the server decides
  const thief = visitor.clone()
  clock.now += 10 * MINUTE + 499
  t.is((await act(visitor, user)).text, '{"value":"ann"}')
  clock.now += 10 * MINUTE
  t.is((await act(thief, user)).text, '{"value":"ann"}')
  clock.now += 10 * MINUTE + 500
  t.is((await act(thief, user)).text, '{"value":null}')
})

/** Stores that extend a life while they read, that do not, and that keep the session in its cookie. */
const stores: Readonly<Record<string, (t: ExecutionContext, now: () => number) => Promise<Store> | Store>> = {
  memory: (_t, now) => new MemoryStore({ now }),
  file: async (_t, now) => new FileStore({ folder: await temporaryFolder('kts-short-'), now }),
  cookie: (_t, now) => new CookieStore({ keys: [randomBytes(32)], now }),
}
for (const [name, open] of Object.entries(stores)) {
  test(`${name}: a session with a short maxAge lives while it is used, by reading too, and ends within it`, async (t) => {
    const clock = { now: Date.UTC(2026, 0, 1) }
    const store = await open(t, () => clock.now)
    const manager = new SessionManager({ store, now: () => clock.now, rotateAfter: 90 * MINUTE })
    const first = await begun(manager, { user: 'ann' }, 10 * MINUTE)
    let id = manager.credential(first)
    const use = async (options: OpenOptions = {}): Promise<Session | undefined> => {
      const session = await manager.find(id, options)
      t.is(session?.get('user'), session && 'ann')
      if (session === undefined) return undefined
      await manager.commit(session)
      id = manager.credential(session)
      return session
    }
    for (let times = 0; times < 40; times += 1) {
      clock.now += 9 * MINUTE
      const session = await use()
      t.is(session?.maxAge, 10 * MINUTE)
      t.is(session?.expiresAt, clock.now + 10 * MINUTE)
    }
    const used = await manager.find(id)
    used?.regenerate()
    if (used !== undefined) await manager.commit(used)
    id = used === undefined ? '' : manager.credential(used)
    clock.now += 6 * MINUTE
    t.is((await use({ passive: true }))?.expiresAt, clock.now + 4 * MINUTE) // no sign of life
    clock.now += 4 * MINUTE - 1
    t.not(await use({ passive: true }), undefined)
    clock.now += 1
    t.is(await use(), undefined)
    await manager.close()
  })
}

test('a session with a short maxAge is written once in each tenth of it, and removed when it is found ended', async (t) => {
  const { visitor, clock, store, act } = await app(t)
  await act(visitor, (session) => {
    session.set('user', 'ann').maxAge = 10 * MINUTE
  })
  store.calls.length = 0
  for (let visit = 0; visit < 60; visit += 1) {
    clock.now += 10_000
    await act(visitor, user)
  }
  const writes = store.calls.filter((verb) => verb !== 'read')
  t.deepEqual(new Set(writes), new Set(['replace']))
  t.true(writes.length >= 8 && writes.length <= 10, `${writes.length} writes`)
  clock.now += 10 * MINUTE
  await act(visitor, user)
  t.is(await store.count(), 0)
})

test('a short maxAge that is made longer, or taken back, ends nothing early', async (t) => {
  for (const longer of [2 * HOUR, undefined]) {
    const { visitor, clock, act } = await app(t)
    await act(visitor, (session) => {
      session.set('user', 'ann').maxAge = MINUTE
    })
    await act(visitor, (session) => void (session.maxAge = longer))
    clock.now += (longer ?? HOUR) - 1
    t.is((await act(visitor, user)).text, '{"value":"ann"}', String(longer))
  }
})

test('a maxAge that is short no longer, since the settings were changed, ends nothing early', async (t) => {
  const clock = { now: 0 }
  const now = (): number => clock.now
  const store = new SpiedStore(now)
  const { id } = await begun(new SessionManager({ store, now }), { user: 'ann' }, 30 * MINUTE)
  const after = new SessionManager({ store, now, idleTimeout: 10 * MINUTE })
  for (let times = 0; times < 3; times += 1) {
    clock.now += 29 * MINUTE
    const session = await after.open(id)
    t.is(session.get('user'), 'ann')
    await after.commit(session)
  }
})

test('it is kept through regenerate, and forgotten with the session', async (t) => {
  const { visitor, act } = await app(t)
  await act(visitor, login)
  const { setCookies } = await act(visitor, (session) => session.regenerate())
  t.regex(setCookies[0] ?? '', /; Max-Age=2592000;/)
  t.is((await act(visitor, (session) => session.maxAge)).text, `{"value":${30 * DAY}}`)
  for (const end of ['destroy', 'clear'] as const) {
    await act(visitor, login)
    const again = await act(visitor, async (session) => {
      await session[end]()
      if (end === 'clear') await session.commit()
      session.set('user', 'bob')
      return session.maxAge
    })
    t.is(again.text, '{"value":null}', end)
    t.notRegex(again.setCookies[0] ?? '', /Max-Age/)
  }
})

test('on its own it makes no record, and it goes on its own into a record that is there', async (t) => {
  const { visitor, store, act } = await app(t)
  t.deepEqual((await act(visitor, (session) => void (session.maxAge = DAY))).setCookies, [])
  t.is(await store.count(), 0)
  await act(visitor, (session) => void session.set('user', 'ann'))
  await act(visitor, (session) => void (session.maxAge = DAY))
  t.is((await act(visitor, (session) => session.maxAge)).text, `{"value":${DAY}}`)
  store.calls.length = 0
  await act(visitor, (session) => void (session.maxAge = DAY))
  t.deepEqual(store.calls, ['read']) // it is so already, and so is the cookie
})

test('it survives a rebase, beside what others commit meanwhile', async (t) => {
  const clock = { now: 0 }
  const store = new SpiedStore(() => clock.now)
  const manager = new SessionManager({ store, now: () => clock.now, absoluteTimeout: 60 * DAY })
  const { id } = await begun(manager, { user: 'ann' })
  const one = await manager.open(id)
  const two = await manager.open(id)
  const three = await manager.open(id)
  one.maxAge = 30 * DAY
  two.set('theme', 'dark')
  three.maxAge = 20 * DAY
  await manager.commit(two)
  await manager.commit(one)
  const after = await manager.open(id)
  t.is(after.maxAge, 30 * DAY)
  t.is(after.get('theme'), 'dark')
  await manager.commit(three)
  one.set('late', 1) // says nothing of maxAge any more: its own was stored, and then replaced
  await manager.commit(one)
  t.is((await manager.open(id)).maxAge, 20 * DAY)
})

test('it is set while a commit is under way: the next commit stores it', async (t) => {
  const manager = new SessionManager({ absoluteTimeout: 60 * DAY })
  const session = manager.begin().set('user', 'ann')
  const first = manager.commit(session)
  session.maxAge = 2 * DAY
  await first
  t.is((await manager.open(session.id)).maxAge, undefined)
  await manager.commit(session)
  t.is((await manager.open(session.id)).maxAge, 2 * DAY)
})

test('it survives a restart', async (t) => {
  const folder = await temporaryFolder('kts-life-')
  const options = { provider: 'file', providerConfig: folder, absoluteTimeout: 60 * DAY, sweepInterval: 0 }
  const one = new SessionManager(options)
  const { id } = await begun(one, { user: 'ann' }, 30 * DAY)
  await one.close()
  const later = Date.now() + 29 * DAY
  const two = new SessionManager({ ...options, now: () => later })
  const session = await two.open(id)
  t.is(session.get('user'), 'ann')
  t.is(session.maxAge, 30 * DAY)
  await two.close()
})

test('security 18: the absolute timeout holds for it too, and a longer maxAge is refused with both names', async (t) => {
  const clock = { now: 0 }
  const manager = new SessionManager({ now: () => clock.now, absoluteTimeout: 7 * DAY })
  const session = await begun(manager, { user: 'ann' }, 7 * DAY)
  t.is(session.expiresAt, 7 * DAY)
  clock.now = 6 * DAY
  const used = await manager.open(session.id)
  await manager.commit(used)
  t.is(used.expiresAt, 7 * DAY)
  clock.now = 7 * DAY
  t.is(await manager.find(session.id), undefined)
  const wrong: readonly [number, RegExp][] = [
    [7 * DAY + 1, /session\.maxAge: is longer than absoluteTimeout/],
    [401 * DAY, /session\.maxAge: must be at most 400 days/],
    [0, /session\.maxAge: must be a whole number of ms/],
    [-1, /whole number/],
    [1.5, /whole number/],
    [Number.NaN, /whole number/],
    [Infinity, /whole number/],
  ]
  for (const [maxAge, message] of wrong) {
    const fresh = manager.begin()
    t.throws(() => (fresh.maxAge = maxAge), { code: 'ERR_SESSION_OPTIONS', message }, String(maxAge))
    t.is(fresh.maxAge, undefined)
  }
})

async function begun(
  manager: SessionManager,
  values: Record<string, unknown>,
  maxAge?: number,
): Promise<Session> {
  const session = manager.begin()
  for (const [key, value] of Object.entries(values)) session.set(key, value)
  session.maxAge = maxAge
  await manager.commit(session)
  return session
}

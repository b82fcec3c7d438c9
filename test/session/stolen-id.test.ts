import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { session, type SessionEvent, type SessionOptions } from '../../src/index.ts'
import type { SessionManager } from '../../src/session/manager.ts'
import { serve, type Client } from '../support/client.ts'
import { SpiedStore } from '../support/spied-store.ts'

// The table of outcomes in docs/security.md, "A stolen ID".

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const GRACE = 30_000
const ROTATE_AFTER = 15 * MINUTE

interface Site {
  readonly owner: Client
  /** A client that has got hold of the owner's cookie. */
  readonly thief: Client
  readonly store: SpiedStore
  readonly manager: SessionManager
  readonly events: SessionEvent[]
  readonly turn: (ms: number) => void
  /** Who the client is logged in as. */
  readonly user: (client: Client) => Promise<unknown>
}

async function site(t: ExecutionContext, options: SessionOptions<undefined, 'session'> = {}): Promise<Site> {
  let now = Date.UTC(2026, 0, 1)
  const store = new SpiedStore(() => now)
  const events: SessionEvent[] = []
  const sessions = session({
    rotateAfter: ROTATE_AFTER,
    idleTimeout: HOUR,
    sweepInterval: 0,
    store,
    now: () => now,
    onEvent: (event) => events.push(event),
    ...options,
  })
  const app = new Koa().use(sessions).use(async (ctx) => {
    if (ctx.path === '/login') ctx.session.set('user', 'ann')
    if (ctx.path === '/logout') await ctx.session.destroy()
    else ctx.body = { user: ctx.session.get('user') ?? null }
    ctx.body ??= 'bye'
  })
  const owner = (await serve(t, app)).client()
  await owner.get('/login')
  return {
    owner,
    thief: owner.clone(),
    store,
    manager: sessions.manager,
    events,
    turn: (ms) => (now += ms),
    user: async (client) => Reflect.get(JSON.parse((await client.get('/')).text), 'user'),
  }
}

function told(events: readonly SessionEvent[], type: SessionEvent['type']): number {
  return events.filter((event) => event.type === type).length
}

for (const onRetired of ['report', 'revoke'] as const) {
  const lives = onRetired === 'report' ? 'ann' : null

  test(`security 15: ${onRetired}: the thief is first: the owner's late request tells, and ${onRetired === 'report' ? 'the thief keeps the session' : 'ends it for both'}`, async (t) => {
    const { owner, thief, turn, user, events } = await site(t, { onRetired })
    turn(ROTATE_AFTER)
    t.is(await user(thief), 'ann')
    t.is(told(events, 'rotated'), 1)
    turn(GRACE - 1)
    t.is(await user(owner), 'ann', 'within the grace the old ID opens the session')
    turn(1)
    const handle = events.flatMap((event) => (event.type === 'created' ? [event.handle] : []))[0]
    t.is(await user(owner), null)
    t.deepEqual(
      events.filter(({ type }) => type === 'retired-id'),
      [{ type: 'retired-id', handle }],
    )
    t.is(told(events, 'destroyed'), onRetired === 'report' ? 0 : 1)
    t.is(await user(thief), lives)
  })

  test(`security 15: ${onRetired}: the owner is first: the thief's late request tells, and ${onRetired === 'report' ? 'the owner keeps the session' : 'ends it for both'}`, async (t) => {
    const { owner, thief, turn, user, events } = await site(t, { onRetired })
    turn(ROTATE_AFTER)
    t.is(await user(owner), 'ann')
    turn(GRACE)
    t.is(await user(thief), null)
    t.is(told(events, 'retired-id'), 1)
    t.is(await user(owner), lives)
  })

  test(`security 15: ${onRetired}: a client that never got its new ID works on within the grace, and has to log in again after it`, async (t) => {
    const { owner, turn, user, events } = await site(t, { onRetired })
    turn(ROTATE_AFTER)
    const before = owner.clone()
    t.is(await user(owner), 'ann') // this answer is lost
    turn(GRACE - 1)
    t.is(await user(before), 'ann')
    turn(1)
    t.is(await user(before), null)
    t.is(told(events, 'retired-id'), 1)
  })

  for (const who of ['owner', 'thief'] as const) {
    test(`security 23: ${onRetired}: a logout by the ${who} with an ID that was rotated many times since ends the session for both`, async (t) => {
      const { owner, thief, turn, user, events, store, manager } = await site(t, { onRetired })
      const [late, other] = who === 'owner' ? [owner, thief] : [thief, owner]
      for (let hours = 0; hours < 23.5; hours += 0.5) {
        turn(HOUR / 2)
        t.is(await user(other), 'ann')
      }
      t.is(told(events, 'rotated'), 47)
      store.calls.length = 0
      await late.get('/logout')
      t.is(await user(other), null)
      t.is(told(events, 'destroyed'), 1)
      const reads = store.calls.filter((verb) => verb === 'read').length
      t.true(reads <= 8, `${reads} reads`)
      t.is(await manager.find(other.cookies.get('sid')), undefined)
    })
  }
}

test('retiredFor says for how long the use of an old ID is recognised, and a logout with it ends the session', async (t) => {
  const { owner, thief, turn, user, events } = await site(t, {
    retiredFor: 2 * HOUR,
    idleTimeout: 24 * HOUR,
  })
  turn(ROTATE_AFTER)
  t.is(await user(owner), 'ann')
  turn(GRACE + 2 * HOUR)
  await thief.get('/logout')
  t.is(told(events, 'retired-id'), 0)
  t.is(told(events, 'unknown'), 1)
  t.is(await user(owner), 'ann')
})

test('no record of a rotation outlives the absolute end of its session', async (t) => {
  const { owner, turn, user, store } = await site(t, { absoluteTimeout: 3 * HOUR })
  for (let at = 0; at < 5; at += 1) {
    turn(HOUR / 2)
    t.is(await user(owner), 'ann')
  }
  turn(HOUR / 2)
  t.is(await user(owner), null)
  t.is(await store.count(), 0)
})

test('an ID from before a regenerate() is not led to the session that is rotated after it', async (t) => {
  const { owner, thief, turn, user, manager } = await site(t)
  turn(ROTATE_AFTER)
  t.is(await user(owner), 'ann')
  const logsIn = await manager.find(owner.cookies.get('sid'))
  if (logsIn === undefined) return t.fail()
  await manager.regenerate(logsIn)
  owner.cookies.set('sid', logsIn.id)
  turn(HOUR - 1)
  t.is(await user(owner), 'ann')
  await thief.get('/logout')
  t.is(await user(owner), 'ann')
})

test('a rotation whose trail cannot be written is a rotation all the same, and a later one mends the trail', async (t) => {
  const { owner, turn, user, store, thief } = await site(t)
  let isFailing = true
  store.before = async (verb) => {
    if (isFailing && verb === 'create' && store.calls.filter((each) => each === 'create').length === 3)
      throw new Error('no answer')
  }
  turn(ROTATE_AFTER)
  t.is(await user(owner), 'ann')
  isFailing = false
  turn(ROTATE_AFTER)
  t.is(await user(owner), 'ann')
  turn(GRACE)
  await thief.get('/logout')
  t.is(await user(owner), null)
})

import v8 from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { SessionManager, type ManagerOptions, type SessionEvent } from '../../../src/index.ts'
import { HeldStore } from '../../support/held-store.ts'

// The timers of a manager hold no process, and neither does a store that never answers.
const awake = setInterval(() => {}, 1_000)
test.after.always(() => clearInterval(awake))

interface Fixture {
  readonly manager: SessionManager
  readonly store: HeldStore
  readonly events: SessionEvent[]
  readonly seen: (type: SessionEvent['type']) => number
}

function fixture(options: ManagerOptions<undefined> = {}): Fixture {
  const store = new HeldStore()
  const events: SessionEvent[] = []
  const manager = new SessionManager({
    store,
    openTimeout: 10_000,
    commitTimeout: 10_000,
    onEvent: (event) => events.push(event),
    ...options,
  })
  return { manager, store, events, seen: (type) => events.filter((event) => event.type === type).length }
}

async function stored(manager: SessionManager): Promise<string> {
  const session = manager.begin().set('n', 1)
  await manager.commit(session)
  return session.id
}

/** Turns the clock by which the breaker rests. */
function later(t: { teardown: (end: () => void) => void }, ms: number): void {
  const now = performance.now.bind(performance)
  performance.now = () => now() + ms
  t.teardown(() => void (performance.now = now))
}

test('F3: more calls than maxPending fail at once, with an event, and the store does not see them', async (t) => {
  const { manager, store, seen } = fixture({ maxPending: 20, openTimeout: 60_000 })
  const ids: string[] = []
  while (ids.length < 100) ids.push(await stored(manager))
  store.hold()
  store.calls.length = 0
  const openings = ids.map(async (id) => manager.open(id))
  const refused = await Promise.allSettled(openings.slice(20))
  for (const outcome of refused) {
    t.is(outcome.status, 'rejected')
    if (outcome.status === 'rejected') t.like(outcome.reason, { code: 'ERR_SESSION_STORE', status: 503 })
    if (outcome.status === 'rejected') t.regex(outcome.reason.message, /^memory: 20 calls wait .* maxPending/)
  }
  t.is(store.calls.length, 20)
  t.is(seen('store-refused'), 80)
  store.release()
  t.is((await Promise.all(openings.slice(0, 20))).length, 20)
  t.is((await manager.open(ids[0])).get('n'), 1)
})

test('a logout gets its try although too many wait', async (t) => {
  const { manager, store } = fixture({ maxPending: 1, openTimeout: 60_000, commitTimeout: 60_000 })
  const id = await stored(manager)
  const session = await manager.open(id)
  store.hold()
  const opening = manager.open(id)
  const logout = session.destroy()
  store.release()
  await logout
  await opening
  t.is(await store.count(), 0)
})

test.serial(
  'F3: after five failures in a row the store is left alone, and one request a second tries',
  async (t) => {
    const { manager, store, events, seen } = fixture({ openTimeout: 300 })
    const id = await stored(manager)
    store.before = () => {
      throw new Error('connection to 10.1.2.3 refused')
    }
    for (let times = 0; times < 5; times += 1) await t.throwsAsync(manager.open(id))
    t.is(seen('store-down'), 1)
    store.calls.length = 0
    const error = await t.throwsAsync(manager.open(id), { code: 'ERR_SESSION_STORE', message: /circuit/ })
    t.is(
      error.message,
      'memory: circuit breaker open after several consecutive failures; try again in a second',
    )
    t.deepEqual(store.calls, [])
    t.deepEqual(events.at(-1), { type: 'store-refused', verb: 'read', reason: 'down' })

    later(t, 1_000)
    store.before = async () => new Promise(() => {})
    const probe = manager.open(id)
    await t.throwsAsync(manager.open(id), { message: /circuit/ })
    t.deepEqual(store.calls, ['read'], 'one at a time')
    await t.throwsAsync(probe, { message: /openTimeout/ })

    later(t, 1_000)
    store.before = () => {}
    t.is((await manager.open(id)).get('n'), 1)
    t.is(seen('store-down'), 1)
    t.is(seen('store-up'), 1)
    t.is((await manager.open(id)).get('n'), 1)
  },
)

test.serial(
  'a logout gets its try although the store counts as down, and what works then says that it is up',
  async (t) => {
    const { manager, store, seen } = fixture()
    const id = await stored(manager)
    const session = await manager.open(id)
    store.before = () => {
      throw new Error('down')
    }
    for (let times = 0; times < 5; times += 1) await t.throwsAsync(manager.open(id))
    store.before = () => {}
    await t.throwsAsync(manager.open(id), { message: /circuit/ })
    await session.destroy()
    t.is(await store.count(), 0)
    t.is(seen('store-up'), 1)
    t.true((await manager.open(id)).isNew)
  },
)

test.serial('a write that never reached the store is not taken for one of unknown outcome', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager)
  const session = (await manager.open(id)).set('n', 2)
  const other = (await manager.open(id)).set('other', true)
  store.before = (verb) => {
    if (verb === 'read') throw new Error('down')
  }
  for (let times = 0; times < 5; times += 1) await t.throwsAsync(manager.open(id))
  await t.throwsAsync(manager.commit(session), { message: /circuit/ })
  store.before = () => {}
  await manager.ready()
  await manager.commit(other)
  t.is(await manager.commit(session), 'ok', 'it is rebased as if nothing had happened')
  const after = await manager.open(id)
  t.deepEqual([after.get('n'), after.get('other')], [2, true])
})

test('what the store says about one session is no sign that it is down', async (t) => {
  const { SessionError } = await import('../../../src/errors.ts')
  const { manager, store, seen } = fixture()
  const id = await stored(manager)
  store.before = () => {
    throw new SessionError('ERR_SESSION_LIMIT', 'too large')
  }
  for (let times = 0; times < 10; times += 1) await manager.open(id)
  t.is(seen('store-down'), 0)
  t.is(seen('store-failed'), 0)
})

test('F19: of a thousand requests that open one session at once a few ask the store, and all see it as it is', async (t) => {
  const { manager, store } = fixture({ openTimeout: 60_000 })
  const id = await stored(manager)
  store.hold()
  store.calls.length = 0
  const openings = Array.from({ length: 1_000 }, async () => manager.open(id))
  await new Promise(setImmediate)
  t.true(store.calls.length <= 12, `${store.calls.length} loads at once`)
  store.release()
  const sessions = await Promise.all(openings)
  t.true(sessions.every((session) => session.get('n') === 1))
  t.true(store.calls.length <= 16, `${store.calls.length} loads in all`)
})

test('F19: who opens a session after a change was acknowledged sees it, however many loads are under way', async (t) => {
  const { manager, store } = fixture({ openTimeout: 60_000, commitTimeout: 60_000 })
  const id = await stored(manager)
  const writer = (await manager.open(id)).set('n', 2)
  let release = (): void => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  // These have looked, and their answers are slow.
  store.after = async (verb) => (verb === 'read' ? held : undefined)
  const early = Array.from({ length: 100 }, async () => manager.open(id))
  await new Promise(setImmediate)
  store.after = () => {}
  await manager.commit(writer)
  const late = manager.open(id)
  release()
  t.is((await late).get('n'), 2)
  await Promise.all(early)
})

test('F19: a load that fails fails those who wait for it, and the next ones are served', async (t) => {
  const { manager, store } = fixture({ openTimeout: 60_000 })
  const id = await stored(manager)
  let isDown = true
  store.before = async () => {
    await new Promise(setImmediate)
    if (isDown) throw new Error('down')
  }
  const outcomes = await Promise.allSettled(Array.from({ length: 100 }, async () => manager.open(id)))
  t.true(outcomes.every(({ status }) => status === 'rejected'))
  isDown = false
  await manager.ready()
  const sessions = await Promise.all(Array.from({ length: 100 }, async () => manager.open(id)))
  t.true(sessions.every((session) => session.get('n') === 1))
})

test.serial(
  'F3, security 52: twenty thousand requests before a silent store leave nothing on the heap',
  async (t) => {
    v8.setFlagsFromString('--expose-gc')
    const collect: unknown = runInNewContext('gc')
    if (typeof collect !== 'function') throw new Error('no gc')
    const { manager, store } = fixture({ maxPending: 100, openTimeout: 20, onEvent: () => {} })
    const id = await stored(manager)
    store.before = async () => new Promise(() => {})
    async function flood(rounds: number): Promise<number> {
      for (let round = 0; round < rounds; round += 1) {
        const openings = Array.from({ length: 2_000 }, async () => manager.open(id))
        const outcomes = await Promise.allSettled(openings)
        if (outcomes.some(({ status }) => status === 'fulfilled')) t.fail('it was served')
      }
      await new Promise(setImmediate)
      Reflect.apply(collect as () => void, undefined, []) // a function, as was just seen
      return process.memoryUsage().heapUsed
    }
    const before = await flood(2)
    const after = await flood(10)
    // A hundred bytes kept of each would be two million.
    t.true(after - before < 1_500_000, `${after - before} bytes more`)
  },
)

import test from 'ava'
import { SessionManager } from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'

function managers(): { one: SessionManager; two: SessionManager; store: MemoryStore } {
  const store = new MemoryStore({})
  const options = { store, owners: { verifyEvery: 20 }, sweepInterval: 0 }
  return { one: new SessionManager(options), two: new SessionManager(options), store }
}

async function login(manager: SessionManager): Promise<string> {
  const session = manager.begin()
  session.signIn('ann')
  await session.commit()
  return session.id
}

// The timer that looks at the store keeps no process alive.
const awake = setInterval(() => {}, 1_000)
test.after.always(() => clearInterval(awake))

for (const where of ['one', 'two'] as const) {
  const process = where === 'one' ? 'this process' : 'another process'
  test(`security 59: a session that is watched tells a change by ${process}, and a logout there`, async (t) => {
    const both = managers()
    const id = await login(both.one)
    const watched = await both.one.open(id)
    const changes = watched.watch()
    const next = changes.next()
    await (await both[where].open(id)).set('a', 1).commit()
    t.deepEqual(await next, { done: false, value: 'changed' })
    const end = changes.next()
    await both[where].destroy(id)
    t.deepEqual(await end, { done: false, value: 'ended' })
    t.deepEqual(await changes.next(), { done: true, value: undefined })
  })

  test(`security 59: a session that is watched tells when ${process} ends all sessions of its owner`, async (t) => {
    const both = managers()
    const changes = (await both.one.open(await login(both.one))).watch()
    const end = changes.next()
    await both[where].sessionsOf('ann').endAll()
    t.deepEqual(await end, { done: false, value: 'ended' })
  })

  test(`a session that gets a new ID in ${process} is watched under it`, async (t) => {
    const both = managers()
    const id = await login(both.one)
    const changes = (await both.one.open(id)).watch()
    const moved = changes.next()
    const moving = await both[where].open(id)
    await both[where].regenerate(moving)
    t.deepEqual(await moved, { done: false, value: 'changed' })
    const end = changes.next()
    await both[where].destroy(moving.id)
    t.deepEqual(await end, { done: false, value: 'ended' })
  })
}

test('a session that is watched tells that its own short maxAge is over, though its store keeps the record', async (t) => {
  const clock = { now: Date.now() }
  const now = (): number => clock.now
  const store = new MemoryStore({ now })
  const manager = new SessionManager({ store, now, owners: { verifyEvery: 20 }, sweepInterval: 0 })
  const session = manager.begin().set('user', 'ann')
  session.maxAge = 600_000
  await session.commit()
  const changes = session.watch()
  const end = changes.next()
  clock.now += 30_000
  await manager.find(session.id) // extends the record by the idle timeout
  clock.now += 570_000
  t.deepEqual(await end, { done: false, value: 'ended' })
  t.is(await store.count(), 1)
})

test('the signal ends a watch, and what is not stored cannot be watched', async (t) => {
  const { one } = managers()
  const abort = new AbortController()
  const changes = (await one.open(await login(one))).watch(abort.signal)
  const next = changes.next()
  abort.abort()
  t.deepEqual(await next, { done: true, value: undefined })
  t.throws(() => one.begin().watch(), { code: 'ERR_SESSION_STATE', message: /commit/ })
})

test('a store that fails says nothing about a session that is watched', async (t) => {
  const { one, two, store } = managers()
  const id = await login(one)
  const changes = (await one.open(id)).watch()
  const { read } = store
  const end = changes.next()
  await new Promise<void>((resolve) => {
    let failures = 0
    store.read = async () => {
      failures += 1
      if (failures === 2) resolve()
      throw new Error('no answer')
    }
  })
  store.read = read
  await two.destroy(id)
  t.deepEqual(await end, { done: false, value: 'ended' })
})

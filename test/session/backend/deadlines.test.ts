import test from 'ava'
import { SessionManager, type ManagerOptions } from '../../../src/index.ts'
import { HeldStore } from '../../support/held-store.ts'

// The timers of a manager hold no process, and neither does a store that never answers.
const awake = setInterval(() => {}, 1_000)
test.after.always(() => clearInterval(awake))

const LATE_OPEN = {
  code: 'ERR_SESSION_STORE',
  message: 'memory: read was not done within the 500 ms of openTimeout',
}
const LATE = { code: 'ERR_SESSION_STORE', message: /was not done within the 500 ms of commitTimeout/ }

function fixture(options: ManagerOptions<undefined> = {}): { manager: SessionManager; store: HeldStore } {
  const store = new HeldStore()
  return { store, manager: new SessionManager({ store, openTimeout: 500, commitTimeout: 500, ...options }) }
}

async function counter(manager: SessionManager): Promise<string> {
  const session = manager.begin().set('n', 0)
  await manager.commit(session)
  return session.id
}

test('F3, security 52: a session that cannot be opened in time is an error that names the setting', async (t) => {
  const { manager, store } = fixture()
  const id = await counter(manager)
  store.hold()
  const error = await t.throwsAsync(manager.open(id), LATE_OPEN)
  t.like(error, { status: 503, expose: false })
  store.release()
  t.is((await manager.open(id)).get('n'), 0)
})

test('security 9 and 53: however many IDs a request brings, it waits for one opening', async (t) => {
  const { manager, store } = fixture()
  const id = await counter(manager)
  const deadline = manager.openDeadline()
  t.true((await manager.find(id, {}, deadline)) !== undefined)
  store.hold()
  await t.throwsAsync(manager.find(id, {}, deadline), LATE_OPEN)
  store.calls.length = 0
  await t.throwsAsync(manager.find(id, {}, deadline), LATE_OPEN)
  t.deepEqual(store.calls, [], 'time is up, so the store is not asked again')
})

test('F3: a commit that is cut off asks the store for nothing more', async (t) => {
  const { manager, store } = fixture()
  const session = await manager.open(await counter(manager))
  session.update('n', (n = 0) => n + 1)
  store.calls.length = 0
  store.hold()
  await t.throwsAsync(manager.commit(session), { ...LATE, message: /^memory: replace was not done/ })
  store.release()
  await new Promise(setImmediate)
  t.deepEqual(store.calls, ['replace'])
})

test('F5: a write that was cut off and arrives later is not counted twice by whoever commits again', async (t) => {
  const { manager, store } = fixture()
  const id = await counter(manager)
  const session = await manager.open(id)
  session.update('n', (n = 0) => n + 1)
  store.hold()
  await t.throwsAsync(manager.commit(session), LATE)
  store.release()
  await new Promise(setImmediate)
  session.update('n', (n = 0) => n + 1)
  t.is(await manager.commit(session), 'ok')
  t.is((await manager.open(id)).get('n'), 2)
})

test('F2: a write that was cut off and never arrived is sent again by whoever commits again', async (t) => {
  const { manager, store } = fixture()
  const id = await counter(manager)
  const session = await manager.open(id)
  session.update('n', (n = 0) => n + 1)
  store.before = async () => new Promise(() => {})
  await t.throwsAsync(manager.commit(session), LATE)
  store.before = () => {}
  t.is(await manager.commit(session), 'ok')
  t.is((await manager.open(id)).get('n'), 1)
})

test('F5: where somebody else has written since, committing again after a cut is refused rather than counted twice', async (t) => {
  const { manager, store } = fixture()
  const id = await counter(manager)
  const session = await manager.open(id)
  session.update('n', (n = 0) => n + 1)
  store.hold()
  await t.throwsAsync(manager.commit(session), LATE)
  store.release()
  const other = await manager.open(id)
  other.set('other', true)
  await manager.commit(other)
  await t.throwsAsync(manager.commit(session), { code: 'ERR_SESSION_STORE', message: /open it again/ })
  t.is((await manager.open(id)).get('n'), 1)
})

test('F2: a session whose first write was cut off gets another ID, so that a record which arrives late is reached by none', async (t) => {
  for (const arrives of [true, false]) {
    const { manager, store } = fixture()
    const session = manager.begin().set('n', 1)
    store.hold()
    if (!arrives) store.before = async () => new Promise(() => {})
    await t.throwsAsync(manager.commit(session), LATE)
    store.before = () => {}
    store.release()
    session.regenerate()
    t.is(await manager.commit(session), 'ok')
    t.is(await store.count(), arrives ? 2 : 1)
    t.is((await manager.open(session.id)).get('n'), 1)
  }
})

test('a session that was ended while a write of it was cut off is gone for whoever commits again', async (t) => {
  const { manager, store } = fixture()
  const id = await counter(manager)
  const session = await manager.open(id)
  session.set('a', 1)
  store.hold()
  await t.throwsAsync(manager.commit(session), LATE)
  store.release()
  await manager.destroy(id)
  t.is(await manager.commit(session), 'gone')
  t.is(await manager.find(id), undefined)
})

test('F19: a commit that only ever meets conflicts ends by its deadline', async (t) => {
  const { manager, store } = fixture()
  const id = await counter(manager)
  const other = new SessionManager({ store: store.inner })
  const session = (await manager.open(id)).set('a', 1)
  let times = 0
  store.before = async (verb) => {
    if (verb === 'replace') await other.commit((await other.open(id)).set('times', (times += 1)))
  }
  await t.throwsAsync(manager.commit(session), LATE)
})

test('F19: who waits for others that change the same session waits no longer than its own commit may take', async (t) => {
  const { manager, store } = fixture({ commitTimeout: 60_000 })
  const hasty = new SessionManager({ store, commitTimeout: 500 })
  const id = await counter(manager)
  const [first, second, third] = [await hasty.open(id), await hasty.open(id), await hasty.open(id)]
  for (const session of [first, second, third]) session.update('n', (n = 0) => n + 1)
  await hasty.commit(first)
  let rereads = 0
  store.before = async (verb) => (verb === 'read' && (rereads += 1) === 1 ? new Promise(() => {}) : undefined)
  const outcomes = await Promise.allSettled([hasty.commit(second), hasty.commit(third)])
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  const fourth = await hasty.open(id)
  fourth.update('n', (n = 0) => n + 1)
  t.is(await hasty.commit(fourth), 'ok', 'nobody who gave up is waited for')
  t.is((await hasty.open(id)).get('n'), 2)
})

test('two commits of one session object share no deadline, and the second one waits no longer than its own', async (t) => {
  const { manager, store } = fixture()
  const session = await manager.open(await counter(manager))
  session.set('a', 1)
  store.hold()
  const commits = [manager.commit(session), manager.commit(session)]
  for (const commit of commits) await t.throwsAsync(commit, LATE)
  store.release()
  t.is(await manager.commit(session), 'ok')
})

test.serial(
  'security 53: a wall clock that jumps ends no call, and a call in time costs no timer',
  async (t) => {
    const clock = { now: Date.now() }
    const store = new HeldStore(() => clock.now)
    const manager = new SessionManager({
      store,
      now: () => clock.now,
      absoluteTimeout: 1e12,
      sweepInterval: 0,
    })
    const id = await counter(manager)
    const { setTimeout: original } = globalThis
    t.teardown(() => void Object.assign(globalThis, { setTimeout: original }))
    let timers = 0
    const counting = new Proxy(original, {
      apply: (target, self, args) => ((timers += 1), Reflect.apply(target, self, args)),
    })
    Object.assign(globalThis, { setTimeout: counting })
    for (let times = 0; times < 1_000; times += 1) {
      const session = await manager.open(id)
      session.update('n', (n = 0) => n + 1)
      await manager.commit(session)
    }
    t.true(timers <= 2, `${timers} timers`)
    store.hold()
    const opening = manager.open(id)
    clock.now += 1_000_000
    store.release()
    t.is((await opening).get('n'), 1_000)
  },
)

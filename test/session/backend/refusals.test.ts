import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import {
  session,
  SessionError,
  SessionManager,
  type ManagerOptions,
  type SessionEvent,
} from '../../../src/index.ts'
import { stateOf } from '../../../src/session/session.ts'
import { serve } from '../../support/client.ts'
import { SpiedStore } from '../../support/spied-store.ts'

// What a store that answers with a refusal costs, as opposed to one that is silent.

const MINUTE = 60_000
const WRITES: ReadonlySet<string> = new Set(['create', 'replace'])
const ALL_WRITES: ReadonlySet<string> = new Set(['create', 'replace', 'touch', 'destroy'])
const REFUSED = { code: 'ERR_SESSION_STORE', status: 503, answered: true }

async function assertRefused(t: ExecutionContext, doing: Promise<unknown>): Promise<void> {
  t.like(await t.throwsAsync(doing), REFUSED)
}

/** How stores of different authors say that they refuse. */
const refusals: Readonly<Record<string, () => Error>> = {
  'a SessionError with answered': () =>
    new SessionError('ERR_SESSION_STORE', 'memory: full', { answered: true }),
  'an error of its own with answered': () => Object.assign(new Error('full'), { answered: true }),
}

interface World {
  readonly clock: { now: number }
  readonly store: SpiedStore
  readonly manager: SessionManager
  readonly options: ManagerOptions<undefined>
  readonly seen: (type: SessionEvent['type']) => number
  /** From now on these verbs are refused. */
  refuse(verbs: ReadonlySet<string>, error?: () => Error): void
  /** From now on all verbs work. */
  admit(): void
  stored(values?: object): Promise<string>
}

function world(options: ManagerOptions<undefined> = {}): World {
  const clock = { now: Date.UTC(2026, 0, 1) }
  const store = new SpiedStore(() => clock.now)
  const events: SessionEvent[] = []
  const settings: ManagerOptions<undefined> = {
    store,
    now: () => clock.now,
    sweepInterval: 0,
    onEvent: (event) => events.push(event),
    ...options,
  }
  const manager = new SessionManager(settings)
  return {
    clock,
    store,
    manager,
    options: settings,
    seen: (type) => events.filter((event) => event.type === type).length,
    refuse(verbs, error = refusals['a SessionError with answered'] ?? Error) {
      store.before = (verb) => {
        if (verbs.has(verb)) throw error()
      }
    },
    admit() {
      store.before = () => {}
    },
    async stored(values = { n: 1 }) {
      const session = manager.begin()
      for (const [key, value] of Object.entries(values)) session.set(key, value)
      await manager.commit(session)
      return session.id
    },
  }
}

for (const [kind, error] of Object.entries(refusals)) {
  test(`F27: a store that refuses writes by ${kind} does not count as down: reads, touches and logouts go on`, async (t) => {
    const { manager, refuse, seen, stored, clock } = world({ idleTimeout: 10 * MINUTE })
    const [id, other] = [await stored(), await stored()]
    refuse(WRITES, error)
    for (let times = 0; times < 20; times += 1) {
      const fresh = manager.begin().set('n', 1)
      await assertRefused(t, manager.commit(fresh))
      const changed = (await manager.open(id)).set('n', 2)
      await assertRefused(t, manager.commit(changed))
      clock.now += 2 * MINUTE
      const looking = await manager.open(id)
      t.is(looking.get('n'), 1)
      t.is(await manager.commit(looking), 'ok')
    }
    t.is(seen('store-failed'), 40)
    t.is(seen('store-down'), 0)
    t.is(seen('store-refused'), 0)
    await manager.destroy(await manager.open(id))
    t.true((await manager.open(id)).isNew)
    await manager.destroy(other)
    t.true((await manager.open(other)).isNew)
  })
}

test('F27: an error that does not say that it was an answer counts as silence, whatever it says otherwise', async (t) => {
  for (const answered of [undefined, false, 'true', 1]) {
    const { manager, refuse, seen, stored } = world()
    const id = await stored()
    refuse(new Set(['read']), () => Object.assign(new Error('OOM'), { answered }))
    for (let times = 0; times < 5; times += 1) {
      const error = await t.throwsAsync(manager.open(id))
      t.like(error, { code: 'ERR_SESSION_STORE', answered: false })
    }
    t.is(seen('store-down'), 1)
  }
})

test('an answer between silences begins their count anew', async (t) => {
  const { manager, refuse, seen, stored } = world()
  const id = await stored()
  for (let round = 0; round < 3; round += 1) {
    refuse(new Set(['read']), () => new Error('reset'))
    for (let times = 0; times < 4; times += 1) await t.throwsAsync(manager.open(id))
    refuse(new Set(['read']))
    await assertRefused(t, manager.open(id))
  }
  t.is(seen('store-down'), 0)
})

test('a refusal closes an open circuit: as the answer to a probe, to a logout and to health()', async (t) => {
  for (const act of ['destroy', 'health'] as const) {
    const { manager, refuse, seen, stored } = world()
    const id = await stored()
    const ending = await manager.open(id)
    refuse(new Set(['read']), () => new Error('reset'))
    for (let times = 0; times < 5; times += 1) await t.throwsAsync(manager.open(id))
    refuse(new Set(['read', 'destroy']))
    if (act === 'health') t.false((await manager.health()).ok, 'it cannot be read')
    else await assertRefused(t, manager.destroy(ending))
    t.is(seen('store-up'), 1)
  }
})

test('a sweep that is refused is reported, and does not count as silence', async (t) => {
  const { manager, store, seen, stored } = world()
  const id = await stored()
  store.sweep = async () => {
    throw new SessionError('ERR_SESSION_STORE', 'memory: read-only', { answered: true })
  }
  for (let times = 0; times < 10; times += 1) await assertRefused(t, manager.sweep())
  t.is(seen('store-failed'), 10)
  t.is((await manager.open(id)).get('n'), 1)
})

test('F27: a write that is refused is sent once, and is not taken for one of unknown outcome', async (t) => {
  const { manager, store, refuse, admit, stored } = world()
  const id = await stored()
  const session = (await manager.open(id)).set('n', 2)
  refuse(WRITES)
  store.calls.length = 0
  await assertRefused(t, manager.commit(session))
  t.deepEqual(store.calls, ['replace', 'read'])
  t.is(stateOf(session).unsettled, undefined)
  admit()
  store.calls.length = 0
  t.is(await manager.commit(session), 'ok')
  t.deepEqual(store.calls, ['replace'])
  t.is((await manager.open(id)).get('n'), 2)
})

test('a session whose create is refused keeps its ID, known or not, and is created once there is room', async (t) => {
  for (const isKnown of [true, false]) {
    const { manager, store, refuse, admit } = world()
    const session = manager.begin().set('n', 1)
    const known = isKnown ? session.id : undefined
    refuse(WRITES)
    store.calls.length = 0
    store.keys.clear()
    for (let times = 0; times < 3; times += 1) await assertRefused(t, manager.commit(session))
    t.deepEqual(store.calls, ['create', 'read', 'create', 'read', 'create', 'read'])
    t.is(store.keys.size, 1)
    admit()
    t.is(await manager.commit(session), 'ok')
    t.is(session.id, known ?? session.id)
    t.is((await manager.open(session.id)).get('n'), 1)
  }
})

test('a write that was applied before the store refused counts as stored', async (t) => {
  const { manager, store, stored } = world()
  const id = await stored()
  // Such as a file that is in place when the folder around it cannot be written to disk.
  store.after = (verb) => {
    if (WRITES.has(verb)) throw new SessionError('ERR_SESSION_STORE', 'memory: full', { answered: true })
  }
  const session = (await manager.open(id)).set('n', 2)
  t.is(await manager.commit(session), 'ok')
  const fresh = manager.begin().set('n', 5)
  t.is(await manager.commit(fresh), 'ok')
  t.deepEqual([(await manager.open(id)).get('n'), (await manager.open(fresh.id)).get('n')], [2, 5])
})

test('where neither the write nor a look at it is answered well, the outcome stays unknown', async (t) => {
  const { manager, refuse, stored } = world()
  const id = await stored()
  const session = (await manager.open(id)).set('n', 2)
  refuse(new Set([...WRITES, 'read']))
  await assertRefused(t, manager.commit(session))
  t.not(stateOf(session).unsettled, undefined)
})

test('a store that rejects two writes with one error object has still refused both', async (t) => {
  const { manager, store, refuse, stored } = world()
  const id = await stored()
  const error = new SessionError('ERR_SESSION_STORE', 'memory: full', { answered: true })
  refuse(WRITES, () => error)
  await assertRefused(t, manager.commit((await manager.open(id)).set('n', 2)))
  // The second one is applied, in spite of the same error.
  store.before = () => {}
  store.after = (verb) => {
    if (verb === 'replace') throw error
  }
  t.is(await manager.commit((await manager.open(id)).set('n', 3)), 'ok')
  t.is((await manager.open(id)).get('n'), 3)
})

test('a look at a session succeeds although the store refuses to extend its life', async (t) => {
  const { manager, refuse, admit, stored, clock, seen } = world({ idleTimeout: 10 * MINUTE })
  const id = await stored()
  // A store that reads without extending, as most do.
  refuse(ALL_WRITES)
  clock.now += 5 * MINUTE
  const session = await manager.open(id, { passive: true })
  t.is(session.get('n'), 1)
  t.is(await manager.commit(session), 'ok')
  admit()
  t.is((await manager.open(id)).get('n'), 1)
  t.is(seen('store-down'), 0)
})

test('F27: a look at a session succeeds although the store refuses a touch', async (t) => {
  const { manager, store, refuse, stored, clock, seen } = world({ idleTimeout: 10 * MINUTE })
  const id = await stored()
  const read = store.inner.read.bind(store.inner)
  store.inner.read = async (key) => read(key)
  refuse(ALL_WRITES)
  clock.now += 5 * MINUTE
  const session = await manager.open(id)
  t.is(await manager.commit(session), 'ok')
  t.true(store.calls.includes('touch'))
  t.is(seen('store-failed'), 1, 'and the operator is told')
  clock.now += 5 * MINUTE
  t.true((await manager.open(id)).isNew, 'its life was not extended')
})

test('a look at a session whose seal should be renewed succeeds although the store refuses to write', async (t) => {
  const keys = [randomBytes(32), randomBytes(32)] as const
  const { store, options, refuse } = world()
  const before = new SessionManager({ ...options, seal: { keys: [keys[0]] } })
  const session = before.begin().set('n', 1)
  await before.commit(session)
  const after = new SessionManager({ ...options, seal: { keys: [keys[1], keys[0]] } })
  refuse(ALL_WRITES)
  store.calls.length = 0
  const looking = await after.open(session.id)
  t.is(looking.get('n'), 1)
  t.is(await after.commit(looking), 'ok')
  t.deepEqual(store.calls, ['read', 'replace', 'read'])
})

test('a session past its absolute timeout is absent although the store refuses to remove it', async (t) => {
  const { manager, refuse, stored, clock, options, store, seen } = world()
  const id = await stored()
  refuse(ALL_WRITES)
  const strict = new SessionManager({ ...options, absoluteTimeout: 30 * MINUTE, idleTimeout: 30 * MINUTE })
  clock.now += 30 * MINUTE
  t.true((await strict.open(id)).isNew)
  t.true(store.calls.includes('destroy'))
  t.is(seen('expired'), 1)
  t.is((await manager.open(id)).get('n'), 1)
})

for (const refused of ['create', 'replace'] as const) {
  test(`an ID that should be rotated stays if the store refuses the ${refused}, and the look at the session succeeds`, async (t) => {
    const { store, options, refuse, admit, clock, seen } = world()
    const koa = new Koa().use(session({ ...options, rotateAfter: MINUTE }))
    koa.use((ctx) => {
      if (ctx.path === '/begin') ctx.session.set('n', 1)
      ctx.body = { n: ctx.session.get('n') ?? null }
    })
    const visitor = (await serve(t, koa)).client()
    await visitor.get('/begin')
    clock.now += MINUTE
    refuse(new Set([refused]))
    for (let times = 0; times < 8; times += 1) {
      const { status, text } = await visitor.get('/')
      t.deepEqual([status, text], [200, '{"n":1}'])
    }
    t.is(seen('rotated'), 0)
    t.is(await store.count(), 1, 'no record is left under an ID that no client has')
    admit()
    await visitor.get('/')
    t.is(seen('rotated'), 1)
  })
}

test('a regenerate() that is refused leaves the session under its ID, in one record', async (t) => {
  for (const refused of ['create', 'replace'] as const) {
    const { manager, store, refuse, admit, stored } = world()
    const id = await stored()
    const session = (await manager.open(id)).set('user', 'ann')
    refuse(new Set([refused]))
    await assertRefused(t, manager.regenerate(session))
    t.is(await store.count(), 1)
    t.is((await manager.open(id)).get('user'), undefined)
    admit()
    t.is(await manager.commit(session), 'ok')
    t.true((await manager.open(id)).isNew)
    t.is((await manager.open(session.id)).get('user'), 'ann')
  }
})

test('a logout that meets a write of another request succeeds although no tombstone can be stored', async (t) => {
  const { manager, store, refuse, stored } = world()
  const id = await stored()
  const leaving = await manager.open(id)
  await manager.commit((await manager.open(id)).set('n', 2))
  refuse(new Set(['create']))
  store.calls.length = 0
  await manager.destroy(leaving)
  t.deepEqual(store.calls.slice(0, 2), ['destroy', 'create'])
  t.is(await store.count(), 0)
  t.true((await manager.open(id)).isNew)
})

test('a logout that the store refuses is an error, and the session is still there', async (t) => {
  const { manager, store, refuse, admit, stored } = world()
  const id = await stored()
  refuse(ALL_WRITES)
  const session = await manager.open(id)
  store.calls.length = 0
  await assertRefused(t, manager.destroy(session))
  t.true(store.calls.filter((verb) => verb === 'destroy').length <= 2)
  admit()
  t.is((await manager.open(id)).get('n'), 1)
  await manager.destroy(session)
  t.true((await manager.open(id)).isNew)
})

test('security 53 and 54: reading that is refused follows onStoreError, and its error says that it was an answer', async (t) => {
  for (const onStoreError of ['throw', 'anonymous'] as const) {
    const { options, refuse, seen } = world()
    const errors: unknown[] = []
    const koa = new Koa().use(session({ ...options, onStoreError }))
    koa.on('error', (error: unknown) => errors.push(error))
    koa.use((ctx) => {
      ctx.body = ctx.path === '/begin' ? ctx.session.set('n', 1).id : String(ctx.session.isReadOnly)
      if (ctx.path === '/write') ctx.session.set('n', 2)
    })
    const visitor = (await serve(t, koa)).client()
    await visitor.get('/begin')
    refuse(new Set(['read']))
    for (let times = 0; times < 8; times += 1) {
      const { status, text } = await visitor.get('/')
      t.deepEqual([status, text], onStoreError === 'throw' ? [503, 'Service Unavailable'] : [200, 'true'])
      t.is((await visitor.get('/write')).status, 503)
    }
    t.true(errors.length >= 8)
    for (const error of errors) t.like(error, REFUSED)
    t.is(seen('store-down'), 0)
  }
})

test('looks at the session of an owner succeed although the store refuses to write, however often it is verified', async (t) => {
  const { manager, refuse, clock, seen } = world({ idleTimeout: 10 * MINUTE, owners: { verifyEvery: 0 } })
  const session = manager.begin().set('n', 1)
  session.signIn('ann')
  t.is(await manager.commit(session), 'ok')
  refuse(ALL_WRITES)
  for (let times = 0; times < 8; times += 1) {
    clock.now += MINUTE
    const looking = await manager.open(session.id)
    t.is(looking.get('n'), 1)
    t.is(await manager.commit(looking), 'ok')
  }
  t.is(seen('store-down'), 0)
  const late = manager.begin().set('n', 1)
  late.signIn('ann')
  await assertRefused(t, manager.commit(late))
})

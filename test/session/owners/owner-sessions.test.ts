import { randomBytes } from 'node:crypto'
import test from 'ava'
import { SessionError, SessionManager, type ManagerOptions, type SessionEvent } from '../../../src/index.ts'
import { hashId } from '../../../src/session/id.ts'
import { Gate } from '../../support/gate.ts'
import { SpiedStore } from '../../support/spied-store.ts'

const MINUTE = 60_000

interface Fixture {
  readonly manager: SessionManager
  readonly store: SpiedStore
  readonly events: SessionEvent[]
  readonly turn: (ms: number) => void
  /** A new session, signed in. Returns its ID. */
  readonly login: (label?: string) => Promise<string>
  readonly usable: (ids: readonly string[]) => Promise<boolean[]>
}

function fixture(options: ManagerOptions<undefined> = {}): Fixture {
  let now = Date.UTC(2026, 0, 1)
  const store = new SpiedStore(() => now)
  const events: SessionEvent[] = []
  const manager = new SessionManager({
    store,
    now: () => now,
    sweepInterval: 0,
    onEvent: (event) => events.push(event),
    ...options,
  })
  return {
    manager,
    store,
    events,
    turn: (ms) => (now += ms),
    login: async (label) => {
      const session = manager.begin()
      session.signIn('ann', label === undefined ? {} : { label })
      await session.commit()
      return session.id
    },
    usable: async (ids) => Promise.all(ids.map(async (id) => (await manager.find(id))?.owner?.id === 'ann')),
  }
}

test('a session that signs in belongs to its owner, under a new ID, and is listed', async (t) => {
  const { manager, events, turn } = fixture()
  const anonymous = manager.begin().set('cart', ['tea'])
  await anonymous.commit()
  const session = await manager.open(anonymous.id)
  const since = await manager.sessionsOf('ann').since()
  session.signIn('ann', { since, label: 'Firefox on Windows' })
  t.is(await session.commit(), 'ok')
  t.is(await manager.find(anonymous.id), undefined)
  const again = await manager.open(session.id)
  t.deepEqual(again.get('cart'), ['tea'])
  t.like(again.owner, { id: 'ann', signedInAt: Date.UTC(2026, 0, 1) })
  turn(10 * MINUTE)
  await (await manager.open(session.id)).commit()
  const [listed, ...others] = await manager.sessionsOf('ann').list()
  t.deepEqual(others, [])
  t.like(listed, {
    handle: session.handle,
    label: 'Firefox on Windows',
    signedInAt: Date.UTC(2026, 0, 1),
    lastUsedAt: Date.UTC(2026, 0, 1) + 10 * MINUTE,
  })
  t.deepEqual(
    events.filter(({ type }) => type === 'signed-in'),
    [{ type: 'signed-in', handle: session.handle, sessions: 1, isNewDevice: false }],
  )
})

test('security 25, 27: one session is ended by its handle, all others, or all', async (t) => {
  const { manager, login, usable } = fixture()
  const anns = manager.sessionsOf('ann')
  const ids = [await login('a'), await login('b'), await login('c'), await login('d')]
  const list = await anns.list()
  t.is(list.length, 4)
  const b = list.find(({ label }) => label === 'b')
  t.true(await anns.end(b?.handle ?? ''))
  t.false(await anns.end(b?.handle ?? ''))
  t.deepEqual(await usable(ids), [true, false, true, true])
  const kept = await manager.open(ids[2])
  t.is(await anns.endAll({ except: kept }), 2)
  t.deepEqual(await usable(ids), [false, false, true, false])
  t.is(await anns.endAll(), 1)
  t.deepEqual(await usable(ids), [false, false, false, false])
  t.deepEqual(await anns.list(), [])
})

test('endAll takes one call for each session, and three more', async (t) => {
  const { manager, login, store } = fixture()
  for (let made = 0; made < 10; made += 1) await login()
  store.calls.length = 0
  t.is(await manager.sessionsOf('ann').endAll(), 10)
  t.deepEqual(store.calls, ['read', 'replace', ...Array.from({ length: 10 }, () => 'destroy'), 'replace'])
})

test('a sign-in whose fence is older than an endAll is refused, and its client keeps the session it had', async (t) => {
  const { manager, events } = fixture()
  const anns = manager.sessionsOf('ann')
  const since = await anns.since()
  const anonymous = manager.begin().set('cart', 1)
  await anonymous.commit()
  const session = await manager.open(anonymous.id)
  await anns.endAll()
  session.signIn('ann', { since })
  await t.throwsAsync(session.commit(), { code: 'ERR_SESSION_CONFLICT', message: /credentials/ })
  t.is((await manager.open(anonymous.id)).get('cart'), 1)
  t.is(session.owner, undefined)
  t.deepEqual(await anns.list(), [])
  t.true(events.some((event) => event.type === 'sign-in-refused' && event.reason === 'ended'))

  const fresh = manager.begin()
  fresh.signIn('ann', { since })
  await t.throwsAsync(fresh.commit(), { code: 'ERR_SESSION_CONFLICT' })
  t.is(await manager.find(fresh.id), undefined)
})

test('a sign-in that is refused, since another request has given the session a new ID, leaves it without an owner', async (t) => {
  const { manager } = fixture()
  const anonymous = manager.begin().set('cart', 1)
  await anonymous.commit()
  const [one, other] = [await manager.open(anonymous.id), await manager.open(anonymous.id)]
  one.signIn('ann')
  other.signIn('ann')
  t.is(await one.commit(), 'ok')
  await t.throwsAsync(other.commit(), { code: 'ERR_SESSION_CONFLICT' })
  t.is(other.owner, undefined)
  t.false(other.isFresh(MINUTE))
  const list = await manager.sessionsOf('ann').list()
  t.deepEqual(
    list.map(({ handle }) => handle),
    [one.handle],
  )
})

test('what is cached of an owner in another process does not matter: a session that was ended is ended at once', async (t) => {
  const { manager, store, login } = fixture()
  const other = new SessionManager({ store, sweepInterval: 0 })
  const id = await login()
  const open = await manager.open(id)
  await other.sessionsOf('ann').endAll()
  t.is(await open.set('late', 1).commit(), 'gone')
})

for (const [whenFull, left] of [
  ['oldest', [false, true, true]],
  ['unused', [true, false, true]],
] as const) {
  test(`with whenFull ${whenFull} a sign-in beyond max ends that session`, async (t) => {
    const { manager, login, usable, turn } = fixture({ owners: { max: 2, whenFull } })
    const ids = [await login()]
    turn(MINUTE)
    ids.push(await login())
    turn(MINUTE)
    await (await manager.open(ids[0])).commit()
    ids.push(await login())
    t.deepEqual(await usable(ids), left)
    t.is((await manager.sessionsOf('ann').list()).length, 2)
  })
}

test('with whenFull refuse a sign-in beyond max is refused, until a session has ended', async (t) => {
  const { manager, login } = fixture({ owners: { max: 2, whenFull: 'refuse' } })
  const ids = [await login(), await login()]
  await t.throwsAsync(login(), { code: 'ERR_SESSION_LIMIT' })
  await (await manager.open(ids[0])).destroy()
  t.is(typeof (await login()), 'string')
})

test('security 26: of 20 sign-ins at once with a max of 5 never more than 5 are usable', async (t) => {
  const { manager, usable } = fixture({ owners: { max: 5 } })
  const ids = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const session = manager.begin()
      session.signIn('ann')
      await session.commit()
      return session.id
    }),
  )
  const left = (await usable(ids)).filter(Boolean).length
  t.is(left, 5)
  t.is((await manager.sessionsOf('ann').list()).length, 5)
})

test('a sign-in to a session that is logged out meanwhile begins a new one, with its owner and nothing else', async (t) => {
  const { manager } = fixture()
  const anonymous = manager.begin().set('cart', 1)
  await anonymous.commit()
  const session = await manager.open(anonymous.id)
  await manager.destroy(anonymous.id)
  session.set('more', 1).signIn('ann')
  t.is(await session.commit(), 'ok')
  const again = await manager.open(session.id)
  t.is(again.owner?.id, 'ann')
  t.deepEqual([...again], [])
  t.is((await manager.sessionsOf('ann').list()).length, 1)
})

test('regenerate() keeps a session listed under its new key, and a logout takes it off the list', async (t) => {
  const { manager, login } = fixture()
  const session = await manager.open(await login())
  await manager.regenerate(session)
  const [listed] = await manager.sessionsOf('ann').list()
  t.is(listed?.handle, session.handle)
  t.is(await manager.sessionsOf('ann').endAll(), 1)
  t.is(await manager.find(session.id), undefined)
})

test('a session that was ended cannot be regenerated', async (t) => {
  const { manager, login } = fixture()
  const session = await manager.open(await login())
  await manager.sessionsOf('ann').endAll()
  session.regenerate()
  await t.throwsAsync(session.commit(), { code: 'ERR_SESSION_CONFLICT' })
  t.is(await manager.find(session.id), undefined)
})

test('an ordinary request of a signed-in session takes the calls that it took, and one more per verifyEvery', async (t) => {
  const { manager, login, store, turn } = fixture({ owners: { verifyEvery: MINUTE } })
  const id = await login()
  store.calls.length = 0
  await (await manager.open(id)).set('a', 1).commit()
  t.deepEqual(store.calls, ['read', 'replace'])
  turn(MINUTE)
  store.calls.length = 0
  await (await manager.open(id)).set('a', 2).commit()
  t.deepEqual(store.calls, ['read', 'read', 'replace'])
})

test('if the record of an owner is lost, each of its sessions ends with the first request after verifyEvery', async (t) => {
  const { manager, login, store, turn, events } = fixture({ owners: { verifyEvery: MINUTE } })
  const id = await login()
  const [record] = [...store.keys].filter((key) => key !== undefined)
  t.true(store.keys.size >= 2)
  for (const key of store.keys) {
    const entry = await store.inner.read(key)
    if (entry?.payload.includes('role=owner') === true) await store.inner.destroy(key)
  }
  t.truthy(record)
  t.is(await (await manager.open(id)).set('a', 1).commit(), 'ok')
  turn(MINUTE)
  t.is(await (await manager.open(id)).set('a', 2).commit(), 'gone')
  t.is(await manager.find(id), undefined)
  t.true(events.some(({ type }) => type === 'unlisted'))
})

test('after the record of an owner is lost, a session is not taken for listed because another sign-in had its handle', async (t) => {
  const { manager, store, turn } = fixture({ owners: { verifyEvery: MINUTE } })
  const anonymous = manager.begin().set('cart', 1)
  await anonymous.commit()
  const [one, other] = [await manager.open(anonymous.id), await manager.open(anonymous.id)]
  one.signIn('ann')
  await one.commit()
  await store.inner.destroy(await ownersKey(store))
  other.signIn('ann')
  await t.throwsAsync(other.commit(), { code: 'ERR_SESSION_CONFLICT' }) // and has listed its own key before
  turn(MINUTE)
  t.is(await (await manager.open(one.id)).set('a', 1).commit(), 'gone')
  t.is(await manager.find(one.id), undefined)
})

async function ownersKey(store: SpiedStore): Promise<string> {
  for (const key of store.keys)
    if ((await store.inner.read(key))?.payload.includes('role=owner') === true) return key
  throw new Error('there is no record of an owner')
}

test('F14: a damaged record of an owner claims nothing, begins anew with a sign-in, and what it had listed ends', async (t) => {
  const { manager, login, store, turn, events } = fixture({ owners: { verifyEvery: MINUTE } })
  const id = await login()
  const key = await ownersKey(store)
  const entry = await store.inner.read(key)
  if (entry === undefined) return t.fail()
  await store.inner.replace(key, entry.payload.replace('"at"', '"ta"'), entry.expiresAt, entry)
  const anns = manager.sessionsOf('ann')
  for (const failing of [anns.endAll(), anns.list(), anns.end('x')])
    await t.throwsAsync(failing, { code: 'ERR_SESSION_PAYLOAD' })
  const another = await login()
  t.is(events.filter(({ type }) => type === 'owner-repaired').length, 1)
  t.is((await anns.list()).length, 1)
  turn(MINUTE)
  t.is(await (await manager.open(id)).set('a', 1).commit(), 'gone')
  t.is(await (await manager.open(another)).set('a', 1).commit(), 'ok')
})

test('a store that does not say what an owner has fails no request, and is asked again', async (t) => {
  const { manager, login, store, turn } = fixture({ owners: { verifyEvery: MINUTE } })
  const id = await login()
  const key = await ownersKey(store)
  turn(MINUTE)
  const { read } = store
  store.read = async (asked, extendTo) => {
    if (asked === key) throw new Error('no answer')
    return read.call(store, asked, extendTo)
  }
  t.is(await (await manager.open(id)).set('a', 1).commit(), 'ok')
  store.read = read
  await store.inner.destroy(key)
  t.is(await (await manager.open(id)).set('a', 2).commit(), 'gone')
})

test('refresh() that cannot tell a session, since others keep writing to it, does not claim to have done so', async (t) => {
  const { manager, login, store } = fixture({ pause: async () => {} })
  await login()
  const key = await ownersKey(store)
  const { replace } = store
  store.replace = async (asked, ...rest) => (asked === key ? replace.call(store, asked, ...rest) : 'conflict')
  await t.throwsAsync(manager.sessionsOf('ann').refresh(), { code: 'ERR_SESSION_CONFLICT' })
})

test('a session whose record cannot be read here is listed, and can be ended', async (t) => {
  const { manager, login, store } = fixture()
  const ids = [await login('a'), await login('b')]
  const key = hashId(ids[0] ?? '')
  const { read } = store
  store.read = async (asked, extendTo) => {
    if (asked === key) throw new SessionError('ERR_SESSION_PAYLOAD', 'another seal')
    return read.call(store, asked, extendTo)
  }
  const anns = manager.sessionsOf('ann')
  const list = await anns.list()
  t.deepEqual(list.map(({ label }) => label).toSorted(), ['a', 'b'])
  t.true(await anns.end(list.find(({ label }) => label === 'a')?.handle ?? ''))
  t.deepEqual(
    (await anns.list()).map(({ label }) => label),
    ['b'],
  )
})

test('security 60: confirm() makes the session fresh under a new ID, and time makes it stale', async (t) => {
  const { manager, login, turn } = fixture()
  const session = await manager.open(await login())
  const { id } = session
  t.true(session.isFresh(5 * MINUTE))
  turn(5 * MINUTE)
  t.false(session.isFresh(5 * MINUTE))
  session.confirm('otp')
  t.is(await session.commit(), 'ok')
  t.not(session.id, id)
  const again = await manager.open(session.id)
  t.true(again.isFresh(5 * MINUTE))
  t.true(again.isFresh(5 * MINUTE, 'otp'))
  t.false(again.isFresh(5 * MINUTE, 'password'))
})

test('refresh() tells all sessions of an owner that the rights have changed, until each has read them', async (t) => {
  const { manager, login } = fixture()
  const ids = [await login(), await login()]
  await manager.sessionsOf('ann').refresh()
  for (const id of ids) {
    const session = await manager.open(id)
    t.true(session.isOutdated)
    session.refreshed()
    await session.commit()
    t.false((await manager.open(id)).isOutdated)
  }
  await manager.sessionsOf('ann').refresh()
  t.true((await manager.open(ids[0])).isOutdated)
})

/** The next call of this verb with this key waits at the gate. */
function hold(store: SpiedStore, verb: string, key: string): Gate {
  const gate = new Gate()
  let isHeld = false
  store.before = async (each, asked) => {
    if (isHeld || each !== verb || asked !== key) return
    isHeld = true
    await gate.pass()
  }
  return gate
}

test('a refresh() that is slow does not take back what a later one has told a session which has caught up with the first', async (t) => {
  const { manager, login, store } = fixture()
  const other = fixture({ store }).manager
  const session = await manager.open(await login())
  await manager.regenerate(session) // so it is listed under two keys, and is marked by way of each
  const key = hashId(session.id)
  const gate = hold(store, 'read', key)
  const marked = new Promise<void>((resolve) => {
    store.after = (verb, asked) => {
      if (verb === 'replace' && asked === key) resolve()
    }
  })
  const slow = manager.sessionsOf('ann').refresh()
  await gate.arrived
  await marked
  const reading = await other.open(session.id)
  t.true(reading.isOutdated)
  reading.refreshed()
  await reading.commit()
  t.false((await other.open(session.id)).isOutdated)
  await other.sessionsOf('ann').refresh()
  gate.open()
  await slow
  t.true((await other.open(session.id)).isOutdated)
})

test('refresh() tells a session that is given a new ID meanwhile, and whose redirect another request removes', async (t) => {
  const { manager, login, store } = fixture()
  const other = fixture({ store }).manager
  const id = await login()
  const gate = hold(store, 'read', hashId(id))
  const refreshing = manager.sessionsOf('ann').refresh()
  await gate.arrived
  const session = await other.open(id)
  await other.regenerate(session)
  await store.inner.destroy(hashId(id)) // as one does that is about to end the session, and crashes
  gate.open()
  await refreshing
  t.true((await other.open(session.id)).isOutdated)
})

test('security 29: a stolen copy of all that is stored opens nothing', async (t) => {
  const { manager, store, login } = fixture()
  const session = await manager.open(await login('a laptop'))
  await manager.regenerate(session)
  const texts = new Set<string>()
  for (const key of store.keys) {
    texts.add(key)
    const { payload = '' } = (await store.inner.read(key)) ?? {}
    t.false(payload.includes(session.id))
    for (const text of payload.split(/[^\w-]+/)) texts.add(text)
  }
  t.true(texts.size > 20)
  for (const text of texts) t.is(await manager.find(text), undefined)
})

test('with a seal the record of an owner is sealed too', async (t) => {
  const { manager, store, login } = fixture({ seal: { keys: [randomBytes(32)] } })
  const ids = [await login('a laptop'), await login()]
  for (const key of store.keys) {
    const entry = await store.inner.read(key)
    t.notRegex(entry?.payload ?? '', /laptop|ann|epoch/)
  }
  t.is(await manager.sessionsOf('ann').endAll({ except: await manager.open(ids[0]) }), 1)
})

test('owners of the same ID in two tenants are two', async (t) => {
  const { manager } = fixture()
  const session = manager.begin()
  session.signIn({ tenant: 'a', id: 'ann' })
  await session.commit()
  t.is((await manager.sessionsOf({ tenant: 'b', id: 'ann' }).list()).length, 0)
  t.is((await manager.sessionsOf('ann').list()).length, 0)
  t.is((await manager.sessionsOf({ tenant: 'a', id: 'ann' }).list()).length, 1)
})

import test from 'ava'
import {
  createRegistry,
  SessionError,
  SessionManager,
  type ManagerOptions,
  type SessionEvent,
} from '../../src/index.ts'
import { SpiedStore } from '../support/spied-store.ts'

const HOUR = 3_600_000

class Cart {
  items: string[] = []
  static merge(base: Cart | undefined, mine: Cart, theirs: Cart): Cart {
    const known = new Set(base?.items)
    const merged = new Cart()
    merged.items = [...theirs.items, ...mine.items.filter((item) => !known.has(item))]
    return merged
  }
}
const registry = createRegistry()
registry.registerType(Cart, { merge: Cart.merge })

interface Fixture {
  manager: SessionManager
  store: SpiedStore
  events: SessionEvent[]
  clock: { now: number }
}

function fixture(options: ManagerOptions<undefined> = {}): Fixture {
  const clock = { now: Date.UTC(2026, 0, 1) }
  const store = new SpiedStore(() => clock.now)
  const events: SessionEvent[] = []
  const manager = new SessionManager({
    store,
    registry,
    now: () => clock.now,
    onEvent: (event) => events.push(event),
    ...options,
  })
  return { manager, store, events, clock }
}

async function stored(manager: SessionManager, values: Record<string, unknown>): Promise<string> {
  const session = await manager.open()
  for (const [key, value] of Object.entries(values)) session.set(key, value)
  await manager.commit(session)
  return session.id
}

test('a session is opened, changed, committed and found again by its ID', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { a: 1, when: new Date(0), big: 10n })
  const session = await manager.open(id)
  t.false(session.isNew)
  t.is(session.id, id)
  t.deepEqual(
    [...session],
    [
      ['a', 1],
      ['when', new Date(0)],
      ['big', 10n],
    ],
  )
})

test('security 1: IDs are 256 random bits of one length, and no two are the same', (t) => {
  const { manager } = fixture()
  const ids = Array.from({ length: 20_000 }, () => manager.begin().id)
  t.is(new Set(ids).size, ids.length)
  const ones = Array.from<number>({ length: 256 }).fill(0)
  for (const id of ids) {
    const bytes = Buffer.from(id, 'base64url')
    t.is(bytes.length, 32)
    for (let bit = 0; bit < 256; bit += 1)
      ones[bit] = (ones[bit] ?? 0) + (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1)
  }
  const sigma = Math.sqrt(ids.length) / 2
  t.true(ones.every((count) => Math.abs(count - ids.length / 2) < 6 * sigma))
})

test('security 2: two IDs share no more than chance would, with a prefix only the prefix', (t) => {
  const { manager } = fixture({ idPrefix: 'shop_' })
  const one = manager.begin().id
  const other = manager.begin().id
  t.true(one.startsWith('shop_') && other.startsWith('shop_'))
  t.not(one.slice(5, 13), other.slice(5, 13))
  t.not(one.slice(-8), other.slice(-8))
})

test('security 17: a session that nobody uses ends after its idle timeout, although nothing was swept', async (t) => {
  const { manager, clock } = fixture({ idleTimeout: HOUR })
  const id = await stored(manager, { a: 1 })
  clock.now += HOUR - 1
  t.false((await manager.open(id)).isNew)
  clock.now += HOUR - 1
  t.false((await manager.open(id)).isNew) // looking at it extended its life
  clock.now += HOUR
  t.true((await manager.open(id)).isNew)
})

test('security 18 and 16: it ends after its absolute timeout however it is used, and regenerate does not extend that', async (t) => {
  const { manager, clock, store } = fixture({ idleTimeout: HOUR, absoluteTimeout: 3 * HOUR })
  let id = await stored(manager, { a: 1 })
  const born = clock.now
  for (let used = 0; used < 17; used += 1) {
    clock.now += HOUR / 6 + 1
    const session = await manager.open(id)
    if (used === 10) await manager.regenerate(session)
    else {
      session.set('used', used)
      await manager.commit(session)
    }
    t.is(session.createdAt, born)
    t.true(session.expiresAt <= born + 3 * HOUR)
    id = session.id
  }
  clock.now = born + 3 * HOUR
  t.is(await manager.find(id), undefined)
  t.is(await store.count(), 0)
})

test('a store that lets a record outlive its absolute timeout does not make the session live longer', async (t) => {
  const { manager, clock, store, events } = fixture({ idleTimeout: HOUR, absoluteTimeout: 2 * HOUR })
  const id = await stored(manager, { a: 1 })
  const [key = ''] = store.keys
  await store.inner.touch(key, clock.now + 100 * HOUR)
  clock.now += 2 * HOUR
  t.is(await manager.find(id), undefined)
  t.is(await store.count(), 0)
  t.true(events.some(({ type }) => type === 'expired'))
})

test('where the store does not extend a life while reading, it is touched once per tenth of the idle timeout', async (t) => {
  const { manager, clock, store } = fixture({ idleTimeout: HOUR })
  const read = store.read.bind(store)
  store.read = async (key) => read(key) // as a SQL store does
  const id = await stored(manager, { a: 1 })
  for (let minute = 0; minute < 60; minute += 1) {
    clock.now += 60_000
    const session = await manager.open(id)
    await manager.commit(session)
  }
  const touches = store.calls.filter((verb) => verb === 'touch').length
  t.true(touches >= 8 && touches <= 10, `${touches} touches`)
  clock.now += HOUR - 7 * 60_000
  t.false((await manager.open(id)).isNew)
})

test('disjoint changes of two requests both survive', async (t) => {
  const { manager, events } = fixture()
  const id = await stored(manager, { a: 0, b: 0, c: 0 })
  const one = await manager.open(id)
  const two = await manager.open(id)
  one.set('a', 1)
  two.set('b', 2)
  two.delete('c')
  await manager.commit(one)
  t.is(await manager.commit(two), 'ok')
  t.deepEqual(
    [...(await manager.open(id))],
    [
      ['a', 1],
      ['b', 2],
    ],
  )
  t.true(events.some(({ type }) => type === 'rebased'))
})

test('of two sets of a key that neither request has read the later commit wins', async (t) => {
  const { manager, events } = fixture()
  const id = await stored(manager, { a: 0 })
  const one = await manager.open(id)
  const two = await manager.open(id)
  one.set('a', 1)
  two.set('a', 2)
  await manager.commit(one)
  await manager.commit(two)
  t.is((await manager.open(id)).get('a'), 2)
  t.false(events.some(({ type }) => type === 'conflict'))
})

test('a set of a key that the request has read is refused with 409 if another request has changed it, and an event tells', async (t) => {
  const { manager, events } = fixture()
  const id = await stored(manager, { a: 0 })
  const one = await manager.open(id)
  const two = await manager.open(id)
  for (const session of [one, two]) session.set('a', session.get('a') + 1).set('b', 1)
  t.is(await manager.commit(one), 'ok')
  for (const _ of [1, 2]) {
    await t.throwsAsync(manager.commit(two), {
      code: 'ERR_SESSION_CONFLICT',
      message:
        "a: this request has read and changed it, and another request has changed it since; nothing was stored; change it by session.update(), declare a merge for it, or choose isolation 'last-wins' for it",
    })
  }
  t.deepEqual(
    [...(await manager.open(id))],
    [
      ['a', 1],
      ['b', 1],
    ],
  )
  const told = events.filter(({ type }) => type === 'conflict')
  const refused = { type: 'conflict', handle: two.handle, keys: 1, outcome: 'refused' }
  t.deepEqual(told, [refused, refused])
})

test('update is run again on the newer value, on objects too', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { n: 0, list: ['x'] })
  const sessions = await Promise.all(Array.from({ length: 8 }, async () => manager.open(id)))
  for (const [index, session] of sessions.entries()) {
    session.update('n', (n = 0) => n + 1)
    session.update('n', (n = 0) => n + 1)
    session.update('list', (list) => void list?.push(index))
    session.update('fresh', (n = 100) => n + 1)
  }
  t.deepEqual(
    await Promise.all(sessions.map(async (session) => manager.commit(session))),
    Array(8).fill('ok'),
  )
  const after = await manager.open(id)
  t.is(after.get('n'), 16)
  t.is(after.get('fresh'), 108)
  t.deepEqual(after.get('list').toSorted(), [0, 1, 2, 3, 4, 5, 6, 7, 'x'])
})

test('update stays exact after a commit within the same request', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { n: 0 })
  const [one, other] = [await manager.open(id), await manager.open(id)]
  one.update('n', (n) => n + 1)
  await manager.commit(one)
  other.update('n', (n) => n + 1)
  await manager.commit(other)
  t.is(
    one.update('n', (n) => n + 1),
    2,
  )
  await manager.commit(one)
  t.is((await manager.open(id)).get('n'), 3)
})

test('update that returns nothing keeps the value with what was changed in it, and makes nothing of nothing', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { list: [1] })
  const session = await manager.open(id)
  session.update('list', (list) => void list.push(2))
  t.is(
    session.update('absent', () => {}),
    undefined,
  )
  t.false(session.has('absent'))
  await manager.commit(session)
  t.deepEqual((await manager.open(id)).get('list'), [1, 2])
})

test('a set and an update that commit after a delete win over it, and a delete that commits last wins over them', async (t) => {
  const { manager } = fixture()
  for (const deleterFirst of [true, false]) {
    const id = await stored(manager, { a: 0, n: 5, other: 1 })
    const deleter = await manager.open(id)
    const writer = await manager.open(id)
    for (const key of ['a', 'n']) deleter.delete(key)
    writer.set('a', 1)
    writer.update('n', (n = 0) => n + 1)
    writer.set('mine', true)
    for (const session of deleterFirst ? [deleter, writer] : [writer, deleter])
      t.is(await manager.commit(session), 'ok')
    const expected = deleterFirst ? { a: 1, mine: true, n: 1, other: 1 } : { mine: true, other: 1 }
    t.deepEqual(Object.fromEntries([...(await manager.open(id))].toSorted()), expected)
  }
})

test('a change in place of a value that another request has deleted is refused, and the value stays deleted', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { list: [], other: 1 })
  const deleter = await manager.open(id)
  const writer = await manager.open(id)
  deleter.delete('list')
  writer.get('list').push(1)
  await manager.commit(deleter)
  await t.throwsAsync(manager.commit(writer), {
    code: 'ERR_SESSION_CONFLICT',
    message: /list: .* deleted it/,
  })
  t.deepEqual([...(await manager.open(id)).keys()], ['other'])
})

test('clear forgets what others wrote meanwhile too, and keeps what was set after it', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { a: 0, b: 0 })
  const one = await manager.open(id)
  const two = await manager.open(id)
  one.clear()
  one.set('b', 'mine')
  two.set('c', 'theirs')
  two.set('b', 'theirs')
  await manager.commit(two)
  await manager.commit(one)
  t.deepEqual([...(await manager.open(id))], [['b', 'mine']])
})

test('what is set anew after an own delete stands, although others deleted or changed the key', async (t) => {
  const { manager } = fixture()
  for (const interfere of ['delete', 'set'] as const) {
    const id = await stored(manager, { a: 0, keep: 1 })
    const one = await manager.open(id)
    const two = await manager.open(id)
    one.delete('a')
    one.set('a', 'new')
    if (interfere === 'delete') two.delete('a')
    else two.set('a', 'theirs')
    await manager.commit(two)
    await manager.commit(one)
    t.is((await manager.open(id)).get('a'), 'new')
  }
})

test('what is set anew after clear stands, even if it is what others have just changed', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { n: 1, a: 'x' })
  const [one, other] = [await manager.open(id), await manager.open(id)]
  one.clear()
  one.update('n', (n = 0) => n + 1)
  other.update('n', (n = 0) => n + 1)
  await manager.commit(other)
  await manager.commit(one)
  t.deepEqual([...(await manager.open(id))], [['n', 1]])
})

test('a session that is cleared while others write to it ends', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { a: 1 })
  const [one, other] = [await manager.open(id), await manager.open(id)]
  one.clear()
  other.set('b', 2)
  await manager.commit(other)
  t.is(await manager.commit(one), 'ok')
  t.is(await store.count(), 0)
})

test('a delete that was committed where there was nothing does not delete later what others have set', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { a: 1 })
  const [one, other] = [await manager.open(id), await manager.open(id)]
  one.delete('b')
  await manager.commit(one)
  other.set('b', 2)
  await manager.commit(other)
  one.set('a', 3)
  await manager.commit(one)
  t.deepEqual(
    [...(await manager.open(id))],
    [
      ['a', 3],
      ['b', 2],
    ],
  )
})

test('a class with merge makes one value of two concurrent changes, with the base between them', async (t) => {
  const { manager, events } = fixture()
  const cart = new Cart()
  cart.items.push('apple')
  const id = await stored(manager, { cart })
  const one = await manager.open(id)
  const two = await manager.open(id)
  one.get('cart').items.push('pear')
  two.get('cart').items.push('plum')
  await manager.commit(one)
  await manager.commit(two)
  const merged = (await manager.open(id)).get('cart')
  t.true(merged instanceof Cart)
  t.deepEqual(merged.items, ['apple', 'pear', 'plum'])
  t.false(events.some(({ type }) => type === 'conflict'))
})

test('an object changed in place both before and inside update is not merely updated again', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { list: [0] })
  const one = await manager.open(id)
  const two = await manager.open(id)
  one.get('list').push('place')
  one.update('list', (list) => void list.push('update'))
  two.set('other', 1)
  await manager.commit(two)
  await manager.commit(one)
  t.deepEqual((await manager.open(id)).get('list'), [0, 'place', 'update'])
})

test('security 15 and 20: of two racing regenerations the first wins, and the other request is refused', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { a: 1 })
  const one = await manager.open(id)
  const two = await manager.open(id)
  const outcomes = await Promise.allSettled([manager.regenerate(one), manager.regenerate(two)])
  t.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') t.like(outcome.reason, { code: 'ERR_SESSION_CONFLICT', status: 409 })
  const [winner, loser] = outcomes[0].status === 'fulfilled' ? [one, two] : [two, one]
  t.is((await manager.open(winner.id)).get('a'), 1)
  for (const dead of [id, loser.id]) t.is(await manager.find(dead), undefined)
})

test('a change that is committed while a session is being regenerated moves along to the new ID', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { a: 1, n: 0 })
  const login = await manager.open(id)
  login.set('user', 'ann')
  login.update('n', (n = 0) => n + 1)
  let interfered = false
  store.before = async (verb) => {
    if (verb !== 'replace' || interfered) return
    interfered = true
    const other = await manager.open(id)
    other.set('b', 2)
    other.update('n', (n = 0) => n + 1)
    await manager.commit(other)
  }
  t.is(await manager.regenerate(login), 'ok')
  t.deepEqual(Object.fromEntries(await manager.open(login.id)), { a: 1, n: 2, b: 2, user: 'ann' })
  t.is(await store.count(), 2, 'the session, and the redirect under its old ID')
})

test('a session that is destroyed while it is being regenerated stays ended, and no new record is left', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { a: 1 })
  const login = await manager.open(id)
  store.before = async (verb) => {
    if (verb !== 'replace') return
    store.before = () => {}
    await manager.destroy(id)
  }
  await t.throwsAsync(manager.regenerate(login), { code: 'ERR_SESSION_CONFLICT' })
  t.is(await store.count(), 0)
})

test('security 14: a failure in the middle of regenerate leaves the old session, and no second one', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { a: 1 })
  const login = await manager.open(id)
  let failures = 2
  store.before = (verb) => {
    if (verb === 'replace' && failures-- > 0) throw new Error('cut')
  }
  await t.throwsAsync(manager.regenerate(login), { instanceOf: SessionError })
  t.is(await store.count(), 1)
  t.is((await manager.open(id)).get('a'), 1)

  failures = 1
  t.is(await manager.regenerate(login), 'ok', 'a single failure is made good')
  t.is(await store.count(), 2, 'the session, and the redirect under its old ID')
  t.is(await manager.find(id), undefined)
})

test('a session that others put something into while it is emptied and regenerated moves to its new ID', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { a: 1 })
  const login = await manager.open(id)
  login.delete('a')
  store.before = async (verb) => {
    if (verb !== 'destroy') return
    store.before = () => {}
    const other = await manager.open(id)
    other.set('b', 2)
    await manager.commit(other)
  }
  t.is(await manager.regenerate(login), 'ok')
  t.is(await manager.find(id), undefined)
  t.deepEqual([...(await manager.open(login.id))], [['b', 2]])
})

test('a regeneration that failed can be tried again, and leaves no second record', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { a: 1 })
  const login = await manager.open(id)
  login.regenerate()
  let failures = 2
  store.after = (verb) => {
    if ((verb === 'create' || verb === 'read') && failures-- > 0) throw new Error('reply lost')
  }
  await t.throwsAsync(manager.commit(login), { code: 'ERR_SESSION_STORE' })
  t.is(await store.count(), 1)
  t.is(await manager.commit(login), 'ok')
  t.is((await manager.open(login.id)).get('a'), 1)
  t.is(await store.count(), 2, 'the session, and the redirect under its old ID')
})

test('a record that is evicted while a session moves to it is made again', async (t) => {
  const { manager, store, clock } = fixture()
  const id = await stored(manager, { a: 1 })
  const login = await manager.open(id)
  store.before = async (verb) => {
    if (verb !== 'replace') return
    store.before = (next, successor) => {
      if (next !== 'replace') return
      store.before = () => {}
      void store.inner.destroy(successor)
    }
    const other = await new SessionManager({ store: store.inner, now: () => clock.now }).open(id)
    other.set('b', 2)
    await other.commit()
  }
  t.is(await manager.regenerate(login), 'ok')
  t.is((await manager.open(login.id)).get('b'), 2)
})

test('security 23: a logout whose answer is lost is done', async (t) => {
  const { manager, store } = fixture()
  for (const when of ['before', 'after'] as const) {
    const session = await manager.open(await stored(manager, { a: 1 }))
    store[when] = (verb) => {
      if (verb !== 'destroy') return
      store[when] = () => {}
      throw new Error('cut')
    }
    await session.destroy()
    t.is(await store.count(), 0)
  }
})

test('after a destroy, and after the session was emptied, a commit is gone and nothing comes back', async (t) => {
  const { manager, store } = fixture()
  for (const end of ['destroy', 'empty'] as const) {
    const id = await stored(manager, { a: 1 })
    const late = await manager.open(id)
    const ender = await manager.open(id)
    if (end === 'destroy') await manager.destroy(ender)
    else {
      ender.clear()
      await manager.commit(ender)
    }
    late.set('a', 2)
    t.is(await manager.commit(late), 'gone', end)
    t.is(await manager.commit(late), 'gone', end)
    t.is(await manager.find(id), undefined)
    t.is(await store.count(), 0)
  }
})

test('a commit of a request that began before a regenerate is refused, and its destroy ends the session under the new ID', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { a: 1, token: 'once' })
  const late = await manager.open(id)
  const login = await manager.open(id)
  await manager.regenerate(login)
  t.is(await late.claim('token'), undefined)
  late.set('a', 2)
  for (const _ of [1, 2]) await t.throwsAsync(manager.commit(late), { code: 'ERR_SESSION_CONFLICT' })
  t.is((await manager.open(login.id)).get('a'), 1)
  await late.destroy()
  t.is(await manager.find(login.id), undefined)
})

test('a commit after the expiry that the request knows is refused when nothing is found', async (t) => {
  const { manager, clock } = fixture()
  const session = await manager.open(await stored(manager, { a: 1 }))
  session.set('a', 2)
  clock.now = session.expiresAt
  await t.throwsAsync(manager.commit(session), { code: 'ERR_SESSION_CONFLICT', message: /expired/ })
})

test('a request that is older than a redirect lives is told that it cannot know, and not that it has logged out', async (t) => {
  const { manager, clock } = fixture({ idleTimeout: 60 * 60 * 1000 })
  const id = await stored(manager, { a: 1 })
  const late = await manager.open(id)
  await manager.destroy(id)
  clock.now += 5 * 60 * 1000 - 1
  late.set('a', 2)
  t.is(await manager.commit(late), 'gone')

  const other = await stored(manager, { a: 1 })
  const old = await manager.open(other)
  await manager.destroy(other)
  clock.now += 5 * 60 * 1000
  await t.throwsAsync(old.destroy(), { code: 'ERR_SESSION_CONFLICT' })
  old.set('a', 2)
  await t.throwsAsync(manager.commit(old), { code: 'ERR_SESSION_CONFLICT' })
})

test('F5: a write that was applied although its answer was lost is settled by its version, and counted once', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { n: 0 })
  for (const verb of ['replace', 'create'] as const) {
    const session = verb === 'create' ? manager.begin() : await manager.open(id)
    session.update('n', (n = 0) => n + 1)
    store.after = (done) => {
      if (done !== verb) return
      store.after = () => {}
      throw new Error('reply lost')
    }
    t.is(await manager.commit(session), 'ok')
    t.is((await manager.open(session.id)).get('n'), 1, verb)
  }
})

test('F2: a write that never arrived is tried once more, and counted once', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { n: 0 })
  const session = await manager.open(id)
  session.update('n', (n = 0) => n + 1)
  store.before = (verb) => {
    if (verb !== 'replace') return
    store.before = () => {}
    throw new Error('cut')
  }
  t.is(await manager.commit(session), 'ok')
  t.is((await manager.open(id)).get('n'), 1)
})

test('F5: where somebody else committed on top of a write of unknown outcome, the commit fails rather than count twice', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { n: 0 })
  const session = await manager.open(id)
  session.update('n', (n = 0) => n + 1)
  store.after = async (verb) => {
    if (verb !== 'replace') return
    store.after = () => {}
    const other = await manager.open(id)
    other.update('n', (n = 0) => n + 1)
    await manager.commit(other)
    throw new Error('reply lost')
  }
  await t.throwsAsync(manager.commit(session), { code: 'ERR_SESSION_STORE' })
  t.is((await manager.open(id)).get('n'), 2)
})

test('F5: a commit that failed and is tried again by the program is settled first, and counted once', async (t) => {
  const { manager, store } = fixture()
  for (const when of ['before', 'after'] as const) {
    const session = await manager.open(await stored(manager, { n: 0 }))
    session.update('n', (n = 0) => n + 1)
    let failures = 2
    store[when] = (called) => {
      if ((called === 'replace' || called === 'read') && failures-- > 0) throw new Error('cut')
    }
    await t.throwsAsync(manager.commit(session), { code: 'ERR_SESSION_STORE' })
    session.update('n', (n = 0) => n + 10)
    t.is(await manager.commit(session), 'ok')
    t.is((await manager.open(session.id)).get('n'), 11, when)
  }
})

test('F5: a create of unknown outcome is never sent again: the session gets another ID, so that none comes back late', async (t) => {
  const { manager, store } = fixture()
  const session = manager.begin().set('n', 1)
  const created: string[] = []
  store.before = (verb, key) => {
    if (verb !== 'create') return
    created.push(key)
    if (created.length === 1) throw new Error('cut')
  }
  t.is(await manager.commit(session), 'ok')
  t.is(new Set(created).size, 2)
  t.is((await manager.open(session.id)).get('n'), 1)
})

test('F5: a create of unknown outcome under an ID that the program has read is a 503 until it is found', async (t) => {
  const { manager, store } = fixture()
  const session = manager.begin().set('n', 1)
  const { id } = session
  store.before = (verb) => {
    if (verb !== 'create') return
    store.before = () => {}
    throw new Error('cut')
  }
  for (const _ of [1, 2]) await t.throwsAsync(manager.commit(session), { code: 'ERR_SESSION_STORE' })
  t.is(session.id, id)
  t.is(await manager.find(id), undefined)
})

test('F5: what became of a commit is not guessed when somebody else has committed since', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { n: 0 })
  const session = await manager.open(id)
  session.update('n', (n = 0) => n + 1)
  let failures = 2
  store.after = (verb) => {
    if (verb !== 'touch' && failures-- > 0) throw new Error('reply lost')
  }
  await t.throwsAsync(manager.commit(session), { code: 'ERR_SESSION_STORE' })
  const other = await manager.open(id)
  other.update('n', (n = 0) => n + 1)
  await manager.commit(other)
  for (const _ of [1, 2]) {
    await t.throwsAsync(manager.commit(session), {
      code: 'ERR_SESSION_STORE',
      message: /earlier commit of this session was stored is unknown.*open it again/,
    })
    await t.throwsAsync(session.claim('n'), { code: 'ERR_SESSION_STORE' })
  }
  t.is((await manager.open(id)).get('n'), 2)
  await manager.destroy(session)
  t.is(await manager.find(id), undefined)
})

test('F14: a payload with a damaged header is an event and a new session under a new ID; the record stays as it is', async (t) => {
  const { manager, store, events } = fixture()
  const id = await stored(manager, { a: 1 })
  const [key = ''] = store.keys
  const entry = await store.inner.read(key)
  if (entry === undefined) throw new Error('not stored')
  for (const payload of [entry.payload.replace('kts1', 'kts2'), entry.payload.slice(0, -3), 'x'.repeat(40)]) {
    await store.inner.destroy(key)
    await store.inner.create(key, payload, entry.expiresAt)
    const session = await manager.open(id)
    t.true(session.isNew)
    t.not(session.id, id)
    session.set('b', 1)
    await manager.commit(session)
    t.is((await store.inner.read(key))?.payload, payload)
    t.true(events.some((event) => event.type === 'decode-failed' && event.scope === 'payload'))
  }
})

test('F15: a key that cannot be decoded throws for itself alone and is carried along untouched', async (t) => {
  const { manager, store, events, clock } = fixture()
  const id = await stored(manager, { cart: new Cart(), a: 1 })
  const elsewhere = new SessionManager({
    store,
    registry: createRegistry(),
    now: () => clock.now,
    onEvent: (event) => events.push(event),
  })
  const session = await elsewhere.open(id)
  t.throws(() => session.get('cart'), { code: 'ERR_SESSION_DECODE' })
  t.true(events.some((event) => event.type === 'decode-failed' && event.scope === 'key'))
  t.is(session.get('a'), 1)
  session.set('a', 2)
  t.is(await elsewhere.commit(session), 'ok')
  const back = await manager.open(id)
  t.true(back.get('cart') instanceof Cart)
  t.is(back.get('a'), 2)
})

test('what a rebase replaced may not be changed in place afterwards: that would be lost in silence', async (t) => {
  const { manager } = fixture()
  const id = await stored(manager, { list: [0], a: 0 })
  const one = await manager.open(id)
  const list = one.get('list')
  one.set('a', 1)
  const two = await manager.open(id)
  two.get('list').push('theirs')
  await manager.commit(two)
  await manager.commit(one)
  list.push('lost?')
  await t.throwsAsync(manager.commit(one), {
    code: 'ERR_SESSION_STATE',
    message: /list was changed in place/,
  })
})

test('two commits of one session object wait for each other, and changes made meanwhile are kept', async (t) => {
  const { manager } = fixture()
  const session = manager.begin()
  session.set('a', 1)
  session.update('n', (n = 0) => n + 1)
  const first = manager.commit(session)
  session.set('b', 2)
  session.update('n', (n = 0) => n + 1)
  session.delete('a')
  t.deepEqual(await Promise.all([first, manager.commit(session)]), ['ok', 'ok'])
  t.deepEqual(Object.fromEntries(await manager.open(session.id)), { b: 2, n: 2 })
})

test('security 47 and 48: ending, clearing or reading nothing makes no record', async (t) => {
  const { manager, store } = fixture()
  const session = await manager.open('A'.repeat(43))
  session.clear()
  session.take('a')
  await session.claim('b')
  session.delete('c')
  session.regenerate()
  await manager.commit(session)
  await session.destroy()
  t.is(await store.count(), 0)
})

test('546 sessions are counted as 546, and 412 with a life of a second are all swept after two', async (t) => {
  const { manager, clock } = fixture({ idleTimeout: 1_000 })
  for (let made = 0; made < 546; made += 1) await stored(manager, { made })
  t.is(await manager.count(), 546)
  clock.now += 2_000
  for (let made = 0; made < 412; made += 1) await stored(manager, { made })
  t.is(await manager.sweep(), 546)
  clock.now += 2_000
  t.is(await manager.sweep(), 412)
  t.is(await manager.count(), 0)
})

test('security 19: an idle timeout longer than the absolute one is refused', (t) => {
  t.throws(() => new SessionManager({ idleTimeout: 2, absoluteTimeout: 1 }), {
    message: /idleTimeout: is longer than/,
  })
})

test('F17, security 49: too many bytes, keys, or too long a key are refused by name, and the session stays as it was', async (t) => {
  const { manager } = fixture({ limits: { bytes: 2_000, keys: 3, keyLength: 5 } })
  const id = await stored(manager, { a: 1 })
  const attempts: readonly [(session: Awaited<ReturnType<typeof manager.open>>) => unknown, RegExp][] = [
    [(session) => session.set('a', 'x'.repeat(3_000)), /byte/],
    [(session) => session.set('b', 1).set('c', 1).set('d', 1), /keys/],
    [(session) => session.set('toolong', 1), /characters/],
  ]
  for (const [attempt, message] of attempts) {
    const session = await manager.open(id)
    await t.throwsAsync(
      async () => {
        attempt(session)
        await manager.commit(session)
      },
      { code: 'ERR_SESSION_LIMIT', message },
    )
    t.deepEqual([...(await manager.open(id))], [['a', 1]])
  }
})

test('a process that only reads sessions sweeps too', async (t) => {
  t.timeout(10_000)
  const { manager, store, clock } = fixture()
  const id = await stored(manager, { a: 1 })
  const swept = new Promise<number>((resolve) => {
    store.sweep = async (limit) => {
      resolve(limit)
      return 0
    }
  })
  const reader = new SessionManager({ store, registry, now: () => clock.now, sweepInterval: 5 })
  const session = await reader.open(id)
  t.is(session.get('a'), 1)
  await reader.commit(session)
  t.true((await swept) > 0)
  await reader.close()
})

test('a manager closes its store once and its timer holds no process', async (t) => {
  const { manager } = fixture({ sweepInterval: 10 })
  await stored(manager, { a: 1 })
  await manager.close()
  await manager.close()
  t.pass()
})

test('security 38: neither events nor errors name an ID, a key of the store or a value', async (t) => {
  const { manager, store, events } = fixture()
  const id = await stored(manager, { secret: 'planted-value' })
  const [key = ''] = store.keys
  store.before = (verb) => {
    if (verb === 'replace') throw new Error('down')
  }
  const session = await manager.open(id)
  session.set('secret', 'planted-value-2')
  const error = await t.throwsAsync(manager.commit(session), { instanceOf: SessionError })
  const told = JSON.stringify(events) + String(error) + JSON.stringify(error)
  for (const text of [id, key, 'planted-value']) t.false(told.includes(text))
})

for (const move of ['commit', 'regenerate'] as const) {
  test(`F19: a ${move} that others keep outrunning ends after a hundred tries with pauses at random, by an error that says so`, async (t) => {
    const pauses: number[] = []
    const pause = async (ms: number): Promise<void> => void pauses.push(ms)
    const { manager, store, clock } = fixture({ pause })
    const elsewhere = new SessionManager({ store, registry, now: () => clock.now })
    const id = await stored(manager, { n: 0 })
    const [own = ''] = store.keys
    const session = await manager.open(id)
    session.update('n', (n = 0) => n + 1)
    let outran = 0
    store.before = async (verb, key) => {
      if (verb !== 'replace' || key !== own || outran === 100) return
      const { before } = store
      store.before = () => {}
      const other = await elsewhere.open(id)
      other.set('other', (outran += 1))
      await elsewhere.commit(other)
      store.before = before
    }
    await t.throwsAsync(manager[move](session), {
      code: 'ERR_SESSION_CONFLICT',
      message: 'other requests kept changing this session while this one tried to commit',
    })
    t.is(outran, 100)
    t.true(pauses.length > 90 && pauses.length < 100)
    t.true(pauses.every((ms) => ms >= 0 && ms <= 50))
    t.true(new Set(pauses).size > pauses.length / 2)
    store.before = () => {}
    t.deepEqual(
      [...(await manager.open(id))],
      [
        ['n', 0],
        ['other', 100],
      ],
    )
    t.is(await store.count(), 1)
  })
}

test('F19: who comes while others of its process contend waits for them, and who changed nothing does not', async (t) => {
  const { manager, store, events } = fixture()
  const id = await stored(manager, { n: 0 })
  const [one, two, late, reader] = await Promise.all(Array.from({ length: 4 }, async () => manager.open(id)))
  if (one === undefined || two === undefined || late === undefined || reader === undefined) return t.fail()
  for (const session of [one, two, late]) session.update('n', (n = 0) => n + 1)
  await manager.commit(one)
  store.calls.length = 0
  let waited: Promise<unknown> | undefined
  store.before = async (verb) => {
    if (verb !== 'read' || waited !== undefined) return
    // The second has met a conflict and is looking again; now comes the third.
    waited = manager.commit(late)
    t.is(await manager.commit(reader), 'ok')
  }
  t.is(await manager.commit(two), 'ok')
  t.is(await waited, 'ok')
  t.deepEqual(store.calls, ['replace', 'read', 'replace', 'replace'])
  t.is((await manager.open(id)).get('n'), 3)
  t.deepEqual(
    events.filter(({ type }) => type === 'rebased'),
    [
      { type: 'rebased', handle: one.handle, tries: 2 },
      { type: 'rebased', handle: one.handle, tries: 1 },
    ],
  )
})

test('F19: a thousand concurrent requests on one session keep every increment, and wait for each other', async (t) => {
  const { manager, store } = fixture()
  const id = await stored(manager, { n: 0 })
  const sessions = await Promise.all(Array.from({ length: 1_000 }, async () => manager.open(id)))
  for (const [index, session] of sessions.entries()) {
    session.update('n', (n = 0) => n + 1)
    if (index % 10 === 0) session.set(`key${index}`, index)
  }
  store.calls.length = 0
  const outcomes = await Promise.all(sessions.map(async (session) => manager.commit(session)))
  t.true(outcomes.every((outcome) => outcome === 'ok'))
  const after = await manager.open(id)
  t.is(after.get('n'), 1_000)
  t.is(after.size, 101)
  // One try each, and one more in turn: whoever is next knows what the one before has written.
  t.true(store.calls.length < 2_500, `${store.calls.length} calls`)
})

import test from 'ava'
import { SessionManager, type SessionEvent } from '../../src/index.ts'
import { stateOf } from '../../src/session/session.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { hashId } from '../../src/session/id.ts'

const HANDLE = /^[\w-]{22}$/
const MINUTE = 60_000

function open(options: { rotateAfter?: number; now?: () => number } = {}): {
  manager: SessionManager
  store: MemoryStore
  events: SessionEvent[]
} {
  const events: SessionEvent[] = []
  const { now = () => 0 } = options
  const store = new MemoryStore({ now })
  const manager = new SessionManager({ ...options, store, onEvent: (event) => events.push(event) })
  return { manager, store, events }
}

test('security 29: a session has a handle of 128 random bits, which stays through commits and regenerate()', async (t) => {
  const { manager } = open()
  const session = manager.begin().set('a', 1)
  const { handle } = session
  t.regex(handle, HANDLE)
  await session.commit()
  const again = await manager.open(session.id)
  t.is(again.handle, handle)
  await again.set('a', 2).commit()
  await manager.regenerate(again)
  t.is(again.handle, handle)
  t.is((await manager.open(again.id)).handle, handle)
  t.not(manager.begin().set('a', 1).handle, handle)
})

test('security 29: a handle opens nothing, and neither the ID nor the key of the store can be told from it', async (t) => {
  const { manager } = open()
  const session = manager.begin().set('a', 1)
  await session.commit()
  t.is(await manager.find(session.handle), undefined)
  t.false(await manager.destroy(session.handle))
  t.false(hashId(session.id).includes(session.handle))
  t.false(session.id.includes(session.handle))
})

test('the handle stays through a rotation, and the old ID still tells it when it is used too late', async (t) => {
  let time = 0
  const { manager, events } = open({ rotateAfter: MINUTE, now: () => time })
  const first = manager.begin().set('a', 1)
  await first.commit()
  time += 2 * MINUTE
  const rotating = await manager.open(first.id)
  stateOf(rotating).respondBy({
    update: () => {},
    canRotate: () => true,
    repeats: () => false,
    isDisconnected: () => false,
  })
  await rotating.commit()
  t.not(rotating.id, first.id)
  t.is(rotating.handle, first.handle)
  time += MINUTE
  t.is(await manager.find(first.id), undefined)
  t.deepEqual(events.at(-1), { type: 'retired-id', handle: first.handle })
})

test('what is set after destroy(), or after the last value was removed, begins a session with another handle', async (t) => {
  const { manager } = open()
  const session = manager.begin().set('a', 1)
  const { handle } = session
  await session.commit()
  t.true(await session.destroy())
  t.not(session.handle, handle)
  await session.set('a', 2).commit()
  const second = session.handle
  session.delete('a')
  await session.commit()
  await session.set('a', 3).commit()
  t.not(session.handle, second)
})

test('a session that was stored without a handle gets one with the next change, and reading it is no change', async (t) => {
  const { manager, store } = open()
  const session = manager.begin().set('a', 1)
  await session.commit()
  const key = hashId(session.id)
  const entry = await store.read(key)
  if (entry === undefined) throw new Error('it is not stored')
  const without = entry.payload.replace(/^(kts1 \S+ \S+ \S+)[^\n]*/, '$1')
  await store.replace(key, without, entry.expiresAt, entry)
  const old = await manager.open(session.id)
  t.regex(old.handle, HANDLE)
  await old.commit()
  t.is((await store.read(key))?.payload, without)
  await old.set('a', 2).commit()
  t.is((await manager.open(session.id)).handle, old.handle)
})

test('each event of a session carries its handle, and nothing else by which it can be found', async (t) => {
  const { manager, events } = open()
  const session = manager.begin().set('a', 1)
  const { handle } = session
  await session.commit()
  const [one, other] = [await manager.open(session.id), await manager.open(session.id)]
  await one.set('a', 2).commit()
  await other.set('b', 2).commit()
  const reader = await manager.open(session.id)
  reader.get('a')
  await other.set('a', 5).commit()
  await t.throwsAsync(reader.set('a', 6).commit(), { code: 'ERR_SESSION_CONFLICT' })
  await manager.regenerate(other)
  const late = await manager.open(other.id)
  await manager.destroy(other)
  await late.set('a', 7).commit()
  t.deepEqual(
    events.map(({ type }) => type),
    [
      'created',
      'loaded',
      'loaded',
      'committed',
      'rebased',
      'committed',
      'loaded',
      'committed',
      'conflict',
    ].concat(['regenerated', 'loaded', 'destroyed', 'gone']),
  )
  for (const event of events) {
    t.is('handle' in event ? event.handle : undefined, handle, event.type)
    const text = JSON.stringify(event)
    for (const { id } of [session, other]) {
      t.false(text.includes(id))
      t.false(text.includes(hashId(id)))
    }
  }
})

test('destroy() says whether there was a session to end, and destroyed is told only then', async (t) => {
  const { manager, events } = open()
  const destroyed = (): number => events.filter(({ type }) => type === 'destroyed').length
  const session = manager.begin().set('a', 1)
  t.false(await manager.begin().destroy())
  await session.commit()
  const other = await manager.open(session.id)
  t.false(await manager.destroy('not an ID'))
  t.false(await manager.destroy(manager.begin().id))
  t.is(destroyed(), 0)
  t.true(await manager.destroy(session.id))
  t.is(destroyed(), 1)
  t.false(await manager.destroy(session.id))
  t.false(await other.destroy())
  t.false(await manager.destroy(session))
  t.is(destroyed(), 1)
})

import test from 'ava'
import { SessionManager } from '../../../src/index.ts'
import { HeldStore } from '../../support/held-store.ts'

// The timers of a manager hold no process, and neither does a store that never answers.
const awake = setInterval(() => {}, 1_000)
test.after.always(() => clearInterval(awake))

test('health tells that the store answers, how fast, and how many calls wait', async (t) => {
  const store = new HeldStore()
  const manager = new SessionManager({ store })
  const { latencyMs, ...health } = await manager.health()
  t.deepEqual(health, { ok: true, store: 'memory', pending: 0, breaker: 'closed' })
  t.true(latencyMs >= 0)
  t.deepEqual(store.calls, ['read'])
  t.is(await store.count(), 0)
})

test('F1, security 39: health of a store that fails is not ok, never rejects, and says nothing of the reason', async (t) => {
  const store = new HeldStore()
  const manager = new SessionManager({ store })
  store.before = () => {
    throw new Error('redis://user:sword@10.1.2.3 refused')
  }
  const { latencyMs, ...health } = await manager.health()
  t.deepEqual(health, { ok: false, store: 'memory', pending: 0, breaker: 'closed' })
  t.is(typeof latencyMs, 'number')
})

test('F3: health waits for a silent store as long as it is told to', async (t) => {
  const store = new HeldStore()
  const manager = new SessionManager({ store })
  store.hold()
  const { ok, pending } = await manager.health(20)
  t.false(ok)
  t.is(pending, 0)
  store.release()
})

test('health asks a store that is left alone, too, and its answer ends that', async (t) => {
  const store = new HeldStore()
  const manager = new SessionManager({ store })
  store.before = () => {
    throw new Error('down')
  }
  const id = 'A'.repeat(43)
  for (let times = 0; times < 5; times += 1) await t.throwsAsync(manager.open(id))
  t.like(await manager.health(), { ok: false, breaker: 'open' })
  store.before = () => {}
  t.like(await manager.health(), { ok: true, breaker: 'closed' })
  t.true((await manager.open(id)).isNew)
})

test('probes that fail do not count against the store: they may be in more of a hurry than requests', async (t) => {
  const store = new HeldStore()
  const manager = new SessionManager({ store })
  store.hold()
  for (let times = 0; times < 6; times += 1) await manager.health(1)
  t.is((await manager.health(1)).breaker, 'closed')
  store.release()
})

test('health of a closed manager is not ok', async (t) => {
  const manager = new SessionManager()
  await manager.close()
  t.false((await manager.health()).ok)
})

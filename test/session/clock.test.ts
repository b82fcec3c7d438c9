// What becomes of sessions when clocks are wrong. Engines that ask their server for the time: engines/clock.test.ts.
import test from 'ava'
import { SessionManager, type ManagerOptions } from '../../src/index.ts'
import { FileStore } from '../../src/stores/file.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { SpiedStore } from '../support/spied-store.ts'
import { temporaryFolder } from '../support/cleanup.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const NOON = Date.UTC(2026, 0, 1, 12)

async function login(manager: SessionManager): Promise<string> {
  const begun = manager.begin().set('user', 'ann')
  await manager.commit(begun)
  return begun.id
}

async function use(manager: SessionManager, id: string, change?: string): Promise<number | undefined> {
  const found = await manager.find(id)
  if (found === undefined) return undefined
  if (change !== undefined) found.set('change', change)
  return (await manager.commit(found)) === 'ok' ? found.expiresAt : undefined
}

test.serial(
  'F16: in memory a session lives as long as it should, whatever the system clock is set to meanwhile',
  async (t) => {
    const [wall, monotonic] = [Date.now, performance.now]
    t.teardown(() => {
      Date.now = wall
      performance.now = monotonic
    })
    let jump = 0
    let passed = 0
    Date.now = () => NOON + passed + jump
    performance.now = () => passed
    const manager = new SessionManager({ sweepInterval: 0 })
    const id = await login(manager)
    const idle = await login(manager)
    for (const next of [HOUR, -HOUR, DAY, 0]) {
      jump = next
      const other = await login(manager)
      passed += 20 * 60_000
      for (const each of [id, other]) {
        const expiresAt = (await use(manager, each, String(next))) ?? 0
        t.is(expiresAt, Date.now() + HOUR)
        t.is((await manager.open(each)).get('change'), String(next))
      }
      t.is((await manager.find(idle, { passive: true })) === undefined, passed >= HOUR)
    }
    passed += HOUR
    t.is(await manager.find(id), undefined)
    t.is(await manager.sweep(), 4) // `idle` was looked at after its end
  },
)

test('F16: file: processes whose clocks are an hour off share sessions, and none lives too long', async (t) => {
  const folder = await temporaryFolder('kts-clock-')
  const nodes = [0, HOUR, -HOUR].map((offset) => {
    const now = (): number => NOON + offset
    const store = new FileStore({ folder, sync: false, now })
    return new SessionManager({ store, now, idleTimeout: 3 * HOUR, sweepInterval: 0 })
  })
  for (const writer of nodes) {
    const id = await login(writer)
    for (const other of nodes) {
      const expiresAt = (await use(other, id, 'x')) ?? 0
      for (const reader of nodes) t.truthy(await use(reader, id))
      t.true(expiresAt <= NOON + 4 * HOUR && expiresAt >= NOON + 2 * HOUR)
    }
  }
})

const stores: Record<string, (now: () => number) => Promise<ManagerOptions<undefined>>> = {
  'a clock of its own': async (now) => ({ store: new MemoryStore({ now }), now }),
  file: async (now) => ({
    store: new FileStore({ folder: await temporaryFolder('kts-clock-'), sync: false, now }),
    now,
  }),
}
for (const [kind, open] of Object.entries(stores)) {
  test(`F16: ${kind}: a jump by an hour is an hour that passed, or one that comes twice, and nothing worse`, async (t) => {
    const clock = { now: NOON }
    const options = await open(() => clock.now)
    const manager = new SessionManager({ ...options, idleTimeout: 2 * HOUR, sweepInterval: 0 })
    const ids = await Promise.all(Array.from({ length: 20 }, async () => login(manager)))
    for (const jump of [HOUR, -HOUR, -HOUR, HOUR]) {
      clock.now += jump
      for (const id of ids) t.truthy(await use(manager, id, String(clock.now)))
      t.is(await manager.sweep(), 0)
    }
    clock.now -= HOUR // nobody uses them any more
    clock.now += 3 * HOUR
    for (const id of ids) t.is(await manager.find(id), undefined)
  })
}

test('a session that was begun by a clock a year ahead ends as any other, once it was used by a right one', async (t) => {
  const clock = { now: NOON + 365 * DAY }
  const store = new SpiedStore(() => clock.now)
  const manager = new SessionManager({ store, now: () => clock.now, sweepInterval: 0 })
  const id = await login(manager)
  clock.now = NOON
  store.calls.length = 0
  t.is(await use(manager, id), NOON + HOUR) // only looked at, and its life is put right
  t.deepEqual(store.calls, ['read', 'replace'])
  t.is((await manager.open(id)).createdAt, NOON)
  store.calls.length = 0
  t.is(await use(manager, id), NOON + HOUR)
  t.deepEqual(store.calls, ['read'])
  for (let hours = 0; hours < 7 * 24 * 2 - 1; hours += 1) {
    clock.now += HOUR / 2
    t.truthy(await use(manager, id))
  }
  clock.now += HOUR / 2
  t.is(await manager.find(id), undefined) // its absolute timeout
})

test('a record whose life was taken from it by hand gets one again', async (t) => {
  const clock = { now: NOON }
  const store = new SpiedStore(() => clock.now)
  const manager = new SessionManager({ store, now: () => clock.now, sweepInterval: 0 })
  const id = await login(manager)
  const [key = ''] = store.keys
  await store.inner.touch(key, Infinity)
  t.is(await use(manager, id), NOON + HOUR)
  clock.now += HOUR
  t.is(await manager.find(id), undefined)
})

import { once } from 'node:events'
import test from 'ava'
import { SessionError } from '../../src/errors.ts'
import { MemoryStore, type MemoryStoreOptions } from '../../src/stores/memory.ts'
import { Seeded } from '../../src/testing/simulation/seeded.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'

// Node prints warnings by a listener of its own. Here many are to be expected, and one test listens itself.
process.removeAllListeners('warning')

let clock = 1_750_000_000_000
const now = (): number => clock
const life = (): number => clock + 60_000

const kinds: Readonly<Record<string, MemoryStoreOptions>> = {
  'as it comes': {},
  'with narrow bounds': { maxEntries: 600, maxBytes: 8 * 1024 * 1024 },
  'without bounds': { maxEntries: Infinity, maxBytes: Infinity },
}

for (const [kind, options] of Object.entries(kinds)) {
  const harness: StoreHarness = {
    open: () => new MemoryStore({ ...options, now }),
    now,
    advance: (ms) => {
      clock += ms
    },
    still: true,
    sweeps: true,
    counts: true,
  }
  const { traits } = new MemoryStore(options)
  for (const requirement of storeContract.filter(({ appliesTo }) => appliesTo(traits, harness))) {
    // One after another: these requirements turn the clock that all of them read.
    test.serial(`the memory store, ${kind}: ${requirement.title}`, async (t) => {
      await t.notThrowsAsync(requirement.check(harness))
    })
  }
}

/** A payload of so many characters, the last of which may be a wide one. */
function payload(length: number, last = 'x'): string {
  return 'kts1 0123456789abcdef'.padEnd(length - 1, '.') + last
}

async function names(store: MemoryStore, keys: readonly string[]): Promise<readonly string[]> {
  const there: string[] = []
  for (const key of keys) if ((await store.touch(key, 0)) === 'ok') there.push(key)
  return there
}

async function fill(store: MemoryStore, keys: readonly string[], text: string = payload(100)): Promise<void> {
  for (const key of keys) await store.create(key, text, life())
}

async function othersWork(): Promise<string> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise(setImmediate)
  return 'work'
}

test.serial(
  'F24: above maxEntries, the least recently used session is removed, those that were never read again first',
  async (t) => {
    const store = new MemoryStore({ maxEntries: 4, now })
    await fill(store, ['a', 'b', 'c', 'd'])
    await store.touch('a', life())
    const base = await store.read('b')
    t.truthy(base)
    if (base) await store.replace('c', payload(100), life(), base)
    await fill(store, ['e'])
    t.deepEqual(await names(store, ['a', 'b', 'c', 'd', 'e']), ['a', 'b', 'c', 'e'])
    await fill(store, ['f', 'g'])
    // All four have come back now, so the newest one that has not makes room.
    t.deepEqual(await names(store, ['a', 'b', 'c', 'e', 'f', 'g']), ['b', 'c', 'e', 'g'])
    await store.read('b')
    await fill(store, ['h'])
    t.deepEqual(await names(store, ['b', 'c', 'e', 'g', 'h']), ['b', 'e', 'g', 'h'])
  },
)

const keys = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `${name}${at}`)

test.serial(
  'F24: a flood of visitors who never come back ends no session of a user who is idle',
  async (t) => {
    const store = new MemoryStore({ maxEntries: 1_000, now })
    const users = keys('user', 900)
    await fill(store, users)
    for (const user of users) await store.read(user)
    for (let visitor = 0; visitor < 100_000; visitor += 1)
      await store.create(`visitor${visitor}`, payload(100), life())
    t.is(await store.count(), 1_000)
    t.deepEqual(await names(store, users), users)
  },
)

test.serial(
  'F24: the same holds for maxBytes, and for users whose sessions grow during the flood',
  async (t) => {
    const store = new MemoryStore({ maxBytes: 1_000_000, maxEntries: Infinity, now })
    const users = keys('user', 400)
    await fill(store, users, payload(1_000))
    for (const user of users) await store.read(user)
    for (let visitor = 0; visitor < 20_000; visitor += 1) {
      await store.create(`visitor${visitor}`, payload(1_000), life())
      const user = users[visitor % 50] ?? ''
      const base = visitor % 100 === 0 ? await store.read(user) : undefined
      if (base !== undefined) await store.replace(user, payload(10_000), life(), base)
    }
    t.deepEqual(await names(store, users), users)
  },
)

test.serial(
  'F24: when all sessions are those of users, a new visitor has a sixteenth of the store to come back',
  async (t) => {
    const store = new MemoryStore({ maxEntries: 1_600, now })
    const users = keys('user', 1_600)
    await fill(store, users)
    for (const user of users) await store.read(user)
    await fill(store, keys('visitor', 1_000))
    const [first = '', ...others] = keys('visitor', 1_000).slice(-100)
    t.truthy(await store.read(first), 'the last hundred are there, and one comes back')
    await fill(store, keys('late', 1_000))
    t.deepEqual(await names(store, [first, ...others]), [first])
    t.deepEqual(await names(store, users), users.slice(101), 'the least recently used users have made room')
  },
)

test.serial(
  'F24: a session that its own request writes twice has not come back; one that another request extends has',
  async (t) => {
    const store = new MemoryStore({ maxEntries: 32, now })
    await fill(store, ['twice', 'extended'])
    await store.replace('twice', payload(100), life(), { payload: payload(100), expiresAt: life() })
    await store.touch('extended', life())
    await fill(store, keys('visitor', 100))
    t.deepEqual(await names(store, ['twice', 'extended']), ['extended'])
  },
)

test.serial(
  'F24: the store stays within its limits and keeps what was written last, whatever happens in it',
  async (t) => {
    const choices = new Seeded(7)
    const random = (): number => choices.pick(1_000_000) / 1_000_000
    for (const maxEntries of [1, 2, 3, 17, 40]) {
      const store = new MemoryStore({ maxEntries, maxBytes: 2_048 * maxEntries, now })
      for (let step = 0; step < 3_000; step += 1) {
        const key = `key${Math.floor(random() * 60)}`
        const text = payload(30 + Math.floor(random() * 900))
        const base = random() < 0.5 ? await store.read(key) : undefined
        if (base !== undefined) await store.replace(key, text, life(), base)
        else if (random() < 0.2) await store.destroy(key)
        else if (random() < 0.3) await store.touch(key, life())
        else {
          await store.create(key, text, life() - Math.floor(random() * 70_000))
          const kept = await store.create(key, text, life())
          if (kept !== 'exists') t.is((await store.read(key))?.payload, text)
        }
        if ((await store.count()) > maxEntries) t.fail('too many')
      }
      t.true((await store.count()) <= maxEntries)
    }
  },
)

test.serial('a store with maxEntries 1 keeps the latest session', async (t) => {
  const store = new MemoryStore({ maxEntries: 1, now })
  await fill(store, ['a', 'b', 'c'])
  t.deepEqual(await names(store, ['a', 'b', 'c']), ['c'])
  t.is(await store.count(), 1)
})

test.serial('F24: above maxBytes, as many sessions are removed as necessary', async (t) => {
  const store = new MemoryStore({ maxBytes: 4_000, now })
  await fill(store, ['a', 'b', 'c', 'd'], payload(1_000))
  t.is((await names(store, ['a', 'b', 'c', 'd'])).length, 4)
  await fill(store, ['e'], payload(1_001))
  t.deepEqual(await names(store, ['a', 'b', 'c', 'd', 'e']), ['c', 'd', 'e'])
  const base = await store.read('c')
  if (base) await store.replace('c', payload(2_000), life(), base)
  t.deepEqual(await names(store, ['c', 'd', 'e']), ['c', 'e'])
})

test.serial('a payload with a character beyond Latin-1 counts twice, one with umlauts once', async (t) => {
  const store = new MemoryStore({ maxBytes: 4_000, now })
  await fill(store, ['a', 'b'], payload(1_000, 'ü'))
  await fill(store, ['c'], payload(1_000, '€'))
  t.deepEqual(await names(store, ['a', 'b', 'c']), ['a', 'b', 'c'])
  await fill(store, ['d'], payload(22))
  t.deepEqual(await names(store, ['a', 'b', 'c', 'd']), ['b', 'c', 'd'])
})

test.serial('replaced, destroyed and swept payloads no longer count towards maxBytes', async (t) => {
  const store = new MemoryStore({ maxBytes: 4_000, maxEntries: 3, now })
  await store.create('short', payload(2_000), clock + 10)
  clock += 10
  t.is(await store.sweep(10), 1)
  await fill(store, ['a', 'b'], payload(2_000))
  t.is(await store.destroy('a'), 'ok')
  const base = await store.read('b')
  if (base) await store.replace('b', payload(22), life(), base)
  await fill(store, ['c', 'd'], payload(1_900))
  t.deepEqual(await names(store, ['b', 'c', 'd']), ['b', 'c', 'd'])
})

test.serial('F24: the first removal of a living session emits a process warning, once', async (t) => {
  await new Promise(setImmediate) // until what was to be said before has been said
  const heard: Error[] = []
  const listen = (warning: Error): unknown => heard.push(warning)
  process.on('warning', listen)
  const store = new MemoryStore({ maxEntries: 2, now })
  await store.create('expired', payload(100), clock + 1)
  clock += 1
  await fill(store, ['a', 'b'])
  await new Promise(setImmediate)
  t.deepEqual(heard, [], 'an expired session makes room in silence')

  const warned = once(process, 'warning')
  await fill(store, ['c', 'd', 'e'])
  await warned
  await new Promise(setImmediate)
  process.off('warning', listen)
  t.like(heard, [{ name: 'SessionWarning', code: 'KTS_MEMORY_FULL' }])
  t.is(heard.length, 1)
})

test.serial('a sweep does not block the event loop', async (t) => {
  const store = new MemoryStore({ now })
  await fill(
    store,
    Array.from({ length: 10_000 }, (_, at) => `key${at}`),
  )
  clock += 60_000
  const sweeping = store.sweep(Infinity)
  t.is(await Promise.race([sweeping.then(() => 'sweep'), othersWork()]), 'work')
  t.is(await sweeping, 10_000)
})

test.serial('a session that is created during a sweep is not swept', async (t) => {
  const store = new MemoryStore({ now })
  const keys = Array.from({ length: 10_000 }, (_, at) => `key${at}`)
  await fill(store, keys)
  clock += 60_000
  const sweeping = store.sweep(Infinity)
  await fill(store, keys)
  await sweeping
  t.is(await store.count(), 10_000)
})

test.serial('close ends a running sweep', async (t) => {
  const store = new MemoryStore({ now })
  await fill(
    store,
    Array.from({ length: 10_000 }, (_, at) => `key${at}`),
  )
  clock += 60_000
  const sweeping = store.sweep(Infinity)
  await store.close()
  t.true((await sweeping) < 10_000)
  await t.throwsAsync(store.sweep(1), { code: 'ERR_SESSION_STORE' })
  await t.throwsAsync(store.count(), { code: 'ERR_SESSION_STORE' })
})

test('invalid limits are refused by name', (t) => {
  for (const [field, value] of [
    ['maxEntries', 0],
    ['maxEntries', 1.5],
    ['maxEntries', NaN],
    ['maxBytes', -1],
    ['maxBytes', 2_047],
  ] as const) {
    const error = t.throws(() => new MemoryStore({ [field]: value }), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_OPTIONS')
    t.true(error.message.includes(field))
  }
})

import { once } from 'node:events'
import test from 'ava'
import { SessionError } from '../../src/errors.ts'
import { MemoryStore, type MemoryStoreOptions } from '../../src/stores/memory.ts'
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
  'F24: above maxEntries, the least recently used session is removed, and every verb but create counts as use',
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
    t.deepEqual(await names(store, ['a', 'b', 'c', 'e', 'f', 'g']), ['c', 'e', 'f', 'g'])
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

import test from 'ava'
import type { Store } from '../../../src/store.ts'
import { MemcacheStore } from '../../../src/stores/memcache.ts'
import { MemcachedConsole, startMemcached } from '../../servers/memcached.ts'

const KEY = 'a'.repeat(64)
const NAME = `session:${KEY}`
let versions = 0
const payload = (body = ''): string =>
  `kts1 ${String((versions += 1)).padStart(16, '0')} 1700000000000${body}`

const server = await startMemcached()
const backend = new MemcachedConsole(server.port)
test.after.always(async () => server.stop())

/** How many commands the server got for sessions while `work` was done. */
async function commands(work: () => Promise<unknown>): Promise<number> {
  const sum = async (): Promise<number> => {
    const stats = await backend.stats()
    return ['cmd_get', 'cmd_set', 'cmd_touch', 'delete_hits', 'delete_misses'].reduce(
      (n, name) => n + (stats.get(name) ?? Number.NaN),
      0,
    )
  }
  const before = await sum()
  await work()
  return (await sum()) - before
}

test.serial('each verb takes as many round trips as the documentation says', async (t) => {
  const store: Store = new MemcacheStore({ url: server.url })
  const life = (n: number): number => Date.now() + n * 60_000
  t.is(await commands(async () => store.read(KEY)), 1)
  t.is(await commands(async () => store.create(KEY, payload(), life(1))), 1)
  t.is(await commands(async () => store.read(KEY, life(1))), 1)
  const base = await store.read(KEY)
  if (!base) return t.fail()
  const next = payload()
  t.is(await commands(async () => store.replace(KEY, next, life(1), base)), 1)
  t.is(await commands(async () => store.touch(KEY, life(2))), 2)
  t.is(await commands(async () => store.touch(KEY, life(1))), 1)
  const now = await store.read(KEY)
  t.is(now?.payload, next)
  t.is(await commands(async () => store.destroy(KEY, now)), 1)
  t.is(await commands(async () => store.touch(KEY, life(1))), 1)
  await store.close()
})

for (const [name, bytes] of [
  ['0.1 KB', 100],
  ['10 KB', 10_240],
  ['60 KB', 61_440],
  ['1,000 KB', 1_024_000],
] as const) {
  test.serial(`a payload of ${name} is returned unchanged, with one round trip each way`, async (t) => {
    const store = new MemcacheStore({ url: server.url })
    const head = payload()
    const text = head + 'é'.repeat((bytes - head.length) / 2).padEnd(1, 'x')
    t.is(await commands(async () => store.create(KEY, text, Date.now() + 60_000)), 1)
    t.true((await store.read(KEY))?.payload === text)
    t.is(await store.destroy(KEY), 'ok')
    await store.close()
  })
}

test.serial(
  'memcached drops an item a few seconds after its end, whatever the length of its life',
  async (t) => {
    const store = new MemcacheStore({ url: server.url })
    const day = 24 * 60 * 60
    for (const seconds of [60, 29 * day, 31 * day, 3_653 * day]) {
      await store.create(KEY, payload(), Date.now() + seconds * 1_000)
      const left = (await backend.secondsLeft(NAME)) ?? Number.NaN
      t.true(left > seconds && left <= seconds + 6, `${left} of ${seconds}`)
      await store.destroy(KEY)
    }
    await store.close()
  },
)

test.serial('a life beyond 2106 ends in 2106, where the protocol ends', async (t) => {
  const store = new MemcacheStore({ url: server.url })
  for (const moment of [Number.MAX_SAFE_INTEGER, Infinity]) {
    const written = await store.create(KEY, payload(), moment)
    const end = written === 'exists' ? 0 : written.entry.expiresAt
    t.is(new Date(end).getUTCFullYear(), 2106)
    t.is((await store.read(KEY))?.expiresAt, end)
    t.is(await store.destroy(KEY), 'ok')
  }
  await store.close()
})

test.serial(
  'an item that memcached still has after its end is absent for every verb, to the second',
  async (t) => {
    let clock = Date.now()
    const store = new MemcacheStore({ url: server.url, now: () => clock })
    const first = payload()
    const written = await store.create(KEY, first, clock + 60_000)
    if (written === 'exists') return t.fail()
    const { entry } = written
    t.is(entry.expiresAt % 1_000, 0)
    clock = entry.expiresAt - 1
    t.is((await store.read(KEY))?.payload, first)
    clock = entry.expiresAt
    t.is(await store.read(KEY), undefined)
    t.is(await store.touch(KEY, clock + 60_000), 'gone')
    t.is(await store.replace(KEY, payload(), clock + 60_000, entry), 'gone')
    t.is(await store.destroy(KEY, entry), 'gone')
    t.is(await store.destroy(KEY), 'gone')
    t.is((await backend.look(NAME))?.value, first)
    t.is(typeof (await store.create(KEY, payload(), clock + 60_000)), 'object')
    t.is(await store.destroy(KEY), 'ok')
    await store.close()
  },
)

test.serial(
  'an item that is not ours counts as ended long ago: it is not read, and makes room',
  async (t) => {
    const store = new MemcacheStore({ url: server.url })
    await backend.put(NAME, 0, 0, 'something else')
    t.is(await store.read(KEY), undefined)
    t.is(await store.touch(KEY, Date.now() + 60_000), 'gone')
    t.is(typeof (await store.create(KEY, payload(), Date.now() + 60_000)), 'object')
    t.is(await store.destroy(KEY), 'ok')
    await store.close()
  },
)

test.serial('a concurrent touch does not make a write fail', async (t) => {
  const [writer, reader] = [new MemcacheStore({ url: server.url }), new MemcacheStore({ url: server.url })]
  const start = Date.now()
  const written = await writer.create(KEY, payload(), start + 60_000)
  if (written === 'exists') return t.fail()
  let { entry } = written
  for (let round = 1; round <= 20; round += 1) {
    const touches = Array.from({ length: 5 }, async (_, n) =>
      reader.touch(KEY, start + round * 3_600_000 + n * 1_000),
    )
    const outcome = await writer.replace(KEY, payload(), start + 60_000, entry)
    await Promise.all(touches)
    if (typeof outcome === 'string') return t.fail(outcome)
    entry = outcome.entry
  }
  t.is((await reader.read(KEY))?.payload, entry.payload)
  await writer.destroy(KEY)
  await Promise.all([writer.close(), reader.close()])
})

// The cache of opened cookies: what it may not change of what a cookie opens, and its bound.
import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { SessionManager } from '../../../src/index.ts'
import { CookieStore, type CookieStoreOptions } from '../../../src/stores/cookie.ts'
import { OpenedCredentials } from '../../../src/stores/cookie/opened-credentials.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'

const [k1, k2] = [randomBytes(32), randomBytes(32)]
const START = 1_750_000_000_000
const PAYLOAD = 'kts1 AAAAAAAAAAAAAAAA 0 0 #00000000\n'

interface World {
  time: number
  readonly open: (options?: Partial<CookieStoreOptions>) => CookieStore
}

function world(): World {
  const made: World = {
    time: START,
    open: (options) => new CookieStore({ keys: [k1], now: () => made.time, ...options }),
  }
  return made
}

async function sealed(store: CookieStore, payload = PAYLOAD): Promise<string> {
  const written = await store.create('k', payload, START + 1_000)
  return written.credential ?? ''
}

test('a cookie opens to the same session with the cache as without it, sealed here or elsewhere', async (t) => {
  const { open } = world()
  const [here, elsewhere, without] = [open(), open(), open({ cacheBytes: 0 })]
  for (const payload of [
    PAYLOAD,
    `${PAYLOAD}"a" J "é€😀"\n`,
    PAYLOAD + '"a" J 1\n'.repeat(800),
    `${PAYLOAD}\uD800`,
  ]) {
    const credential = await sealed(here, payload)
    const expected = await without.read(credential)
    t.truthy(expected)
    for (const store of [here, elsewhere])
      for (const time of ['first', 'second']) t.deepEqual(await store.read(credential), expected, time)
  }
  t.deepEqual(
    await here.read((await here.create('k', PAYLOAD, START + 0.5)).credential ?? ''),
    await without.read((await here.create('k', PAYLOAD, START + 0.5)).credential ?? ''),
    'the expiry is rounded as in the cookie',
  )
  const { credential = '' } = await here.create('no key', PAYLOAD, START + 1_000)
  t.is(await without.read(credential), undefined)
  t.is(await here.read(credential), undefined, 'a key that no cookie can hold')
})

test('security 45: a cookie that was opened before expires by the clock', async (t) => {
  const made = world()
  const store = made.open()
  const credential = await sealed(store)
  t.truthy(await store.read(credential))
  made.time += 999
  t.truthy(await store.read(credential))
  made.time += 1
  t.is(await store.read(credential), undefined)
})

test('security 23: a cookie that was opened before is refused once its session is ended, here or elsewhere', async (t) => {
  const made = world()
  const revocations = new MemoryStore({ now: () => made.time, maxEntries: Infinity, maxBytes: Infinity })
  const [here, elsewhere] = [made.open({ revocations }), made.open({ revocations })]
  const credential = await sealed(here)
  const entry = await here.read(credential)
  t.truthy(await elsewhere.read(credential))
  await elsewhere.destroy('k', entry)
  for (const store of [here, elsewhere]) t.is(await store.read(credential), undefined)
})

test('security 43 and 45: what one store has opened says nothing to one of other keys, name or cookie', async (t) => {
  const { open } = world()
  const store = open()
  const credential = await sealed(store)
  t.truthy(await store.read(credential))
  for (const other of [open({ keys: [k2] }), open({ name: 'shop' }), store.bind('admin')])
    t.is(await other.read(credential), undefined)
  const rotated = open({ keys: [k2, k1] })
  for (const time of ['first', 'second']) t.true((await rotated.read(credential))?.stale, time)
  t.false((await store.read(credential))?.stale)
})

test('security 41: every changed character of a cookie that was opened before is an anonymous visit', async (t) => {
  const store = world().open()
  const credential = await sealed(store)
  t.truthy(await store.read(credential))
  for (let at = 0; at < credential.length; at += 1)
    for (const character of ['A', '.', '='])
      if (credential[at] !== character)
        t.is(await store.read(credential.slice(0, at) + character + credential.slice(at + 1)), undefined)
  for (const other of [`${credential}=`, `${credential} `, ` ${credential}`, credential.slice(0, -1)])
    t.is(await store.read(other), undefined)
})

test('requests with the same cookie share no value and no entry', async (t) => {
  const store = new CookieStore({ keys: [k1] })
  const manager = new SessionManager({ store })
  const begun = manager.begin().set('cart', { items: ['pear'] })
  await begun.commit()
  const credential = manager.credential(begun) ?? ''
  const [one, other] = [await manager.open(credential), await manager.open(credential)]
  one.get('cart').items.push('apple')
  t.deepEqual(other.get('cart'), { items: ['pear'] })
  t.not(one.peek('cart'), other.peek('cart'))
  Object.assign((await store.read(credential)) ?? {}, { payload: 'changed' })
  t.not((await store.read(credential))?.payload, 'changed')
})

test('the cache keeps what is used, and forgets what is not, within its bytes', (t) => {
  const cache = new OpenedCredentials(20_000)
  const entry = (number: number): { payload: string; expiresAt: number; key: string; stale: boolean } => ({
    payload: `${number}`.padStart(600, '0'),
    expiresAt: number,
    key: 'k',
    stale: false,
  })
  const name = (number: number): string => `${number}`.padStart(400, '0')
  cache.add('used', entry(-1))
  for (let at = 0; at < 1_000; at += 1) {
    cache.add(name(at), entry(at))
    t.is(cache.get('used')?.expiresAt, -1)
  }
  const kept = Array.from({ length: 1_000 }, (_, at) => at).filter((at) => cache.get(name(at)) !== undefined)
  t.true(kept.length > 1 && kept.length <= 20_000 / 2_000, `${kept.length} are kept`)
  t.is(cache.get(name(999))?.expiresAt, 999)
  cache.add('large', { ...entry(1), payload: '0'.repeat(6_000) })
  t.is(cache.get('large'), undefined, 'one that fills a generation')
  const none = new OpenedCredentials(0)
  none.add('a', entry(1))
  t.is(none.get('a'), undefined)
})

test('security 50: long headers around a cookie are not kept with it', (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const cache = new OpenedCredentials(2_000_000)
  const filler = 'x'.repeat(14_000)
  collect()
  const before = process.memoryUsage().heapUsed
  for (let at = 0; at < 2_000; at += 1) {
    const header = Buffer.from(`other=${filler}; sid=${`${at}`.padStart(100, '0')}`).toString('latin1')
    cache.add(header.slice(-100), { payload: 'p', expiresAt: 0, key: 'k', stale: false })
  }
  collect()
  const grown = process.memoryUsage().heapUsed - before
  t.true(grown < 10_000_000, `${grown} bytes are kept of 28,000,000`)
  t.truthy(cache.get('1999'.padStart(100, '0')))
})

test('a size of the cache that is none is refused', (t) => {
  for (const cacheBytes of [-1, 0.5, NaN, '1'])
    t.throws(() => new CookieStore({ keys: [k1], cacheBytes: cacheBytes as number }), {
      code: 'ERR_SESSION_OPTIONS',
      message: /cacheBytes/,
    })
  const config = { keys: [k1.toString('base64url')] }
  t.notThrows(() => CookieStore.fromConfig(JSON.stringify({ ...config, cacheBytes: 0 }), { now: Date.now }))
  t.throws(() => CookieStore.fromConfig(JSON.stringify({ ...config, cacheBytes: '4' }), { now: Date.now }), {
    code: 'ERR_SESSION_OPTIONS',
    message: /cacheBytes/,
  })
})

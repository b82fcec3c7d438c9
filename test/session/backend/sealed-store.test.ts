import { randomBytes } from 'node:crypto'
import test from 'ava'
import {
  session,
  SessionError,
  SessionManager,
  type ManagerOptions,
  type SessionEvent,
} from '../../../src/index.ts'
import { hashId } from '../../../src/session/id.ts'
import { SealedStore } from '../../../src/session/backend/sealed-store.ts'
import type { Entry, Store } from '../../../src/store.ts'
import { CookieStore } from '../../../src/stores/cookie.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'
import { storeContract, type StoreHarness } from '../../../src/testing/index.ts'

const [k1, k2] = [randomBytes(32), randomBytes(32)]
const START = 1_750_000_000_000
const HOUR = 60 * 60 * 1000

const clock = { time: START }
const shared = new MemoryStore({ now: () => clock.time, maxBytes: 4 * 1024 * 1024 })
shared.close = async () => {} // it is every store's
const harness: StoreHarness = {
  open: () => new SealedStore(shared, { keys: [k1] }, () => clock.time),
  now: () => clock.time,
  advance: (ms) => {
    clock.time += ms
  },
  still: true,
  sweeps: true,
  counts: true,
}
const { traits } = await harness.open()
for (const requirement of storeContract) {
  if (!requirement.appliesTo(traits, harness) || requirement.title === 'after close every verb rejects')
    continue
  test.serial(`sealed memory: ${requirement.title}`, async (t) => {
    await requirement.check(harness)
    t.pass()
  })
}

/** A manager over a store of one's own, and what it told. */
function sealedManager(
  store: MemoryStore,
  keys: readonly Buffer[] = [k1],
  more: Partial<ManagerOptions<undefined>> = {},
): { manager: SessionManager; events: SessionEvent[] } {
  const events: SessionEvent[] = []
  const manager = new SessionManager({
    store,
    seal: { keys },
    onEvent: (event) => events.push(event),
    ...more,
  })
  return { manager, events }
}
/** The same store under the name of a prefix or table. */
function named(store: MemoryStore, namespace: string): Store {
  return {
    traits: store.traits,
    namespace,
    read: async (...args) => store.read(...args),
    create: async (...args) => store.create(...args),
    replace: async (...args) => store.replace(...args),
    touch: async (...args) => store.touch(...args),
    destroy: async (key, base) => store.destroy(key, base),
    close: async () => store.close(),
  }
}
async function stored(store: MemoryStore, id: string): Promise<Entry> {
  const entry = await store.read(hashId(id))
  if (entry === undefined) throw new Error('nothing is stored')
  return entry
}
async function put(store: MemoryStore, id: string, payload: string): Promise<void> {
  const entry = await store.read(hashId(id))
  await (entry === undefined
    ? store.create(hashId(id), payload, Date.now() + HOUR)
    : store.replace(hashId(id), payload, entry.expiresAt, entry))
}
async function storedSession(manager: SessionManager, secret: string): Promise<string> {
  const one = manager.begin().set('secret', secret)
  await manager.commit(one)
  return one.id
}
const refusal = { code: 'ERR_SESSION_PAYLOAD', message: /^the stored session is not sealed for this record/ }
const failures = (events: readonly SessionEvent[]): readonly unknown[] =>
  events.flatMap((event) =>
    event.type === 'decode-failed' && event.error instanceof SessionError
      ? [[event.scope, event.error.code]]
      : [],
  )

test('security 46: what stands in the store is readable up to the version, and not beyond', async (t) => {
  const store = new MemoryStore()
  const { manager } = sealedManager(store)
  const id = await storedSession(manager, 'swordfish')
  const { payload } = await stored(store, id)
  t.regex(payload, /^kts1 [\w-]{16} s1\.[\w-]{4}\.[\w-]+$/)
  t.false(Buffer.from(payload.slice(30), 'base64url').includes('swordfish'))
  t.is((await manager.open(id)).get('secret'), 'swordfish')
  t.true((await new SessionManager({ store }).open(id)).isNew, 'without the keys it is no session')
  t.is((await stored(store, id)).payload, payload, 'and is left as it is')
})

test('security 46: records that were swapped or put together are refused, told, and left alone', async (t) => {
  const store = new MemoryStore()
  const { manager, events } = sealedManager(store)
  const ann = await storedSession(manager, 'ann')
  const bob = await storedSession(manager, 'bob')
  const [first, other] = [(await stored(store, ann)).payload, (await stored(store, bob)).payload]
  await manager.commit((await manager.open(ann)).set('more', 1))
  const second = (await stored(store, ann)).payload
  for (const forged of [
    other,
    first.slice(0, 21) + second.slice(21),
    second.slice(0, 21) + first.slice(21),
    second.slice(0, 21) + other.slice(21),
    second.slice(0, -1),
    second.slice(0, 21),
    `${second} `,
    second.replace(' s1.', ' s2.'),
    `kts1 ${'v'.repeat(16)} ${START} 17\n"secret" J "me"\n`,
  ]) {
    events.length = 0
    await put(store, ann, forged)
    t.true((await manager.open(ann)).isNew, forged.slice(0, 30))
    t.deepEqual(failures(events), [['payload', 'ERR_SESSION_PAYLOAD']])
    await t.throwsAsync(new SealedStore(store, { keys: [k1] }, Date.now).read(hashId(ann)), refusal)
    t.is((await stored(store, ann)).payload, forged)
  }
  await put(store, ann, first)
  t.is(
    (await manager.open(ann)).get('secret'),
    'ann',
    'an older record of its own is its own: the seal knows no time',
  )
})

test('security 43 and 46: after a change of keys a record is sealed anew when its session is next used', async (t) => {
  const store = new MemoryStore()
  const id = await storedSession(sealedManager(store, [k1]).manager, 'x')
  const before = (await stored(store, id)).payload
  const { manager } = sealedManager(store, [k2, k1])
  await manager.commit(await manager.open(id))
  const after = (await stored(store, id)).payload
  t.not(after.slice(0, 21), before.slice(0, 21), 'with a version of its own, as every write')
  t.not(after.slice(21, 30), before.slice(21, 30))
  await manager.commit(await manager.open(id))
  t.is((await stored(store, id)).payload, after, 'once')
  t.is((await sealedManager(store, [k2]).manager.open(id)).get('secret'), 'x')
  t.true((await sealedManager(store, [k1]).manager.open(id)).isNew)
})

test('security 42 and 46: unsealed records are read until the date that was given, and sealed when used', async (t) => {
  const now = { time: START }
  const options = { now: () => now.time }
  const store = new MemoryStore(options)
  const plain = new SessionManager({ store, ...options })
  const [ann, bob] = [await storedSession(plain, 'ann'), await storedSession(plain, 'bob')]
  const migrating = { ...options, seal: { keys: [k1], plainUntil: new Date(START + HOUR / 2) } }
  t.true((await sealedManager(store, [k1], options).manager.open(ann)).isNew, 'not without such a date')
  const { manager, events } = sealedManager(store, [k1], migrating)
  const session = await manager.open(ann)
  t.is(session.get('secret'), 'ann')
  await manager.commit(session)
  t.regex((await stored(store, ann)).payload, /^kts1 [\w-]{16} s1\./)
  now.time += HOUR / 2
  t.is((await manager.open(ann)).get('secret'), 'ann')
  t.true((await manager.open(bob)).isNew)
  t.deepEqual(failures(events), [['payload', 'ERR_SESSION_PAYLOAD']])
  const keysOfOthers = { keys: [k2], plainUntil: new Date(START + 9 * HOUR) }
  const others = new SealedStore(store, keysOfOthers, () => now.time)
  await t.throwsAsync(others.read(hashId(ann)), refusal, 'what others sealed is not plain')
})

test('sealed sessions lose no update, regenerate, and end', async (t) => {
  const store = new MemoryStore()
  const { manager } = sealedManager(store)
  const id = await storedSession(manager, 'x')
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const each = await manager.open(id)
      each.update('n', (n = 0) => n + 1)
      await manager.commit(each)
    }),
  )
  const one = await manager.open(id)
  t.is(one.get('n'), 20)
  await manager.regenerate(one)
  t.true((await manager.open(id)).isNew)
  t.is((await manager.open(one.id)).get('n'), 20)
  await manager.destroy(one)
  t.is(await manager.find(one.id), undefined)
})

test('a sealed store takes as much less as a seal takes', async (t) => {
  const inner = new MemoryStore({ maxBytes: 10_000 })
  const most = inner.traits.maxBytes
  const store = new SealedStore(inner, { keys: [{ id: 'k'.repeat(16), secret: k1 }] }, Date.now)
  const { maxBytes } = store.traits
  t.true(maxBytes > most * 0.7 && maxBytes < most * 0.76, `${maxBytes} of ${most}`)
  const payload = `kts1 ${'v'.repeat(16)}`.padEnd(maxBytes, 'x')
  t.not(await store.create('a', payload, Date.now() + HOUR), 'exists')
  await t.throwsAsync(store.create('b', `${payload}x`, Date.now() + HOUR), {
    code: 'ERR_SESSION_LIMIT',
    message: /^memory: create refused, the payload has \d+ bytes and may have \d+ before it is sealed$/,
  })
})

test('security 46: a record opens only for the application that sealed it, whatever keys are shared', async (t) => {
  const store = new MemoryStore()
  const owners: Partial<ManagerOptions<undefined>>[] = [
    { seal: { keys: [k1] } },
    { seal: { keys: [k1], application: 'shop' } },
    { seal: { keys: [k1], application: 'forum' } },
    { store: named(store, 'shop') },
    { store: named(store, 'shop:') },
  ]
  for (const [index, owner] of owners.entries()) {
    const id = await storedSession(sealedManager(store, [k1], owner).manager, 'mine')
    for (const [number, other] of owners.entries()) {
      const { manager, events } = sealedManager(store, [k1], other)
      const found = await manager.find(id)
      t.is(found?.get('secret'), index === number ? 'mine' : undefined)
      t.deepEqual(failures(events), index === number ? [] : [['payload', 'ERR_SESSION_PAYLOAD']])
    }
  }
  const moved = { store: named(store, 'a:'), seal: { keys: [k1], application: 'shop' } }
  const id = await storedSession(sealedManager(store, [k1], moved).manager, 'mine')
  const { manager } = sealedManager(store, [k1], { ...moved, store: named(store, 'b:') })
  t.is((await manager.open(id)).get('secret'), 'mine', 'with a name of its own it may move')
})

test('seal is refused where it cannot work', (t) => {
  const make = (options: object): unknown =>
    t.throws(() => session(options), { instanceOf: SessionError, code: 'ERR_SESSION_OPTIONS' })?.message
  t.is(
    make({ seal: { keys: ['keyboard cat'] } })
      ?.toString()
      .slice(0, 43),
    'session: seal.keys[0]: is 12 bytes long, an',
  )
  t.is(make({ seal: { keys: [] } }), 'session: seal.keys: needs at least one key')
  for (const application of ['', 7, null])
    t.is(
      make({ seal: { keys: [k1], application } }),
      'session: seal.application: must be a string that is not empty',
    )
  t.is(
    make({ seal: { keys: [k1], key: 1 } }),
    'session: seal.key: is not a setting; there are keys, application, plainUntil',
  )
  t.is(make({ seal: { keys: [k1], plainUntil: 'tomorrow' } }), 'session: seal.plainUntil: must be a Date')
  t.regex(
    String(make({ store: new CookieStore({ keys: [k1] }), seal: { keys: [k1] } })),
    /^session: seal: is for stores on a server/,
  )
})

test('a sealed store has the traits that its store has now: some are known only when it has connected', async (t) => {
  const inner = new MemoryStore()
  const least = { ...inner.traits, maxBytes: 65_536, durable: false }
  let traits = least
  const store: Store = Object.create(inner, { traits: { get: () => traits } })
  const sealed = new SealedStore(store, { keys: [k1] }, Date.now)
  t.true(sealed.traits.maxBytes < 49_200)
  t.is(sealed.traits, sealed.traits, 'they are not made anew for each call')
  traits = { ...least, maxBytes: 16_777_216, durable: true }
  t.true(sealed.traits.maxBytes > 12_000_000)
  t.true(sealed.traits.durable)
})

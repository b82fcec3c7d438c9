import { randomBytes } from 'node:crypto'
import test from 'ava'
import { SessionError, SessionManager } from '../../../src/index.ts'
import { migrate, type MigrateOptions, type MigratingStore } from '../../../src/migrate/index.ts'
import type { Counting, Store, Sweeping } from '../../../src/store.ts'
import { CookieStore } from '../../../src/stores/cookie.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'
import { payload } from '../../../src/testing/trial.ts'
import { SpiedStore } from '../../support/spied-store.ts'

const HOUR = 3_600_000
const KEY = 'k'.repeat(64)

/** Two stores of the processes of this test, their clock, and what they are asked. */
function scene(): {
  readonly old: SpiedStore
  readonly next: SpiedStore
  readonly store: MigratingStore & Partial<Sweeping & Counting>
  readonly options: Required<MigrateOptions>
  /** The calls since the last time, of the old store and of the new one, in order. */
  readonly calls: () => readonly string[]
  readonly pass: (ms: number) => void
  readonly soon: () => number
} {
  let clock = 1_750_000_000_000
  const now = (): number => clock
  const [old, next] = [new SpiedStore(now), new SpiedStore(now)]
  const calls: string[] = []
  old.before = (verb) => void calls.push(`old ${verb}`)
  next.before = (verb) => void calls.push(`new ${verb}`)
  const options = { to: next, from: old, until: new Date(clock + 1_000 * HOUR), now }
  return {
    old,
    next,
    store: migrate(options),
    options,
    calls: () => calls.splice(0),
    pass: (ms) => void (clock += ms),
    soon: () => clock + HOUR,
  }
}

/** The store refuses to write. */
function refuse(verb: string): void {
  if (verb !== 'read') throw new SessionError('ERR_SESSION_STORE', 'full', { answered: true })
}

test('a session in the new store takes as many calls as without a change, and a touch one read more', async (t) => {
  const { next, store, calls, soon } = scene()
  await next.create(KEY, payload(), soon())
  calls()
  const entry = await store.read(KEY, soon())
  if (entry === undefined) return t.fail()
  t.deepEqual(calls(), ['new read'])
  const written = await store.replace(KEY, payload(), soon(), entry)
  if (typeof written === 'string') return t.fail(written)
  t.deepEqual(calls(), ['new replace'])
  t.is(await store.touch(KEY, soon() + 1), 'ok')
  t.deepEqual(calls(), ['new touch', 'new read'])
  t.is(await store.destroy(KEY, written.entry), 'ok')
  t.deepEqual(calls(), ['new destroy'])
  t.is(store.moved, 0)
})

test('an unknown ID takes two reads, a new session one read more, and a move two reads and three writes, once', async (t) => {
  const { old, store, calls, soon } = scene()
  t.is(await store.read(KEY, soon()), undefined)
  t.deepEqual(calls(), ['new read', 'old read'])
  t.is(typeof (await store.create(`${KEY}2`, payload(), soon())), 'object')
  t.deepEqual(calls(), ['old read', 'new create'])
  const text = payload()
  await old.create(KEY, text, soon())
  calls()
  t.is((await store.read(KEY))?.payload, text)
  t.deepEqual(calls(), ['new read', 'old read', 'new create', 'old replace', 'new replace'])
  t.is((await store.read(KEY))?.payload, text)
  t.deepEqual(calls(), ['new read'])
  t.is(store.moved, 1)
})

test('a base from before the move is still good, and what is not changed keeps its version', async (t) => {
  const { old, store, options, soon } = scene()
  const before = migrate({ ...options, to: options.from, from: options.to })
  await old.create(KEY, payload(), soon())
  const base = await before.read(KEY)
  if (base === undefined) return t.fail()
  t.is((await store.read(KEY))?.payload, base.payload)
  const text = payload()
  t.is(typeof (await before.replace(KEY, text, soon(), base)), 'object')
  t.is((await store.read(KEY))?.payload, text)
  t.is(await before.destroy(KEY, base), 'conflict')
  t.is(await before.destroy(KEY), 'ok')
  t.is(await store.replace(KEY, payload(), soon(), base), 'gone')
  t.is(await store.read(KEY), undefined)
})

test('processes that lead with different stores do not pass a session to and fro', async (t) => {
  const { old, store, options, calls, soon } = scene()
  const turned = migrate({ ...options, to: options.from, from: options.to })
  await old.create(KEY, payload(), soon())
  for (let round = 0; round < 5; round += 1) {
    for (const each of [store, turned]) {
      const entry = await each.read(KEY)
      if (entry === undefined) return t.fail()
      t.is(typeof (await each.replace(KEY, payload(), soon(), entry)), 'object')
    }
  }
  t.deepEqual([store.moved, turned.moved], [1, 0])
  t.is(calls().filter((call) => call.endsWith('create')).length, 2) // the session, and the copy
})

test('turned round, it brings a session back that was changed since, some minutes after it had moved', async (t) => {
  const { old, store, options, calls, pass, soon } = scene()
  const back = migrate({ ...options, to: options.from, from: options.to })
  await old.create(KEY, payload(), soon())
  const entry = await store.read(KEY)
  if (entry === undefined) return t.fail()
  await store.replace(KEY, payload(), soon(), entry)
  t.truthy(await back.read(KEY))
  t.is(back.moved, 0)
  pass(601_000)
  t.truthy(await back.read(KEY))
  t.is(back.moved, 1)
  calls()
  t.truthy(await back.read(KEY))
  t.deepEqual(calls(), ['old read'])
})

test('one that was not changed is brought back when no call of its first move can arrive any more', async (t) => {
  const { old, store, options, pass, soon } = scene()
  const back = migrate({ ...options, to: options.from, from: options.to })
  await old.create(KEY, payload(), soon())
  await store.read(KEY)
  pass(HOUR / 2)
  await back.read(KEY, soon())
  t.is(back.moved, 0)
  pass(HOUR * 0.6)
  t.truthy(await back.read(KEY, soon()))
  t.is(back.moved, 1)
})

test('a session keeps the life that it had, and what a read asks for', async (t) => {
  const { old, store, soon } = scene()
  await old.create(KEY, payload(), soon())
  t.is((await store.read(KEY))?.expiresAt, soon())
  await old.create(`${KEY}2`, payload(), soon())
  t.is((await store.read(`${KEY}2`, soon() + HOUR))?.expiresAt, soon() + HOUR)
})

test('after its end the old store is not asked any more', async (t) => {
  const { old, store, calls, pass, soon } = scene()
  await old.create(KEY, payload(), soon() + 2_000 * HOUR)
  pass(1_000 * HOUR)
  calls()
  t.is(await store.read(KEY), undefined)
  t.is(typeof (await store.create(KEY, payload(), soon())), 'object')
  t.is(await store.touch(`${KEY}2`, soon()), 'gone')
  t.is(await store.destroy(KEY), 'ok')
  t.is(await store.count?.(), 0)
  t.deepEqual(
    calls().filter((call) => call.startsWith('old')),
    [],
  )
})

test('what is left of a move that was cut off does not keep a key from being created after the end', async (t) => {
  const { old, next, store, pass, soon } = scene()
  await old.create(KEY, payload(), soon() + 2_000 * HOUR)
  next.before = (verb) => {
    if (verb === 'replace') throw new SessionError('ERR_SESSION_STORE', 'silence')
  }
  await t.throwsAsync(store.read(KEY), { code: 'ERR_SESSION_STORE' })
  next.before = () => {}
  pass(1_000 * HOUR)
  t.is(await store.read(KEY), undefined)
  t.is(typeof (await store.create(KEY, payload(), soon())), 'object')
  t.truthy(await store.read(KEY))
})

test('a session that does not fit into the new store stays where it is, and is used there', async (t) => {
  const { old, options, soon } = scene()
  const small = new MemoryStore({ maxBytes: 2_048, now: options.now })
  const store = migrate({ ...options, to: small })
  t.is(store.traits.maxBytes, 1_000)
  const large = payload('x'.repeat(3_000))
  await old.create(KEY, large, soon())
  const entry = await store.read(KEY)
  if (entry === undefined) return t.fail()
  t.is(entry.payload, large)
  t.is(store.moved, 0)
  await t.throwsAsync(store.replace(KEY, large, soon(), entry), { code: 'ERR_SESSION_LIMIT' })
  t.is(typeof (await store.replace(KEY, payload(), soon(), entry)), 'object')
  t.truthy(await store.read(KEY))
  t.is(store.moved, 1)
})

test('while one of the stores refuses to write, sessions are used where they are', async (t) => {
  for (const full of ['old', 'next'] as const) {
    const { old, next, store, soon } = scene()
    const [text, other] = [payload(), payload()]
    await old.create(KEY, text, soon())
    await next.create(`${KEY}2`, other, soon())
    const stores = { old, next }
    stores[full].before = refuse
    t.is((await store.read(KEY))?.payload, text, full)
    t.is((await store.read(`${KEY}2`))?.payload, other, full)
    t.is(store.moved, 0)
    stores[full].before = () => {}
    t.is((await store.read(KEY))?.payload, text, full)
    t.is(store.moved, 1)
  }
})

test('a session whose move is decided is used, also where its copy cannot be written anew', async (t) => {
  const { old, next, store, soon } = scene()
  const text = payload()
  await old.create(KEY, text, soon())
  let isFull = false
  next.before = (verb) => (isFull ? refuse(verb) : undefined)
  old.after = (verb) => void (isFull = verb === 'replace' || isFull)
  const entry = await store.read(KEY)
  t.is(entry?.payload, text)
  t.is((await store.read(KEY))?.payload, text)
  isFull = false
  old.after = () => {}
  if (entry === undefined) return t.fail()
  const changed = payload()
  t.is(typeof (await store.replace(KEY, changed, soon(), entry)), 'object')
  t.is((await store.read(KEY))?.payload, changed)
  t.is((await next.read(KEY))?.payload, changed)
})

test('a new session needs no room in an old store that is full; a key that was looked up does', async (t) => {
  const { old, store, soon } = scene()
  old.before = refuse
  t.is(typeof (await store.create(KEY, payload(), soon())), 'object')
  await store.read(`${KEY}2`)
  await t.throwsAsync(store.create(`${KEY}2`, payload(), soon()), { code: 'ERR_SESSION_STORE' })
  t.is(await store.read(`${KEY}2`), undefined)
})

test('what is in the old store is not created again in the new one', async (t) => {
  const { old, store, soon } = scene()
  await old.create(KEY, payload(), soon())
  t.is(await store.create(KEY, payload(), soon()), 'exists')
})

test('both stores are counted and swept, and closed even if one of them fails to', async (t) => {
  const { old, next, store, pass, soon } = scene()
  await old.create(KEY, payload(), soon())
  await next.create(`${KEY}2`, payload(), soon())
  t.is(await store.count?.(), 2)
  pass(2 * HOUR)
  t.is(await store.sweep?.(1), 1)
  t.is(await store.sweep?.(5), 1)
  next.close = async () => Promise.reject(new Error('no'))
  await t.throwsAsync(store.close(), { message: 'no' })
  await t.throwsAsync(old.read(KEY), { code: 'ERR_SESSION_STORE' })
})

test('only what holds of both stores is a trait of the two', (t) => {
  const { store } = scene()
  const { name, shared, durable, evicts, revocable, location } = store.traits
  t.is(name, 'memory-from-memory')
  t.deepEqual([shared, durable, evicts, revocable, location], [false, false, true, true, 'server'])
})

const refused: Readonly<Record<string, readonly [options: object, message: RegExp]>> = {
  'no old store': [{ from: undefined }, /^migrate: from: must be a store$/],
  'no end': [{ until: undefined }, /^migrate: until: must be a Date/],
  'an end that is no Date': [{ until: new Date('soon') }, /^migrate: until: must be a Date/],
  'a name that is mistyped': [
    { untill: new Date() },
    /^migrate: untill: is not a setting; did you mean until\?$/,
  ],
  'a name that is unknown': [
    { speed: 1 },
    /^migrate: speed: is not a setting; there are to, from, until, now$/,
  ],
  'a store on the client': [
    { from: new CookieStore({ keys: [randomBytes(32)] }) },
    /^migrate: from: cookie keeps sessions on the client/,
  ],
}

for (const [what, [options, message]] of Object.entries(refused)) {
  test(`${what} is refused`, (t) => {
    t.throws(() => migrate({ ...scene().options, ...options }), { code: 'ERR_SESSION_OPTIONS', message })
  })
}

test('one store for both is refused, and so is a change within a change', (t) => {
  const { options, store } = scene()
  t.throws(() => migrate({ ...options, from: options.to }), { message: /are the same store/ })
  t.throws(() => migrate({ ...options, from: store }), { message: /finish that change first/ })
})

/** A store in memory with the namespace that a prefix or a table would give it. */
function named(store: Store, namespace: string): Store {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'namespace') return namespace
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const seal = { keys: [randomBytes(32)] }

test('security 46: sealed sessions move as they are, with the same prefix or application at each step', async (t) => {
  for (const [names, sealing] of [
    [['session', 'session'], seal],
    [['session:', 'session'], { ...seal, application: 'shop' }],
  ] as const) {
    const { old, next, options } = scene()
    const [from, to] = [named(old, names[0]), named(next, names[1])]
    const at = (store: Store): SessionManager =>
      new SessionManager({ store, seal: sealing, now: options.now })
    const ann = at(from).begin().set('user', 'ann')
    await ann.commit()
    const changing = migrate({ ...options, to, from })
    const found = await at(changing).open(ann.id)
    t.is(found.get('user'), 'ann')
    t.is(changing.moved, 1)
    t.is((await at(to).open(ann.id)).get('user'), 'ann')
  }
})

test('security 46: without an application sealed sessions need one prefix, and the error says so', (t) => {
  const { old, next, options } = scene()
  const store = migrate({ ...options, to: named(next, 'session'), from: named(old, 'session:') })
  t.throws(() => new SessionManager({ store, seal }), {
    code: 'ERR_SESSION_OPTIONS',
    message: /these are 'session' and 'session:'; .* set seal\.application before the change$/,
  })
  t.notThrows(() => new SessionManager({ store, seal: { ...seal, application: 'shop' } }))
  t.notThrows(() => new SessionManager({ store }))
})

test('security 46: sealing can be turned on during the change', async (t) => {
  const { old, next, options } = scene()
  const ann = new SessionManager({ store: old, now: options.now }).begin().set('user', 'ann')
  await ann.commit()
  const sealing = { ...seal, plainUntil: new Date(options.until) }
  const manager = new SessionManager({ store: migrate(options), seal: sealing, now: options.now })
  const session = await manager.open(ann.id)
  t.is(session.get('user'), 'ann')
  await manager.commit(session)
  const [key = ''] = next.keys
  t.regex((await next.read(key))?.payload ?? '', /^kts1 [\w-]{16} s1\./)
})

test("security 24, 25: an owner's sessions are listed and ended wherever they are", async (t) => {
  const { old, options } = scene()
  const at = (store: Store): SessionManager => new SessionManager({ store, now: options.now })
  const changing = migrate(options)
  const [before, after] = [at(old), at(changing)]
  const [one, two] = [before.begin(), before.begin()]
  for (const each of [one, two]) {
    each.signIn('ann')
    await each.commit()
  }
  const three = after.begin()
  three.signIn('ann')
  await three.commit()
  t.is((await after.sessionsOf('ann').list()).length, 3)
  t.is((await after.open(one.id)).owner?.id, 'ann')
  t.is(await after.sessionsOf('ann').endAll(), 3)
  for (const { id } of [one, two, three]) t.is(await after.find(id), undefined)
})

// `peek`: a read that promises not to change the value, so that the commit need not look.
import test from 'ava'
import { z } from 'zod'
import { createRegistry, SessionError, SessionManager, type Session } from '../../src/index.ts'
import { commitRequest } from '../../src/session/session.ts'
import { SpiedStore } from '../support/spied-store.ts'

class Item {
  name = 'pear'
  count = 1
  add(): void {
    this.count += 1
  }
}

class Cart {
  items: Item[] = [new Item()]
  since = new Date(1_760_000_000_000)
  total(): number {
    return this.items.reduce((sum, { count }) => sum + count, 0)
  }
}

/** Written by its own `encode`. */
class Money {
  cents: number
  constructor(cents: number) {
    this.cents = cents
  }
}

class Tags extends Set<string> {}

const registry = createRegistry()
registry.registerType(Item)
registry.registerType(Cart)
registry.registerType(Money, { encode: ({ cents }) => cents, decode: (cents: number) => new Money(cents) })
registry.registerType(Tags, {
  encode: (tags) => [...tags],
  decode: (tags: string[]) => Object.setPrototypeOf(new Set(tags), Tags.prototype) as Tags,
})

const shared = { name: 'shared' }
const values = {
  text: 'ann',
  big: 10n,
  plain: { list: [{ n: 1 }], deep: { deeper: [1, 2] } },
  cart: new Cart(),
  date: new Date(0),
  map: new Map<unknown, unknown>([['a', { n: 1 }]]),
  set: new Set<unknown>([{ n: 1 }, 'b']),
  bytes: Buffer.from('bytes'),
  array: new Uint8Array([1, 2]),
  null: Object.assign(Object.create(null) as object, { n: 1 }),
  money: { price: new Money(5), beside: { n: 1 } },
  tags: new Tags(['new']),
  twice: [shared, shared],
  error: new Error('no'),
  url: new URL('https://example.org/'),
}
type Values = typeof values

async function stored(options: ConstructorParameters<typeof SessionManager>[0] = {}): Promise<{
  readonly store: SpiedStore
  readonly open: () => Promise<Session>
}> {
  const store = new SpiedStore()
  const manager = new SessionManager({ store, registry, ...options })
  const begun = manager.begin()
  for (const [key, value] of Object.entries(values)) begun.set(key, value)
  await begun.commit()
  const open = async (): Promise<Session> => {
    const session = await manager.open(begun.id)
    store.calls.length = 0
    return session
  }
  return { store, open }
}

test('peek returns what get returns, of every kind, and the same object every time', async (t) => {
  const { open, store } = await stored()
  const [peeking, getting] = [await open(), await open()]
  for (const key of Object.keys(values)) {
    const peeked: unknown = peeking.peek(key)
    t.deepEqual(peeked, getting.get(key), key)
    t.is(peeking.peek(key), peeked, key)
  }
  t.is((peeking.peek('cart') as Cart).total(), 1)
  t.is(peeking.peek('absent'), undefined)
  t.is(await peeking.commit(), 'ok')
  peeking.set('other', 1)
  t.is(await peeking.commit(), 'ok', 'beside a change')
  t.deepEqual(store.calls, ['replace'])
})

/** Each changes the value of its key, which throws at once where the part is frozen. */
const frozen: Readonly<Record<string, (values: Values) => unknown>> = {
  'a field of a plain object': ({ plain }) => (plain.deep.deeper = []),
  'a new field': ({ plain }) => Object.assign(plain.deep, { more: 1 }),
  'a field that is deleted': ({ plain }) => Reflect.deleteProperty(plain, 'list') || fail(),
  'an element': ({ plain }) => plain.list.push({ n: 2 }),
  'a field of an element': ({ plain }) => (plain.list[0] = { n: 2 }),
  'a field of an instance': ({ cart }) => (cart.items = []),
  'a method that changes an instance': ({ cart }) => cart.items[0]?.add(),
  'the prototype of an instance': ({ cart }) => Object.setPrototypeOf(cart, null) as unknown,
  'a value in a Map': ({ map }) => Object.assign(map.get('a') as object, { n: 2 }),
  'a member of a Set': ({ set }) => Object.assign([...set][0] as object, { n: 2 }),
  'a field beside the members of a Map': ({ map }) => Object.assign(map, { n: 2 }),
  'a field of a date': ({ date }) => Object.assign(date, { n: 2 }),
  'a field of bytes': ({ bytes }) => Object.assign(bytes, { n: 2 }),
  'an object without prototype': ({ null: nothing }) => Object.assign(nothing, { n: 2 }),
}

function fail(): never {
  throw new TypeError('it is refused')
}

for (const [title, change] of Object.entries(frozen))
  test(`a change of a peeked value throws at once: ${title}`, async (t) => {
    const { open, store } = await stored()
    const session = await open()
    t.throws(() => change(peekAll(session)), { instanceOf: TypeError })
    t.is(await session.commit(), 'ok')
    t.is(store.calls.length, 0)
  })

/** What cannot be frozen, or may be held by the program elsewhere. */
const unfrozen: Readonly<Record<string, (values: Values) => unknown>> = {
  'a date': ({ date }) => date.setTime(1),
  'an invalid date': ({ cart }) => cart.since.setTime(NaN),
  'an entry of a Map': ({ map }) => map.set('b', 1),
  'another value in a Map': ({ map }) => map.set('a', { n: 1 }).get('a'),
  'a Map that is cleared': ({ map }) => map.clear(),
  'a member of a Set': ({ set }) => set.delete('b') && set.add('c'),
  bytes: ({ bytes }) => bytes.write('B'),
  'a Uint8Array': ({ array }) => array.fill(7),
  'an instance that its class decodes': ({ money }) => (money.price.cents = 6),
  'an object beside such an instance': ({ money }) => (money.beside.n = 2),
  'a collection of a registered class': ({ tags }) => tags.add('sale'),
  'an object in two places': ({ twice }) => (twice[0] = { name: 'other' }),
  'an error': ({ error }) => (error.message = 'yes'),
  'a URL': ({ url }) => (url.pathname = '/path'),
}

for (const [title, change] of Object.entries(unfrozen))
  test(`a change of a peeked value makes the commit throw, and nothing is stored: ${title}`, async (t) => {
    const { open, store } = await stored()
    const session = await open()
    change(peekAll(session))
    await t.throwsAsync(session.commit(), { code: 'ERR_SESSION_STATE', message: /was read by peek\(\)/ })
    session.set('other', 1)
    await t.throwsAsync(commitRequest(session), { code: 'ERR_SESSION_STATE' }, 'beside a change')
    t.is(store.calls.length, 0)
  })

function peekAll(session: Session): Values {
  // It is what was stored.
  return Object.fromEntries(Object.keys(values).map((key) => [key, session.peek(key) as unknown])) as Values
}

test('a value that was got, set or updated before is peeked as it is, and can still be changed', async (t) => {
  const { open } = await stored()
  const session = await open()
  const got = session.get('cart') as Cart
  t.is(session.peek('cart'), got)
  got.since = new Date(1)
  session.set('plain', { list: [{ n: 7 }] })
  t.is(session.peek('plain').list[0].n, 7)
  session.update('map', (map: Map<string, number>) => {
    map.clear()
  })
  t.is(session.peek('map').size, 0)
  session.delete('set')
  t.is(session.peek('set'), undefined)
  t.is(await session.commit(), 'ok')
  t.is((await open()).peek('cart').since.getTime(), 1)
  session.clear()
  t.is(session.peek('text'), undefined)
})

test('a get, take, update or claim after a peek hands out an object of its own, whose changes are stored', async (t) => {
  const { open } = await stored()
  const session = await open()
  peekAll(session)
  const cart = session.get('cart') as Cart
  t.not(cart, session.peek('map'))
  cart.items[0]?.add()
  session.update('plain', (plain: Values['plain']) => void plain.list.push({ n: 2 }))
  const map = session.take('map') as Map<string, number>
  map.set('mine', 1)
  const tags = (await session.claim('tags')) as Tags
  t.notThrows(() => tags.add('mine'))
  t.is(session.peek('tags'), undefined)
  t.is(await session.commit(), 'ok')
  const again = await open()
  t.is(again.get('cart').total(), 2)
  t.is(again.get('plain').list.length, 2)
  t.false(again.has('map'))
})

test('the object that the program shares through decode or upgrade is not frozen', async (t) => {
  const one = new Money(1)
  const types = createRegistry()
  types.registerType(Money, { encode: () => null, decode: () => one })
  class Old {
    a = 1
  }
  const before = createRegistry()
  before.registerType(Old, { name: 'Old' })
  const common = { list: [1] }
  class New {
    a = 1
    b = common
  }
  types.registerType(New, {
    name: 'Old',
    version: 2,
    upgrade: (fields) => ({ ...fields, b: common }),
  })
  const store = new SpiedStore()
  const old = new SessionManager({ store, registry: before }).begin().set('old', new Old())
  await old.commit()
  const manager = new SessionManager({ store, registry: types })
  const session = await manager.open(old.id)
  session.set('money', one)
  await session.commit()
  const again = await manager.open(old.id)
  t.is(again.peek('money'), one)
  t.is(again.peek('old').b, common)
  t.false(Object.isFrozen(one) || Object.isFrozen(common))
  store.calls.length = 0
  t.is(await again.commit(), 'ok')
  t.is(store.calls.length, 0, 'a field that upgrade has added is no change')
})

test('a peek after a commit that brought in a newer value returns that one', async (t) => {
  const { open } = await stored()
  const [mine, theirs] = [await open(), await open()]
  const seen = mine.peek('cart') as Cart
  theirs.get('cart').items.push(new Item())
  await theirs.commit()
  mine.set('other', 1)
  t.is(await mine.commit(), 'ok')
  mine.set('cart', new Cart())
  await t.throwsAsync(mine.commit(), { code: 'ERR_SESSION_CONFLICT', message: /^cart: .*earlier commit/ })
  const third = await open()
  third.peek('cart')
  t.is(seen.total(), 1)
  const fourth = await open()
  fourth.get('cart').items.push(new Item())
  await fourth.commit()
  third.set('other', 2)
  await third.commit()
  t.is(third.peek('cart').total(), 3)
  third.set('cart', new Cart())
  t.is(await third.commit(), 'ok', 'what is set now depends on the newest value')
})

test('a peeked date that was changed is told also when a newer value is peeked instead', async (t) => {
  const { open } = await stored()
  const [mine, theirs] = [await open(), await open()]
  const seen = mine.peek('date') as Date
  theirs.set('date', new Date(5))
  await theirs.commit()
  mine.set('other', 1)
  await mine.commit()
  seen.setTime(7)
  t.throws(() => mine.peek('date') as unknown, { code: 'ERR_SESSION_STATE' })
})

test('a peeked key that cannot be decoded or does not fit its schema throws as in get', async (t) => {
  const store = new SpiedStore()
  const untyped = new SessionManager({ store }).begin().set('user', 'ann').set('list', [1])
  await untyped.commit()
  const schema = { user: z.number(), list: z.array(z.number()) }
  const session = await new SessionManager({ store, schema }).open(untyped.id)
  t.is(t.throws(() => session.peek('user'), { instanceOf: SessionError })?.code, 'ERR_SESSION_DECODE')
  t.deepEqual(session.peek('list'), [1])
})

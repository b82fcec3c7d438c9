// The commonest deploy: a class gets a field, and sessions are stored whose instances do not have it.
import { randomUUID } from 'node:crypto'
import test from 'ava'
import { z } from 'zod'
import {
  createRegistry,
  SessionError,
  SessionManager,
  type Class,
  type TypeOptions,
} from '../../src/index.ts'
import { SpiedStore } from '../support/spied-store.ts'

/** The class as it was. */
const before = class Cart {
  items: string[] = []
}

/** The class as it is now. */
class Cart {
  items: string[] = []
  currency = 'EUR'
  tags = new Set<string>()
  total(): string {
    return `${this.items.length} ${this.currency.toLowerCase()}`
  }
}

interface Deploy {
  readonly store: SpiedStore
  readonly old: SessionManager
  readonly now: SessionManager
  /** Stores a value by the old program, and returns the session's ID. */
  readonly stored: (value: unknown) => Promise<string>
}

function deploy<T extends object>(
  type: Class<T>,
  options: TypeOptions<T>,
  settings: ConstructorParameters<typeof SessionManager>[0] = {},
): Deploy {
  const store = new SpiedStore()
  const [theirs, ours] = [createRegistry(), createRegistry()]
  theirs.registerType(before, { name: 'Cart' })
  ours.registerType(type, { name: 'Cart', ...options })
  const old = new SessionManager({ store, registry: theirs })
  const now = new SessionManager({ store, registry: ours, ...settings })
  const stored = async (value: unknown): Promise<string> => {
    const session = old.begin().set('cart', value)
    await old.commit(session)
    store.calls.length = 0
    return session.id
  }
  return { store, old, now, stored }
}

const defaults = (): Partial<Cart> => ({ currency: 'CHF', tags: new Set(['old']) })
const fieldsOf = (cart: Cart): object => Object.fromEntries(Object.entries(cart))
const filled = (...items: string[]): object => Object.assign(new before(), { items })

test('an instance that was stored before its class got a field has the default of it', async (t) => {
  const { now, stored } = deploy(Cart, { defaults })
  const session = await now.open(await stored(filled('apple')))
  const cart: Cart = session.get('cart')
  t.true(cart instanceof Cart)
  t.deepEqual(fieldsOf(cart), { items: ['apple'], currency: 'CHF', tags: new Set(['old']) })
  t.is(cart.total(), '1 chf')
})

test('a default is not written until the value is changed, and then all of them are', async (t) => {
  const { store, now, old, stored } = deploy(Cart, { defaults })
  const id = await stored(filled('apple'))
  const read = await now.open(id)
  read.get('cart')
  await now.commit(read)
  const idle = await now.open(id)
  idle.update('cart', (cart: Cart) => cart)
  idle.update('cart', (cart: Cart) => cart)
  await now.commit(idle)
  await now.commit(idle)
  t.deepEqual(new Set(store.calls), new Set(['read']), 'it was read only')
  t.deepEqual(Object.keys((await old.open(id)).get('cart')), ['items'])

  const changed = await now.open(id)
  changed.get('cart').items.push('pear')
  await now.commit(changed)
  t.true(store.calls.includes('replace'))
  t.deepEqual(Object.keys((await old.open(id)).get('cart')), ['items', 'currency', 'tags'])
  t.deepEqual((await now.open(id)).get('cart').items, ['apple', 'pear'])
})

test('a change of a default alone is stored, by update and in place, and so is its way back', async (t) => {
  const { now, stored } = deploy(Cart, { defaults })
  const currency = async (id: string): Promise<unknown> => (await now.open(id)).get('cart').currency
  const inPlace = await now.open(await stored(filled()))
  inPlace.get('cart').currency = 'USD'
  await now.commit(inPlace)
  t.is(await currency(inPlace.id), 'USD')
  inPlace.get('cart').currency = 'CHF' // what was the default before the commit is a change after it
  await now.commit(inPlace)
  t.is(await currency(inPlace.id), 'CHF')

  const updated = await now.open(await stored(filled()))
  for (const each of ['USD', 'CHF']) {
    updated.update('cart', (cart: Cart) => Object.assign(cart, { currency: each }))
    await now.commit(updated)
    t.is(await currency(updated.id), each)
  }
})

test('a set of the value that was read stores the default too', async (t) => {
  const { now, old, stored } = deploy(Cart, { defaults })
  const session = await now.open(await stored(filled()))
  session.set('cart', session.get('cart'))
  await now.commit(session)
  t.is((await old.open(session.id)).get('cart').currency, 'CHF')
})

test('a default that is an object is a new one for each instance and each request', async (t) => {
  const { now, stored } = deploy(Cart, { defaults })
  const id = await stored([filled('a'), filled('b')])
  const session = await now.open(id)
  const [one, two]: readonly [Cart, Cart] = session.get('cart')
  one.tags.add('mine')
  t.deepEqual([...two.tags], ['old'])
  t.deepEqual([...(await now.open(id)).get('cart')[0].tags], ['old'])
  await now.commit(session)
  const again: readonly Cart[] = (await now.open(id)).get('cart')
  t.deepEqual(
    again.map(({ tags }) => [...tags]),
    [['old', 'mine'], ['old']],
  )
})

test('a default that differs each time is no change either, and no conflict', async (t) => {
  const { store, now, stored } = deploy(
    Cart,
    { defaults: () => ({ currency: randomUUID() }) },
    { isolation: 'serializable' },
  )
  const id = await stored(filled())
  const [one, two] = [await now.open(id), await now.open(id)]
  for (const session of [one, two]) session.get('cart')
  one.update('n', (n = 0) => n + 1)
  await now.commit(one)
  two.update('n', (n = 0) => n + 1)
  await now.commit(two)
  t.is((await now.open(id)).get('n'), 2)
  store.calls.length = 0
  const read = await now.open(id)
  t.is(read.get('cart').currency.length, 36)
  await now.commit(read)
  t.deepEqual(store.calls, ['read'])
})

test('the fields of a new instance are the defaults where that is asked for', async (t) => {
  const { now, stored } = deploy(Cart, { defaults: () => new Cart() })
  const cart: Cart = (await now.open(await stored(filled('apple')))).get('cart')
  t.deepEqual(fieldsOf(cart), { items: ['apple'], currency: 'EUR', tags: new Set() })
})

test('defaults fill in what upgrade has left out', async (t) => {
  const { now, stored } = deploy(Cart, {
    version: 2,
    upgrade: ({ items }) => ({ items, currency: 'USD' }),
    defaults,
  })
  const cart: Cart = (await now.open(await stored(filled('apple')))).get('cart')
  t.deepEqual(fieldsOf(cart), { items: ['apple'], currency: 'USD', tags: new Set(['old']) })
})

test('the schema of the class sees the defaults', async (t) => {
  const fields = { items: z.array(z.string()), currency: z.string().length(3), tags: z.set(z.string()) }
  const { now, stored } = deploy(Cart, { schema: z.object(fields), defaults })
  const id = await stored(filled('apple'))
  t.is((await now.open(id)).get('cart').currency, 'CHF')
  const strict = deploy(Cart, {
    schema: z.object(fields),
    defaults: () => ({ currency: 'francs', tags: new Set() }),
  })
  const session = await strict.now.open(await strict.stored(filled()))
  t.throws(() => session.get('cart'), { code: 'ERR_SESSION_DECODE', message: /does not match its schema/ })
})

test('instances in Maps, in lists, with shared parts and in circles get defaults', async (t) => {
  const { now, store, stored } = deploy(Cart, { defaults })
  const shared = filled('shared')
  const circle: { self?: unknown; cart: unknown } = { cart: shared }
  circle.self = circle
  const id = await stored(
    new Map<unknown, unknown>([
      ['a', [shared, shared]],
      ['b', circle],
    ]),
  )
  const session = await now.open(id)
  const value: Map<string, readonly Cart[]> = session.get('cart')
  const [one, two] = value.get('a') ?? []
  t.is(one, two)
  t.is(one?.currency, 'CHF')
  await now.commit(session)
  t.deepEqual(store.calls, ['read'])
})

test('two requests that change other fields of one old instance are merged by its fields', async (t) => {
  const { now, stored } = deploy(Cart, { defaults, merge: 'fields' })
  const id = await stored(filled('apple'))
  const [one, two] = [await now.open(id), await now.open(id)]
  one.get('cart').items.push('pear')
  two.get('cart').tags.add('new')
  await now.commit(one)
  await now.commit(two)
  const cart: Cart = (await now.open(id)).get('cart')
  t.deepEqual(fieldsOf(cart), { items: ['apple', 'pear'], currency: 'CHF', tags: new Set(['old', 'new']) })
})

test('the function of an update runs again on the newer value, defaults included', async (t) => {
  const { now, stored } = deploy(Cart, { defaults })
  const id = await stored(filled())
  const [one, two] = [await now.open(id), await now.open(id)]
  for (const [session, item] of [
    [one, 'apple'],
    [two, 'pear'],
  ] as const)
    session.update('cart', (cart: Cart) => void cart.items.push(item + cart.currency))
  await now.commit(one)
  await now.commit(two)
  t.deepEqual((await now.open(id)).get('cart').items, ['appleCHF', 'pearCHF'])
})

test('an instance without a field that has a default is refused: it would come back with it', (t) => {
  const { now } = deploy(Cart, { defaults })
  const { currency: _, ...others } = new Cart()
  const cart: object = Object.assign(Object.create(Cart.prototype) as object, others)
  const session = now.begin()
  t.throws(() => session.set('cart', cart), {
    code: 'ERR_SESSION_VALUE',
    message:
      "cart.currency: it lacks a field of 'Cart' that would come back as its `defaults` say; set it to undefined",
  })
  t.notThrows(() => session.set('cart', Object.assign(cart, { currency: undefined })))
})

test('defaults that throw later are an error of that key, and the others work', async (t) => {
  let isBroken = false
  const { now, old, stored } = deploy(Cart, {
    defaults: () => {
      if (isBroken) throw new Error('no currency today')
      return { currency: 'EUR' }
    },
  })
  const id = await stored(filled())
  const other = await old.open(id)
  other.set('user', 'ann')
  await old.commit(other)
  isBroken = true
  const session = await now.open(id)
  const error = t.throws(() => session.get('cart'), { instanceOf: SessionError, code: 'ERR_SESSION_DECODE' })
  t.regex(error?.message ?? '', /the `defaults` of 'Cart' failed/)
  t.is(String(error?.cause), 'Error: no currency today')
  t.is(session.get('user'), 'ann')
})

const shared = new Set<string>()
const wrong: readonly (readonly [what: string, options: object, says: RegExp])[] = [
  [
    'that are no function',
    { defaults: { currency: 'EUR' } },
    /`defaults` must be a function that returns the values, such as \(\) => \(\{/,
  ],
  ['that return nothing', { defaults: () => {} }, /the `defaults` of 'Cart' must return an object/],
  ['that return a promise', { defaults: async () => ({}) }, /the `defaults` of 'Cart' must return an object/],
  ['that return a list', { defaults: () => ['EUR'] }, /the `defaults` of 'Cart' must return an object/],
  [
    'that share an object',
    { defaults: () => ({ tags: shared }) },
    /return one and the same object for 'tags', .*make a new one each time/,
  ],
  ['with a method', { defaults: () => ({ total: 5 }) }, /have the field 'total', which would hide a method/],
  [
    'with a function',
    { defaults: () => ({ items: () => [] }) },
    /have a function for 'items', which cannot be stored/,
  ],
  [
    'with a field that is not in the schema',
    { schema: z.object({ items: z.array(z.string()) }), defaults: () => ({ currency: 'EUR' }) },
    /have the field 'currency', which is not in its schema/,
  ],
  [
    'of a class with decode',
    { defaults, encode: () => 1, decode: () => new Cart() },
    /has a `decode`, which sees what is missing; leave `defaults` out/,
  ],
]
for (const [what, options, says] of wrong)
  test(`defaults ${what} are refused when the class is registered`, (t) => {
    t.throws(() => createRegistry().registerType(Cart, options as TypeOptions<Cart>), {
      code: 'ERR_SESSION_TYPE',
      message: says,
    })
  })

test('defaults that throw are refused when the class is registered, with what they threw', (t) => {
  const cause = new Error('no currency')
  const registry = createRegistry()
  const error = t.throws(
    () =>
      registry.registerType(Cart, {
        defaults: () => {
          throw cause
        },
      }),
    { code: 'ERR_SESSION_TYPE', message: /threw an error/ },
  )
  t.is(error?.cause, cause)
  registry.registerType(Cart, { defaults })
  t.notThrows(() => registry.registerType(Cart, { defaults }))
  t.throws(() => registry.registerType(Cart), { message: /already registered with another `defaults`/ })
})

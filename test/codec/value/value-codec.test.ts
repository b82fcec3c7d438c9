import test from 'ava'
import { types } from 'node:util'
import { z } from 'zod'
import { defaultLimits, type Limits } from '../../../src/codec/limits.ts'
import { ValueCodec } from '../../../src/codec/value/value-codec.ts'
import { SessionError } from '../../../src/errors.ts'
import { createRegistry } from '../../../src/registry.ts'

class Cart {
  items: unknown[] = []
  owner: unknown = undefined
}

class Money {
  readonly #cents: bigint
  constructor(cents: bigint) {
    this.#cents = cents
  }
  get cents(): bigint {
    return this.#cents
  }
}

class Prices extends Map<string, bigint> {}

class Box {
  readonly content: unknown
  constructor(content: unknown) {
    this.content = content
  }
}

const registry = createRegistry()
registry.registerType(RegExp)
registry.registerType(Cart)
registry.registerType(Money, { encode: (money) => money.cents, decode: (cents: bigint) => new Money(cents) })
registry.registerType(Prices, {
  encode: (prices) => [...prices],
  decode: (entries: [string, bigint][]) => new Prices(entries),
})
registry.registerType(Box, {
  encode: (box) => [box.content],
  decode: ([content]: unknown[]) => new Box(content),
})
const codec = new ValueCodec(registry, defaultLimits)

/** Encodes and decodes a value, and checks that the result makes the same line. */
function roundTrip<T>(value: T): T {
  const line = codec.encode(value, 'key')
  const back = codec.decode(line, 'key')
  if (codec.encode(back, 'key') !== line) throw new Error('the same value made another line')
  return back as T // the callers compare it with the original
}

function refusal(value: unknown, limits: Limits = defaultLimits): string {
  try {
    const line = new ValueCodec(registry, limits).encode(value, 'cart')
    return `kept: ${line}`
  } catch (error) {
    return error instanceof SessionError
      ? `${error.code} ${error.message}`
      : `no SessionError: ${String(error)}`
  }
}

test('plain JSON is written as JSON', (t) => {
  for (const value of [
    null,
    true,
    4711,
    -1.5e300,
    'text',
    '~d5',
    [],
    {},
    [[1], { a: [null] }],
    { toJSON: 1, constructor: 2 },
  ]) {
    t.is(codec.encode(value, 'key'), `J ${JSON.stringify(value)}`)
    t.deepEqual(roundTrip(value), value)
  }
})

test('values that JSON cannot represent come back unchanged', (t) => {
  const values = [
    undefined,
    Number.NaN,
    -0,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    0n,
    -255n,
    2n ** 64n,
    -(2n ** 4000n),
    new Date(0),
    new Date(1),
    new Date(-1),
    new Date(999_999),
    new Date(1_000_000),
    new Date(1_760_000_000_001),
    new Date(8.64e15),
    new Date(-8.64e15),
    new Date(Number.NaN),
    new Map<unknown, unknown>([
      [{ a: 1 }, new Set([1n, 'x'])],
      [Number.NaN, undefined],
    ]),
    new Set([undefined, null, [new Date(5)]]),
    Uint8Array.of(1, 2, 255),
    Buffer.from('bytes'),
    { a: undefined, b: [undefined] },
    ['~', '~~', '~d5', '~0', '~Map', new Date(5)],
    { '~': '~Map', b: 1n },
    [['~0'], ['~Map', 1, 2], 1n],
  ]
  for (const value of values) {
    t.true(codec.encode(value, 'key').startsWith('T '))
    t.deepEqual(roundTrip(value), value)
  }
  t.true(Object.is(roundTrip([-0, 1n])[0], -0))
})

test('holes stay holes, at the end too', (t) => {
  const sparse: unknown[] = [1, undefined, 3]
  sparse.length = 5
  Reflect.deleteProperty(sparse, 0)
  const back = roundTrip(sparse)
  t.deepEqual(Object.keys(back), ['1', '2'])
  t.is(back.length, 5)
})

test('an object without a prototype comes back without one', (t) => {
  const bare: Record<string, unknown> = Object.create(null)
  bare['constructor'] = new Date(5)
  bare['a'] = 1
  const back = roundTrip({ bare })
  t.is(Object.getPrototypeOf(back.bare), null)
  t.deepEqual(Object.entries(back.bare), Object.entries(bare))
})

test('bytes come back as the same class, with a buffer of their own', (t) => {
  const memory = Uint8Array.of(9, 1, 2, 9).buffer
  const back = roundTrip([new Uint8Array(memory, 1, 2), Buffer.from('b')])
  t.is(Object.getPrototypeOf(back[0]), Uint8Array.prototype)
  t.deepEqual([...(back[0] ?? [])], [1, 2])
  t.is(back[0]?.buffer.byteLength, 2)
  t.true(Buffer.isBuffer(back[1]))
})

test('names that every object inherits can be used as names', (t) => {
  const value = { constructor: 1n, toString: 'a', hasOwnProperty: null, valueOf: [1n], toJSON: 2 }
  const back = roundTrip(value)
  t.is(Object.getPrototypeOf(back), Object.prototype)
  t.deepEqual(Object.entries(back), Object.entries(value))
})

test('instances come back as instances, without their constructor', (t) => {
  let constructed = 0
  class Counted {
    count = 1
    get double(): number {
      return this.count * 2
    }
    constructor() {
      constructed++
    }
  }
  registry.registerType(Counted)
  const counted = new Counted()
  counted.count = 21
  const back = roundTrip([counted, new Date(5)])[0]
  t.true(back instanceof Counted)
  t.is(back instanceof Counted && back.double, 42)
  t.is(constructed, 1)
})

test('each instance keeps its own fields, in their order', (t) => {
  const late = Object.assign(new Cart(), { extra: 1 })
  const other = Object.assign(Object.create(Cart.prototype) as Cart, { owner: 'x', items: [] })
  const back = roundTrip([new Cart(), late, other, Object.create(Cart.prototype)])
  t.deepEqual(
    back.map((cart) => Object.keys(cart)),
    [['items', 'owner'], ['items', 'owner', 'extra'], ['owner', 'items'], []],
  )
  t.true(back.every((cart) => cart instanceof Cart))
})

test('a line names a class and its fields once', (t) => {
  t.is(
    codec.encode([new Cart(), new Cart()], 'key'),
    'T [["Cart",1,["items","owner"]]]\t[["~0",[],"~"],["~0",[],"~"]]',
  )
})

test('more shapes than are remembered make the same line every time', (t) => {
  const carts = Array.from({ length: 40 }, (_, index) =>
    Object.assign(new Cart(), { [`field${index}`]: index }),
  )
  const both = [...carts, ...carts.map((cart) => Object.assign(new Cart(), cart))]
  const line = codec.encode(both, 'key')
  t.is(codec.encode(both, 'key'), line)
  t.is(line.split('"Cart"').length - 1, 40)
  t.deepEqual(roundTrip(both), both)
})

test('a field that a schema declares is set, also where the class has a setter of that name', (t) => {
  let called = 0
  class Shadow {
    declare label: string
  }
  Object.defineProperty(Shadow.prototype, 'label', {
    set() {
      called++
    },
  })
  const declaring = createRegistry()
  declaring.registerType(Shadow, { schema: z.object({ label: z.string() }) })
  const shadow = Object.defineProperty(new Shadow(), 'label', { value: 'mine', enumerable: true })
  const declared = new ValueCodec(declaring, defaultLimits)
  const back = declared.decode(declared.encode(shadow, 'key'), 'key')
  t.true(back instanceof Shadow)
  t.deepEqual(Object.entries(Object(back)), [['label', 'mine']])
  t.is(called, 0)
})

test('a field that would hide a method, a getter or a setter of its class is refused with its path', (t) => {
  class Base {
    size: unknown = 1
    get isAdmin(): boolean {
      return false
    }
    set role(_: string) {}
    mayPay(): boolean {
      return false
    }
  }
  class Person extends Base {}
  registry.registerType(Person)
  for (const name of ['isAdmin', 'role', 'mayPay', 'constructor', 'toString', '__lookupGetter__']) {
    const person = Object.defineProperty(new Person(), name, { value: true, enumerable: true })
    t.regex(refusal([person]), new RegExp(`^ERR_SESSION_VALUE cart\\[0\\]\\.${name}: a field of 'Person'`))
  }
  t.is(roundTrip(Object.assign(new Person(), { size: 2n })).size, 2n)
})

test('a field may hide an inherited value that is not code', (t) => {
  class Painted {
    declare colour: string
  }
  Object.defineProperty(Painted.prototype, 'colour', { value: 'red', writable: true })
  registry.registerType(Painted)
  t.is(roundTrip(Object.assign(new Painted(), { colour: 'blue' })).colour, 'blue')
  t.is(roundTrip(new Painted()).colour, 'red')
})

test('an object of a built-in class with another prototype is refused', (t) => {
  const objects = [
    () => new Map(),
    () => new Set(),
    () => new Date(0),
    () => new Uint8Array(2),
    () => new Uint8Array(0),
    () => new DataView(new ArrayBuffer(1)),
    () => new ArrayBuffer(1),
    () => new SharedArrayBuffer(1),
    () => Promise.resolve(),
    () => new WeakMap(),
    () => new WeakSet(),
    () => Object(1) as object,
    () => Object('text') as object,
    () => [1],
    () => /x/,
    () => new Error('x'),
    () => new Map().keys(),
    () => new Set().keys(),
    () => (function* () {})(),
  ]
  for (const prototype of [Cart.prototype, Object.prototype, null]) {
    for (const make of objects)
      t.regex(
        refusal([Object.setPrototypeOf(make(), prototype)]),
        /^ERR_SESSION_VALUE cart\[0\]/,
        String(make),
      )
    t.regex(refusal([Object.create(prototype)]), /^kept/)
  }
})

test('a class with private state comes back by its own encode and decode', (t) => {
  const back = roundTrip({ price: new Money(1999n), prices: new Prices([['a', 1n]]) })
  t.is(back.price.cents, 1999n)
  t.true(back.prices instanceof Prices)
  t.is(back.prices.get('a'), 1n)
})

test('an object that is referenced twice stays one object', (t) => {
  const item = { sku: 'a' }
  const money = new Money(5n)
  const date = new Date(5)
  const back = roundTrip({ item, items: [item], map: new Map([[item, money]]), money, date, dates: [date] })
  t.is(back.items[0], back.item)
  t.is([...back.map.keys()][0], back.item)
  t.is(back.map.get(back.item), back.money)
  t.is(back.money.cents, 5n)
  t.is(back.dates[0], back.date)
})

test('cycles come back as cycles, through instances, Maps, Sets, arrays and errors', (t) => {
  const cart = new Cart()
  const map = new Map<unknown, unknown>()
  const set = new Set<unknown>()
  const error = new Error('round', { cause: cart })
  cart.owner = { map, set, error }
  cart.items.push(cart, cart.items)
  map.set(map, cart)
  set.add(set)
  const back = roundTrip(cart)
  const owner = back.owner as { map: Map<unknown, unknown>; set: Set<unknown>; error: Error } // as it was made above
  t.is(back.items[0], back)
  t.is(back.items[1], back.items)
  t.is(owner.map.get(owner.map), back)
  t.true(owner.set.has(owner.set))
  t.is(owner.error.cause, back)
})

test('URL, RegExp, views and buffers come back unchanged', (t) => {
  const value = {
    url: new URL('https://user@example.com:8080/päth?q=1#hash'),
    pattern: /a\/b[\]"]\n/giu,
    empty: new RegExp(''),
    floats: Float64Array.of(Number.NaN, -0, 1.5, Number.NEGATIVE_INFINITY),
    big: BigInt64Array.of(-1n, 2n ** 62n),
    clamped: Uint8ClampedArray.of(300),
    view: new DataView(Uint8Array.of(1, 2, 3).buffer, 1),
    buffer: Uint8Array.of(4, 5).buffer,
  }
  const back = roundTrip(value)
  t.is(back.url.href, value.url.href)
  t.is(String(back.pattern), String(value.pattern))
  t.is(String(back.empty), '/(?:)/')
  t.true(Object.is(back.floats[1], -0))
  t.deepEqual(back.floats, value.floats)
  t.deepEqual(back.big, value.big)
  t.deepEqual(back.clamped, value.clamped)
  t.is(back.view.byteLength, 2)
  t.is(back.view.getUint8(1), 3)
  t.deepEqual(new Uint8Array(back.buffer), Uint8Array.of(4, 5))
})

test('errors come back with class, message, cause and fields, but without their stack', (t) => {
  const error = Object.assign(new RangeError('too far', { cause: new Date(5) }), {
    code: 'E_FAR',
    name: 'Far',
  })
  const back = roundTrip(error)
  t.true(types.isNativeError(back))
  t.is(Object.getPrototypeOf(back), RangeError.prototype)
  t.deepEqual([back.message, back.code, back.name, back.cause], ['too far', 'E_FAR', 'Far', new Date(5)])
  t.false(Object.keys(back).includes('message'))
  t.is(back.stack, '')
  const many = roundTrip(new AggregateError([new Error('one')], 'all'))
  t.true(many.errors[0] instanceof Error)
  t.false('cause' in roundTrip(new Error('plain')))
})

test('reading errors leaves the stack of other errors alone', (t) => {
  const { stackTraceLimit } = Error
  roundTrip([new Error('a')])
  t.is(Error.stackTraceLimit, stackTraceLimit)
})

test('a value that cannot be stored is refused with its path', (t) => {
  class Unknown {
    field = 1
  }
  class Better extends Cart {}
  const inCart = (part: unknown): Cart => Object.assign(new Cart(), { items: [1, { price: part }] })
  const path = 'cart.items[1].price'
  for (const part of [
    () => 1,
    Symbol('s'),
    new Unknown(),
    new Better(),
    Promise.resolve(1),
    new WeakMap(),
    new WeakSet(),
    new Proxy({}, {}),
    new Proxy([], {}),
    Object(1),
    new URLSearchParams(),
    (function* generate() {})(),
    Object.create({ inherited: 1 }),
    Object.create(Date.prototype),
    Object.create(Map.prototype),
    Object.create(URL.prototype),
    Object.create(Uint8Array.prototype),
    Object.create(ArrayBuffer.prototype),
    new SharedArrayBuffer(4),
    new Uint8Array(new SharedArrayBuffer(4)),
    { [Symbol('s')]: 1 },
    Object.defineProperty([1], 'hidden', { value: 1 }),
    Object.assign([1], { extra: 1 }),
    'abc'.match(/b/),
    Math,
  ]) {
    const [code, where] = refusal(inCart(part)).split(' ')
    t.deepEqual([code, where], ['ERR_SESSION_VALUE', `${path}:`], refusal(inCart(part)))
  }
})

test('the path names the property that cannot be stored', (t) => {
  const named = (object: object): string => refusal([object]).replace(/:.*/, '')
  const accessor = { enumerable: true, get: () => 1 }
  t.is(named({ run() {} }), 'ERR_SESSION_VALUE cart[0].run')
  t.is(named(Object.defineProperty({}, 'got', accessor)), 'ERR_SESSION_VALUE cart[0].got')
  t.is(named(Object.defineProperty({}, 'hidden', { value: 1 })), 'ERR_SESSION_VALUE cart[0].hidden')
  t.is(
    named(Object.defineProperty({}, 'set', { enumerable: true, set() {} })),
    'ERR_SESSION_VALUE cart[0].set',
  )
  t.is(named(Object.defineProperty([1, 2], 1, accessor)), 'ERR_SESSION_VALUE cart[0][1]')
  t.is(named(Object.defineProperty([1], 1, { set() {} })), 'ERR_SESSION_VALUE cart[0][1]')
  t.is(named(Object.defineProperty([1, 2], 1, { enumerable: false })), 'ERR_SESSION_VALUE cart[0]')
  t.is(named(JSON.parse('{"__proto__":1}')), 'ERR_SESSION_VALUE cart[0].__proto__')
  t.is(
    named(Object.defineProperty(new Cart(), '__proto__', { value: 1, enumerable: true })),
    'ERR_SESSION_VALUE cart[0].__proto__',
  )
  t.is(named(Object.assign(new Date(5), { note: 1 })), 'ERR_SESSION_VALUE cart[0].note')
  t.is(named(Object.assign(new Map(), { note: 1 })), 'ERR_SESSION_VALUE cart[0].note')
  t.is(named({ 'two words': { run() {} } }), 'ERR_SESSION_VALUE cart[0]["two words"].run')
})

test('the path into a Map or Set has a position, not the key or member', (t) => {
  const secret = 'hunter2'
  const run = (): void => {}
  t.is(refusal(new Map([[secret, { run }]])).replace(/: .*/, ''), 'ERR_SESSION_VALUE cart[value 0].run')
  t.is(refusal(new Map([[run, 1]])).replace(/: .*/, ''), 'ERR_SESSION_VALUE cart[key 0]')
  t.is(refusal(new Set([secret, [run]])).replace(/: .*/, ''), 'ERR_SESSION_VALUE cart[member 1][0]')
})

test('no code of a value runs while it is written', (t) => {
  let ran = 0
  const run = (): number => ran++
  const value = {
    getter: Object.defineProperty({}, 'a', { get: run, enumerable: true }),
    proxy: new Proxy({}, { get: run, ownKeys: () => (run(), []), getPrototypeOf: () => (run(), null) }),
    toJson: { toJSON: run },
    iterator: Object.assign(new Map(), { [Symbol.iterator]: run }),
    species: Object.assign([1, 2n], { constructor: { [Symbol.species]: run } }),
    time: Object.assign(new Date(5), { getTime: run }),
  }
  for (const part of Object.values(value)) t.regex(refusal(part), /^ERR_SESSION_VALUE/)
  t.is(ran, 0)
})

test('while an inherited toJSON could change the text, nothing is written', (t) => {
  for (const prototype of [Object.prototype, Array.prototype]) {
    Object.defineProperty(prototype, 'toJSON', { value: () => 'hijacked', configurable: true })
    const refused = [refusal({ a: 1 }), refusal([1n])]
    Reflect.deleteProperty(prototype, 'toJSON')
    for (const message of refused) t.regex(message, /^ERR_SESSION_VALUE cart: /)
  }
})

test('a named property on an array or view of any length is found, without running its getter', (t) => {
  let ran = 0
  const get = (): number => ran++
  const species = Object.defineProperty({}, Symbol.species, { get })
  const makers = [
    (length: number) => Array.from({ length }, (_, index) => index),
    (length: number) => Array.from({ length }, () => [1n]),
    (length: number) => Object.assign([], { [length - 1]: undefined }),
    (length: number) => new Uint8Array(length),
    (length: number) => Buffer.alloc(length),
    (length: number) => Buffer.allocUnsafe(length + 1).subarray(1),
    (length: number) => new Float64Array(length),
  ]
  for (const make of makers) {
    for (const length of [10, 200, 201, 5_000]) {
      t.regex(refusal(make(length)), /^kept/)
      for (const name of [
        'x',
        '',
        '[length]',
        '01',
        'constructor',
        'parent',
        Symbol('s'),
        Symbol.toStringTag,
      ]) {
        for (const property of [{ value: 1 }, { value: species }, { get }, { value: 1, enumerable: true }]) {
          const list = Object.defineProperty(make(length), name, property)
          t.regex(refusal(list), /^ERR_SESSION_VALUE/, `${String(make)} ${length} ${String(name)}`)
        }
      }
    }
  }
  t.is(ran, 0)
})

test('two parts that share memory are refused', (t) => {
  const memory = new ArrayBuffer(8)
  t.regex(
    refusal([new Uint8Array(memory, 0, 4), new DataView(memory, 3)]),
    /^ERR_SESSION_VALUE cart\[1\]: it shares/,
  )
  t.regex(refusal([memory, new Uint8Array(memory)]), /^ERR_SESSION_VALUE cart\[1\]: it shares/)
  t.regex(refusal([new Uint8Array(memory, 0, 4), new Uint8Array(memory, 4)]), /^kept/)
})

test('an instance that is part of what its own encode returned is refused', (t) => {
  const inner: { box?: Box } = {}
  const box = new Box(inner)
  inner.box = box
  t.regex(refusal([box]), /^ERR_SESSION_VALUE cart\[0\].*box: /)
})

test('the error of an encode becomes the cause, and an encode that loses data is noticed in lines that are verified', (t) => {
  const own = createRegistry()
  const failure = new Error('no')
  class Broken {
    field = 1
  }
  class Lossy {
    kept = 1
    lost = 2
  }
  own.registerType(Broken, {
    encode() {
      throw failure
    },
    decode: () => new Broken(),
  })
  own.registerType(Lossy, { encode: (lossy) => lossy.lost, decode: () => new Lossy() })
  const other = new ValueCodec(own, defaultLimits)
  const error = t.throws(() => other.encode([new Broken()], 'key'), { instanceOf: SessionError })
  t.is(error.cause, failure)
  t.is(error.code, 'ERR_SESSION_VALUE')
  const lossy = Object.assign(new Lossy(), { lost: 3 })
  const noticed = t.throws(() => other.encode([lossy, lossy], 'key'), { instanceOf: SessionError })
  t.regex(noticed.message, /^key\[0\]: it would come back as a different value/)
})

test('the limits apply when a value is written', (t) => {
  const within = (changed: Partial<Limits>, value: unknown): string =>
    refusal(value, { ...defaultLimits, ...changed }).replace(/ cart.*/, '')
  const nested: unknown[] = [[[]]]
  t.regex(within({ depth: 3 }, nested), /^kept/)
  t.is(within({ depth: 2 }, nested), 'ERR_SESSION_LIMIT')
  t.is(within({ depth: 2 }, new Map([[1, [[]]]])), 'ERR_SESSION_LIMIT')
  t.regex(within({ nodes: 3 }, nested), /^kept/)
  t.is(within({ nodes: 2 }, nested), 'ERR_SESSION_LIMIT')
  t.regex(within({ keyBytes: 12 }, 'x'.repeat(8)), /^kept/)
  t.is(within({ keyBytes: 12 }, 'x'.repeat(9)), 'ERR_SESSION_LIMIT')
  t.is(within({ keyBytes: 12 }, 'ä'.repeat(5)), 'ERR_SESSION_LIMIT')
  t.is(within({ keyBytes: 100 }, Buffer.alloc(101)), 'ERR_SESSION_LIMIT')
  t.regex(within({ bigintDigits: 20 }, 16n ** 20n - 1n), /^kept/)
  t.is(within({ bigintDigits: 20 }, 16n ** 20n), 'ERR_SESSION_LIMIT')
  t.is(within({ bigintDigits: 20 }, -(16n ** 20n)), 'ERR_SESSION_LIMIT')
  t.regex(within({ bigintDigits: 1 }, -15n), /^kept/)
  t.is(within({ bigintDigits: 1 }, -16n), 'ERR_SESSION_LIMIT')
  t.is(within({}, Object.assign([], { length: 4_000_000_000 })), 'ERR_SESSION_LIMIT')
  const text = 'x'.repeat(300_000)
  t.is(
    within(
      {},
      Array.from({ length: 2_000 }, () => text),
    ),
    'ERR_SESSION_LIMIT',
  )
  t.is(within({}, [1n, ...Array.from({ length: 2_000 }, () => text)]), 'ERR_SESSION_LIMIT')
})

test('a value that could be written within the limits can be read within them', (t) => {
  const limits = { ...defaultLimits, depth: 4, nodes: 6 }
  const tight = new ValueCodec(registry, limits)
  const values = [
    [[[[]]]],
    new Map([[[], new Set([[1n]])]]),
    [new Box([])],
    [{}, {}, {}, {}, {}],
    [new Date(5), [], {}, new Cart()],
  ]
  for (const value of values) t.notThrows(() => tight.decode(tight.encode(value, 'key'), 'key'))
})

test('a message quotes the key like a name, and shortens it', (t) => {
  const at = (key: string): string => {
    const error = t.throws(() => codec.encode(() => {}, key), { instanceOf: SessionError })
    return error.message.replace(/: .*/, '')
  }
  t.is(at('cart'), 'cart')
  t.is(at('two words'), '"two words"')
  t.is(at('new\nline'), String.raw`"new\nline"`)
  t.is(at('x'.repeat(100)).length, 41)
})

test('frozen values come back unfrozen', (t) => {
  const back = roundTrip(Object.freeze({ a: Object.freeze([1n]) }))
  t.deepEqual(back, { a: [1n] })
  t.false(Object.isFrozen(back))
})

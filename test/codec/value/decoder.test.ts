import test from 'ava'
import { z } from 'zod'
import { defaultLimits, type Limits } from '../../../src/codec/limits.ts'
import { ValueCodec } from '../../../src/codec/value/value-codec.ts'
import { SessionError } from '../../../src/errors.ts'
import { createRegistry, type Registry, type TypeOptions } from '../../../src/registry.ts'

class Cart {
  items: unknown[] = []
  total = 0n
}

function withCart(options?: TypeOptions<Cart>): Registry {
  const registry = createRegistry()
  registry.registerType(Cart, options)
  return registry
}

function decode(line: string, registry: Registry = withCart(), limits: Limits = defaultLimits): unknown {
  return new ValueCodec(registry, limits).decode(line, 'cart')
}

function encode(value: unknown, registry: Registry): string {
  return new ValueCodec(registry, defaultLimits).encode(value, 'cart')
}

function failure(line: string, registry?: Registry, limits?: Limits): SessionError | undefined {
  try {
    decode(line, registry, limits)
  } catch (error) {
    if (error instanceof SessionError && error.code === 'ERR_SESSION_DECODE') return error
    throw error
  }
  return undefined
}

test('text that no encoder writes is damaged', (t) => {
  for (const line of [
    '',
    'J',
    'J ',
    'J1',
    'X 1',
    'J {',
    'J undefined',
    'T 1',
    'T \t',
    'T \t{',
    'T x\t1',
    'T {}\t1',
    'T [1]\t1',
    'T [["Cart"]]\t1',
    'T [["Cart",1]]\t1',
    'T [["Cart",0,[]]]\t1',
    'T [["Cart",1.5,[]]]\t1',
    'T [["Cart","1",[]]]\t1',
    'T [["Cart",1,{}]]\t1',
    'T [["Cart",1,[1]]]\t1',
    'T [["Cart",1,["a","a"]]]\t["~0",1,2]',
    'T [["Cart",1,["a"]]]\t["~0"]',
    'T [["Cart",1,["a"]]]\t["~0",1,2]',
    'T [["Cart",1,["a"]]]\t["~1",1]',
    'T [["Cart",1,["a"]]]\t["~00000000000000000000000",1]',
    'T [["Cart",1,["a"]]]\t["~0x",1]',
    'T [["Cart",1,null]]\t["~0",1]',
    'T \t["~0"]',
    'T \t["~X"]',
    'T \t"~x"',
    'T \t"~0"',
    'T \t"~Map"',
    'T \t"~h"',
    'T \t{"a":"~h"}',
    'T \t"~d1.5"',
    'T \t"~d1e3"',
    'T \t"~d-"',
    'T \t"~d9640000000000000"',
    'T \t"~d99999999999999999999"',
    'T \t"~n"',
    'T \t"~n-"',
    'T \t"~n-0"',
    'T \t"~n00"',
    'T \t"~n01"',
    'T \t"~nFF"',
    'T \t"~n 1"',
    'T \t"~n0x1"',
    'T \t"~f1"',
    'T \t"~f"',
    'T \t"~bA"',
    'T \t"~bAR"',
    'T \t"~bAA=="',
    'T \t"~bA A"',
    'T \t"~b+/"',
    'T \t["~Map",1]',
    'T \t["~Map",1,2,1,3]',
    'T \t["~Map",1,2,1.0,3]',
    'T \t["~Set",1,1]',
    'T \t["~Set","~fNaN","~fNaN"]',
    'T \t["~Null"]',
    'T \t["~Null",1]',
    'T \t["~Null",[]]',
    'T \t["~Null",{},1]',
    'T \t"~r0"',
    'T \t[{},"~r0"]',
    'T \t"~s0"',
    'S \t\t"~r0"',
    'S \t\t["~r1",{}]',
    'S \t\t["~r9007199254740993"]',
    'S \t\t"~s0"',
    'S \t\t["~Error","Error",{}]',
    'S \t\t["~Error","Oops",{},{}]',
    'S \t\t["~Error","constructor",{},{}]',
    'S \t\t["~Error",{},{},{}]',
    'S \t\t["~Error","Error",{"stack":"x"},{}]',
    'S \t\t["~Error","Error",{"message":"x"},{"message":"y"}]',
    'S \t\t["~Error","Error",{},{"stack":"x"}]',
    'S 1\t\t1',
    'S {}\t\t1',
    'S x',
  ]) {
    t.is(failure(line)?.code, 'ERR_SESSION_DECODE', JSON.stringify(line))
  }
})

test('superjson only gets annotations that the encoder writes', (t) => {
  const meta = (values: object, more = {}): string => JSON.stringify({ values, v: 1, ...more })
  for (const [json, annotated] of [
    ['["http://a/"]', meta({ '0': ['URL'], '1': ['URL'] })],
    ['["http://a/"]', meta({ '1': ['URL'] })],
    ['["http://a/"]', meta({})],
    ['["http://a/"]', meta({ '0': ['Date'] })],
    ['["http://a/"]', meta({ '0': [['class', 'Cart']] })],
    ['["http://a/"]', meta({ '0': [['symbol', 'x']] })],
    ['["http://a/"]', meta({ '0': [['custom', 'toString']] })],
    ['[{"a":"http://a/"}]', meta({ '0.a': ['URL'] })],
    ['[{}]', meta({ '0.__proto__.polluted': ['URL'] })],
    ['["http://a/"]', meta({ '0': ['URL'] }, { referentialEqualities: { '0': ['0.__proto__'] } })],
    ['[4294967295]', meta({ '0': [['typed-array', 'Uint8Array']] })],
    ['[{"length":4294967295}]', meta({ '0': [['custom', 'memory']] })],
    ['[["Uint8Array","AA","AA"]]', meta({ '0': [['custom', 'memory']] })],
    ['[["Nothing","AA"]]', meta({ '0': [['custom', 'memory']] })],
    ['[["Float64Array","AA"]]', meta({ '0': [['custom', 'memory']] })],
    ['["nowhere"]', meta({ '0': ['URL'] })],
    ['[1]', meta({ '0': ['URL'] })],
    ['["/(/"]', meta({ '0': ['regexp'] })],
    ['["/a/gg"]', meta({ '0': ['regexp'] })],
    ['["/a/xyz"]', meta({ '0': ['regexp'] })],
    [`["/${'a'.repeat(1001)}/"]`, meta({ '0': ['regexp'] })],
    [`["http://a/${'a'.repeat(9000)}"]`, meta({ '0': ['URL'] })],
  ]) {
    const line = `S {"json":${json},"meta":${annotated}}\t\t"~s0"`
    t.is(failure(line)?.code, 'ERR_SESSION_DECODE', line.slice(0, 200))
  }
  t.false('polluted' in {})
})

test('no text changes a prototype', (t) => {
  for (const line of [
    'J {"__proto__":{"polluted":1}}',
    'J [{"a":{"\\u005f_proto__":{"polluted":1}}}]',
    'J {"_\\u005Fproto__":1}',
    'T \t{"__proto__":{"polluted":1}}',
    'T \t["~Null",{"__proto__":{"polluted":1}}]',
    'T [["Cart",1,["__proto__"]]]\t["~0",{"polluted":1}]',
    'S \t\t["~Error","Error",{},{"__proto__":{"polluted":1}}]',
  ]) {
    t.is(failure(line)?.code, 'ERR_SESSION_DECODE', line)
  }
  t.false('polluted' in {})
  t.deepEqual(decode('J "__proto__"'), '__proto__')
  t.deepEqual(decode('J {"proto":"\\u005f"}'), { proto: '_' })
})

test('the limits apply when a value is read', (t) => {
  const limits = { ...defaultLimits, depth: 3, nodes: 3, bigintDigits: 4, keyBytes: 200 }
  for (const line of [
    'J [[[]]]',
    'T \t[[[]]]',
    'T \t["~Map",[[]],1]',
    'T \t[["~Set","~d1"]]',
    'J [{},{}]',
    'T \t[{},"~d1"]',
    'T \t"~nffff"',
  ]) {
    t.is(failure(line, undefined, limits), undefined, line)
  }
  for (const line of [
    'J [[[[]]]]',
    `J ${'['.repeat(90)}${']'.repeat(90)}`,
    'T \t[[[[]]]]',
    'T \t["~Map",[[[]]],1]',
    'T \t[[["~Set","~d1"]]]',
    'T \t[{},"~d1",[]]',
    'T \t"~n10000"',
    `J "${'x'.repeat(200)}"`,
  ]) {
    t.is(failure(line, undefined, limits)?.code, 'ERR_SESSION_DECODE', line)
  }
})

test('text that is nested a hundred thousand levels deep is an error, not a stack overflow', (t) => {
  const times = 200_000
  for (const line of [
    `J ${'['.repeat(times)}${']'.repeat(times)}`,
    `J ${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
    `J ${'['.repeat(30_000)}${']'.repeat(30_000)}`,
    `T \t${'[['.repeat(100_000)}${']]'.repeat(100_000)}`,
    `J ${'["\\"]",'.repeat(40_000)}1${']'.repeat(40_000)}`,
  ]) {
    t.regex(failure(line)?.message ?? '', /too deeply/)
  }
})

test('the error for an unregistered class names it, and no other class', (t) => {
  t.regex(failure('T [["Basket",1,[]]]\t["~0"]')?.message ?? '', /^cart cannot be decoded: the type 'Basket'/)
  t.regex(failure('T [["hunter2 is my password",1,[]]]\t["~0"]')?.message ?? '', /a type in it/)
  t.is(failure('T [["Object",1,[]]]\t["~0"]')?.code, 'ERR_SESSION_DECODE')
  t.is(failure('T [["__proto__",1,[]]]\t["~0"]')?.code, 'ERR_SESSION_DECODE')
})

test('no error shows a part of the text, not even in its cause', (t) => {
  for (const line of ['J hunter2', 'T \t"~nhunter2"', 'T hunter2\t1', 'S {"hunter2":1}\t\t1', 'X hunter2']) {
    const error = failure(line)
    t.false(error?.message.includes('hunter2'))
    t.is(error?.cause, undefined)
  }
})

test('a class that is registered later is decoded from then on', (t) => {
  const registry = createRegistry()
  const line = 'T [["Cart",1,["items"]]]\t["~0",[]]'
  const codec = new ValueCodec(registry, defaultLimits)
  t.throws(() => codec.decode(line, 'cart'), { instanceOf: SessionError })
  registry.registerType(Cart)
  t.true(codec.decode(line, 'cart') instanceof Cart)
})

test('an instance of an older version is upgraded', (t) => {
  const line = encode(Object.assign(new Cart(), { items: ['a', 1n] }), withCart())
  const newer = withCart({
    version: 3,
    upgrade(fields, fromVersion) {
      t.is(fromVersion, 1)
      t.deepEqual(fields, { items: ['a', 1n], total: 0n })
      return { items: fields['items'], total: 5n, note: 'new' }
    },
  })
  const cart = decode(line, newer)
  t.true(cart instanceof Cart)
  t.deepEqual(Object.entries(Object(cart)), [
    ['items', ['a', 1n]],
    ['total', 5n],
    ['note', 'new'],
  ])
})

test('without an upgrade the fields of an older version are used unchanged', (t) => {
  const line = encode(new Cart(), withCart())
  t.deepEqual(decode(line, withCart({ version: 2 })), new Cart())
})

test('an instance of a newer version is not decoded', (t) => {
  const line = encode(new Cart(), withCart({ version: 2 }))
  t.regex(failure(line, withCart())?.message ?? '', /the type 'Cart' is of a newer version/)
})

test('the error of an upgrade becomes the cause, and an upgrade that returns no fields is an error', (t) => {
  const line = encode(new Cart(), withCart())
  const cause = new Error('no')
  const failing = withCart({
    version: 2,
    upgrade() {
      throw cause
    },
  })
  t.is(failure(line, failing)?.cause, cause)
  for (const fields of [null, 5, [], Promise.resolve({})]) {
    const registry = withCart({ version: 2, upgrade: () => fields as unknown as Record<string, unknown> })
    t.regex(failure(line, registry)?.message ?? '', /returned no fields/)
  }
  const polluting = withCart({
    version: 2,
    upgrade: () => JSON.parse('{"__proto__":1}') as Record<string, unknown>,
  })
  t.is(failure(line, polluting)?.code, 'ERR_SESSION_DECODE')
})

test('a class that gained encode and decode reads the fields that it wrote before, through its upgrade', (t) => {
  const line = encode(Object.assign(new Cart(), { total: 5n }), withCart())
  const registry = withCart({
    version: 2,
    upgrade: (fields) => ({ sum: fields['total'] }),
    encode: (cart) => ({ sum: cart.total }),
    decode: (plain: { sum: bigint }) => Object.assign(new Cart(), { total: plain.sum }),
  })
  t.deepEqual(decode(line, registry), Object.assign(new Cart(), { total: 5n }))
  t.deepEqual(decode(encode(new Cart(), registry), registry), new Cart())
  t.regex(failure(encode(new Cart(), registry), withCart({ version: 2 }))?.message ?? '', /no longer has/)
})

test('the error of a decode becomes the cause, and a decode must return an instance', (t) => {
  const cause = new Error('no')
  const failing = withCart({
    encode: () => 1,
    decode() {
      throw cause
    },
  })
  t.is(failure(encode(new Cart(), failing), failing)?.cause, cause)
  class Better extends Cart {}
  for (const result of [undefined, {}, Cart, new Better()]) {
    const registry = withCart({ encode: () => 1, decode: () => result as Cart })
    t.regex(failure(encode(new Cart(), registry), registry)?.message ?? '', /returned something else/)
  }
})

test('a schema validates an instance when it is written', (t) => {
  const registry = withCart({ schema: z.object({ items: z.array(z.string()), total: z.bigint() }) })
  const refused = (cart: Cart): string => {
    const error = t.throws(() => encode([cart], registry), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_VALUE')
    return error.message.replace(/: .*/, '')
  }
  t.is(refused(Object.assign(new Cart(), { items: ['a', 5] })), 'cart[0].items')
  t.is(refused(Object.assign(new Cart(), { extra: 5 })), 'cart[0].extra')
  t.is(refused(Object.assign(Object.create(Cart.prototype) as Cart, { items: [] })), 'cart[0].total')
  t.notThrows(() => encode(new Cart(), registry))
})

test('a schema validates an instance when it is read, after its upgrade', (t) => {
  const line = encode(Object.assign(new Cart(), { items: [5] }), withCart())
  const schema = z.object({ items: z.array(z.string()), total: z.bigint() })
  t.regex(failure(line, withCart({ schema }))?.message ?? '', /schema/)
  const extra = encode(Object.assign(new Cart(), { extra: 1 }), withCart())
  t.regex(failure(extra, withCart({ schema }))?.message ?? '', /schema/)
  const upgrading = withCart({ schema, version: 2, upgrade: () => ({ items: ['5'], total: 5n }) })
  t.deepEqual(decode(line, upgrading), Object.assign(new Cart(), { items: ['5'], total: 5n }))
  const wrong = withCart({ schema, version: 2, upgrade: () => ({ items: ['5'], total: 5n, more: 1 }) })
  t.regex(failure(line, wrong)?.message ?? '', /schema/)
})

test('a schema changes nothing: nested instances stay instances', (t) => {
  class Item {
    name = ' a '
  }
  const registry = createRegistry()
  registry.registerType(Item, { schema: z.object({ name: z.string().trim() }) })
  registry.registerType(Cart, { schema: z.object({ items: z.array(z.instanceof(Item)), total: z.bigint() }) })
  const item = new Item()
  const cart = Object.assign(new Cart(), { items: [item, item] })
  const back = decode(encode(cart, registry), registry)
  t.true(back instanceof Cart)
  if (!(back instanceof Cart)) return
  t.is(back.items[0], back.items[1])
  t.true(back.items[0] instanceof Item)
  t.deepEqual(back.items[0], item)
})

test('a schema validates a cyclic instance after all of it was decoded', (t) => {
  const schema = z.object({ items: z.array(z.instanceof(Cart)).length(1), total: z.bigint() })
  const registry = withCart({ schema })
  const cart = new Cart()
  cart.items.push(cart)
  const back = decode(encode(cart, registry), registry)
  t.true(back instanceof Cart && back.items[0] === back)
})

test('an error that a schema throws becomes the cause, when an instance is written and when it is read', (t) => {
  const cause = new Error('no')
  const items = z.array(z.unknown()).refine(() => {
    throw cause
  })
  const throwing = withCart({ schema: z.object({ items, total: z.bigint() }) })
  const written = t.throws(() => encode([new Cart()], throwing), { instanceOf: SessionError })
  t.is(written.cause, cause)
  t.is(written.message, "cart[0]: the schema of 'Cart' failed")
  const read = failure(encode(new Cart(), withCart()), throwing)
  t.is(read?.cause, cause)
  t.is(read?.message, "cart cannot be decoded: the `schema` of 'Cart' failed")
})

test('no field that is read hides a method, a getter or a setter of its class', (t) => {
  class Person {
    level = 1
    get isAdmin(): boolean {
      return this.level > 9
    }
    mayPay(): boolean {
      return false
    }
  }
  const registry = createRegistry()
  registry.registerType(Person)
  for (const name of ['isAdmin', 'mayPay', 'constructor', 'valueOf'])
    t.regex(
      failure(`T [["Person",1,["level","${name}"]]]\t["~0",1,true]`, registry)?.message ?? '',
      /^cart cannot be decoded: the type 'Person' has a field that would hide a method/,
    )
  const upgrading = createRegistry()
  upgrading.registerType(Person, { version: 2, upgrade: ({ admin }) => ({ level: 1, isAdmin: admin }) })
  t.regex(failure('T [["Person",1,["admin"]]]\t["~0",true]', upgrading)?.message ?? '', /would hide a method/)
  const renaming = createRegistry()
  renaming.registerType(Person, {
    version: 2,
    upgrade: ({ isAdmin }) => ({ level: isAdmin === true ? 10 : 1 }),
  })
  const person = decode('T [["Person",1,["isAdmin"]]]\t["~0",true]', renaming)
  t.true(person instanceof Person && person.isAdmin)
})

test('a schema that is asynchronous or throws is an error and not a crash', (t) => {
  const later = withCart({
    schema: z.object({ items: z.array(z.unknown()).refine(async () => true), total: z.bigint() }),
  })
  t.is(t.throws(() => encode(new Cart(), later), { instanceOf: SessionError }).code, 'ERR_SESSION_VALUE')
  t.is(failure(encode(new Cart(), withCart()), later)?.code, 'ERR_SESSION_DECODE')
})

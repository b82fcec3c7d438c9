import test from 'ava'
import { defaultLimits } from '../../src/codec/limits.ts'
import { ValueCodec } from '../../src/codec/value/value-codec.ts'
import { createRegistry, SessionError, SessionManager } from '../../src/index.ts'
import { fingerprint } from '../fidelity/fingerprint.ts'

class Spy {
  content: unknown
  constructor(content: unknown) {
    this.content = content
  }
}

/** A side effect of a spy's `encode`, which runs while the value around it is being written. */
let meanwhile: (spy: Spy) => void = () => {}

const registry = createRegistry()
registry.registerType(RegExp)
registry.registerType(Spy, {
  encode(spy) {
    meanwhile(spy)
    return spy.content
  },
  decode: (content) => new Spy(content),
})
const codec = new ValueCodec(registry, defaultLimits)

const refusal = { instanceOf: SessionError, code: 'ERR_SESSION_VALUE', message: /^key\b/ }
const excess = { instanceOf: SessionError, code: 'ERR_SESSION_LIMIT', message: /^key\b/ }

/** Changes a built-in object while `action` runs. */
function polluted(target: object, name: string, descriptor: PropertyDescriptor, action: () => void): void {
  Object.defineProperty(target, name, { configurable: true, ...descriptor })
  try {
    action()
  } finally {
    Reflect.deleteProperty(target, name)
  }
}

test('decoding 7: functions, symbols, promises, weak references, proxies and accessors are refused with their path', (t) => {
  const proxied = Proxy.revocable({}, {})
  proxied.revoke()
  const parts: unknown[] = [
    () => 1,
    Spy,
    Symbol('s'),
    Symbol.iterator,
    Promise.resolve(1),
    new WeakMap(),
    new WeakSet(),
    new WeakRef({}),
    new Proxy({}, {}),
    new Proxy([], {}),
    new Proxy(() => 1, {}),
    proxied.proxy,
    new Proxy(new Map(), {}),
    new Proxy(new Spy(1), {}),
    Object.create(new Proxy({}, {})),
    Object.setPrototypeOf([1], new Proxy(Array.prototype, {})),
    Object.defineProperty({}, 'a', { get: () => 1, enumerable: true }),
    Object.defineProperty({}, 'a', { set() {}, enumerable: true }),
    Object.defineProperty([1], 0, { get: () => 1 }),
    Object.defineProperty([1], 0, { set() {} }),
    Object.defineProperty([], 'map', { get: () => 1 }),
  ]
  for (const part of parts) {
    t.throws(() => codec.encode(part, 'key'), refusal)
    for (const whole of [
      [part],
      { a: { b: part } },
      new Map([[1, part]]),
      new Map([[part, 1]]),
      new Set([part]),
      new Spy(part),
    ])
      t.throws(() => codec.encode(whole, 'key'), refusal)
  }
})

test('decoding 7: a value under the name `then` is read and taken, and never called or awaited', async (t) => {
  const manager = new SessionManager({ registry, sweepInterval: 0 })
  const session = manager.begin()
  const value = JSON.parse('{"then":"later","catch":{"then":1}}') as unknown
  session.set('a', value)
  session.set('b', new Map([['then', 1n]]))
  await manager.commit(session)
  const found = await manager.open(session.id)
  t.deepEqual(found.get('a'), value)
  t.deepEqual(await found.claim('a'), value)
  t.deepEqual(await found.claim('b'), new Map([['then', 1n]]))
})

test('decoding 8: no toJSON decides what is stored, whether own or inherited', (t) => {
  const hijack = { value: () => 'hijacked' }
  for (const prototype of [Object.prototype, Array.prototype]) {
    for (const value of [{ a: 1 }, [1], { a: [1n] }, [new Date(0)]])
      polluted(prototype, 'toJSON', hijack, () => t.throws(() => codec.encode(value, 'key'), refusal))
  }
  const values = [
    { a: 'b', c: [1, true, -0, 1n, new Date(0), Buffer.from('x')] },
    'x',
    1,
    true,
    [['x']],
    new Map([['a', 1]]),
  ]
  for (const { prototype } of [String, Number, Boolean, BigInt, Date, Map, Uint8Array, Buffer, Spy]) {
    for (const value of values) {
      const line = codec.encode(value, 'key')
      const own = Object.getOwnPropertyDescriptor(prototype, 'toJSON')
      if (own !== undefined) Reflect.deleteProperty(prototype, 'toJSON')
      polluted(prototype, 'toJSON', hijack, () => t.is(codec.encode(value, 'key'), line))
      if (own !== undefined) Object.defineProperty(prototype, 'toJSON', own)
    }
  }
  for (const value of [{ toJSON: () => 1 }, [{ toJSON: () => 1 }], Object.assign([1], { toJSON: () => 1 })])
    t.throws(() => codec.encode(value, 'key'), refusal)
  t.deepEqual(codec.decode(codec.encode([{ toJSON: 'data' }, 1n], 'key'), 'key'), [{ toJSON: 'data' }, 1n])
})

test('decoding 8: an own __proto__ is refused, in plain and in typed values', (t) => {
  const proto = JSON.parse('{"__proto__":{"admin":true}}') as object
  for (const whole of [proto, [proto], { a: proto, b: 1n }, new Map([[1, proto]]), new Spy(proto)])
    t.throws(() => codec.encode(whole, 'key'), refusal)
  const instance = Object.defineProperty(new Spy(1), '__proto__', { value: 1, enumerable: true })
  t.notThrows(() => codec.encode(instance, 'key')) // its own `encode` decides what is stored
})

test('decoding 8: no getter, iterator, symbol or conversion of a value runs while it is refused or written', (t) => {
  let ran = 0
  const run = (): never => {
    ran++
    throw new Error('it ran')
  }
  const accessor = { get: run, set: run, enumerable: true, configurable: true }
  const hook = { value: run, enumerable: false, configurable: true }
  const names = [
    Symbol.iterator,
    Symbol.toPrimitive,
    Symbol.toStringTag,
    Symbol.hasInstance,
    Symbol.species,
    'valueOf',
    'toString',
    'toJSON',
    'constructor',
    'length',
    'size',
    'then',
    'a',
    'href',
    'source',
    'flags',
    'byteLength',
    'byteOffset',
    'buffer',
    'message',
    'cause',
    'name',
    'stack',
  ]
  for (const name of names) {
    for (const make of [
      () => ({ b: 1n }),
      () => new Map([[1, 2]]),
      () => new Set([1]),
      () => new Date(0),
      () => /a/,
      () => new Error('x'),
      () => new URL('https://example.org'),
      () => new Int8Array(2),
      () => Buffer.alloc(2),
      () => new Spy(1),
      () => Object.create(null) as object,
    ]) {
      for (const descriptor of [accessor, hook, { ...hook, enumerable: true }]) {
        const value: unknown = make()
        Object.defineProperty(value, name, descriptor)
        try {
          codec.encode(value, 'key')
          // A stack is never stored, and the state of a spy is what its `encode` returns.
          t.true(value instanceof Spy || (value instanceof Error && name === 'stack'))
        } catch (error) {
          t.like(error, { code: 'ERR_SESSION_VALUE' }, String(error))
        }
      }
    }
  }
  for (const name of ['0', 'map', Symbol.iterator, 'constructor', 'slice', 'toJSON'] as const)
    t.throws(() => codec.encode(Object.defineProperty([1, 2], name, accessor), 'key'), refusal)
  t.is(ran, 0)
})

test('decoding 8: holes are recognised by the missing property, not by the length', (t) => {
  const sparse = (length: number, ...entries: [number, unknown][]): unknown[] => {
    const list: unknown[] = []
    list.length = length
    for (const [index, value] of entries) list[index] = value
    return list
  }
  for (const list of [
    sparse(0),
    sparse(1),
    sparse(3, [1, 'a']),
    sparse(5, [0, undefined]),
    sparse(1_000, [999, 1]),
  ])
    t.is(fingerprint(codec.decode(codec.encode(list, 'key'), 'key')), fingerprint(list))
  for (const list of [sparse(2 ** 32 - 1), sparse(2 ** 31, [2 ** 30, 1]), sparse(400_000)])
    t.throws(() => codec.encode(list, 'key'), excess)
  t.throws(() => codec.encode(Object.assign([1], { '-1': 1 }), 'key'), refusal)
  t.throws(() => codec.encode(Object.assign([1], { 4294967295: 1 }), 'key'), refusal)
  polluted(Array.prototype, '1', { value: 'inherited' }, () => {
    t.throws(() => codec.encode(sparse(3, [0, 1]), 'key'), refusal)
  })
})

test('decoding 8: objects that imitate built-in ones are refused', (t) => {
  const odd: unknown[] = [
    Object.create(Map.prototype),
    Object.create(Date.prototype),
    Object.create(Array.prototype),
    Object.create(URL.prototype),
    Object.create(RegExp.prototype),
    Object.create(Error.prototype),
    Object.create(Uint8Array.prototype),
    Object.create(ArrayBuffer.prototype),
    Object.create(DataView.prototype),
    Object.create(Object.create(null) as object),
    Object.setPrototypeOf([], Object.prototype),
    Object.setPrototypeOf([1], null),
    Object.setPrototypeOf([1], Spy.prototype),
    Object.setPrototypeOf(new Set(), Map.prototype),
    Object.setPrototypeOf(new Map(), Date.prototype),
    Object.setPrototypeOf(new Uint16Array(1), Uint8Array.prototype),
    Object.setPrototypeOf(new Error('x'), Object.prototype),
    Map.prototype,
    Date.prototype,
    Object.prototype,
    Array.prototype,
    Error.prototype,
    URL.prototype,
    Math,
    JSON,
    Reflect,
    Atomics,
    process.env,
    new Intl.NumberFormat(),
  ]
  for (const [index, value] of odd.entries()) {
    const line = (): string => codec.encode(value, 'key')
    // The state of a class with `encode` is what this function returns.
    if (Object.getPrototypeOf(value) === Spy.prototype) t.notThrows(line)
    else t.throws(line, refusal, `number ${index}`)
  }
})

test('a change that the program makes while a value is written cannot bypass the checks', (t) => {
  const list: unknown[] = [1, 2]
  const map = new Map<unknown, unknown>()
  const object: Record<string, unknown> = { a: 1 }
  const changes: [whole: () => unknown, change: () => void][] = [
    [() => ({ list, spy: new Spy(1) }), () => (list[0] = '~d0')],
    [() => ({ list, spy: new Spy(1) }), () => (list[0] = () => 1)],
    [() => ({ list, spy: new Spy(1) }), () => list.push(Number.NaN, { toJSON: () => 'x' })],
    [() => [list, new Spy(1)], () => list.splice(0)],
    [() => [object, new Spy(1)], () => (object['b'] = () => 1)],
    [() => [map, new Spy(1)], () => map.set(Symbol('s'), 1)],
  ]
  for (const [make, change] of changes) {
    list.splice(0, list.length, 1, 2)
    const whole = make()
    const before = fingerprint(whole)
    meanwhile = change
    const line = codec.encode(whole, 'key')
    meanwhile = () => {}
    list.splice(0, list.length, 1, 2)
    t.is(fingerprint(codec.decode(line, 'key')), before)
    Reflect.deleteProperty(object, 'b')
    map.clear()
  }
})

test('a collection or an array that grows while it is written ends at a limit', (t) => {
  const map = new Map<unknown, unknown>([[0, new Spy(1)]])
  meanwhile = () => map.set({}, new Spy(1))
  t.throws(() => codec.encode(map, 'key'), excess)
  const set = new Set<unknown>([new Spy(1)])
  meanwhile = () => set.add(new Spy(1))
  t.throws(() => codec.encode(set, 'key'), excess)
  const list: unknown[] = [new Spy(1)]
  meanwhile = () => list.push(new Spy(1))
  t.throws(() => codec.encode(list, 'key'), { instanceOf: SessionError })
  meanwhile = (spy) => (spy.content = new Spy(1))
  t.throws(() => codec.encode(new Spy(1), 'key'), excess)
  meanwhile = () => {}
})

test('whatever an `encode` throws becomes the cause of an ERR_SESSION_VALUE', (t) => {
  for (const thrown of [new TypeError('x'), 'text', null]) {
    meanwhile = () => {
      throw thrown
    }
    const error = t.throws(() => codec.encode([new Spy(1)], 'key'), refusal)
    t.is(error.cause, thrown)
  }
  meanwhile = () => {}
})

test('decoding 4: values too deep, too many or too large are an ERR_SESSION_LIMIT before any text is made', (t) => {
  let deep: unknown = 1
  for (let level = 0; level < 200_000; level++) deep = [deep]
  let chain: unknown = 1
  for (let level = 0; level < 200_000; level++) chain = new Map([[chain, 1n]])
  const large = 2n ** 16_000n
  const long = '\u0001'.repeat(500_000)
  const values: unknown[] = [
    deep,
    chain,
    new Spy(deep),
    Array.from({ length: 50_001 }, () => ({})),
    Array.from({ length: 50_001 }, () => new Date(0)),
    Array.from({ length: 200_000 }, () => large),
    Array.from({ length: 200_000 }, () => long),
    new Map(Array.from({ length: 1_000 }, (_, index) => [index, `~${long}`])),
    Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`${index}${'k'.repeat(1_000)}`, 1n])),
    Buffer.alloc(600_000_000),
    new ArrayBuffer(600_000_000),
    new Float64Array(60_000_000),
    Array.from({ length: 1_000 }, () => new Uint8Array(400_000)),
    2n ** 20_000_000n,
    Array.from({ length: 2_001 }, () => /a/),
  ]
  for (const [index, value] of values.entries())
    t.throws(() => codec.encode(value, 'key'), { code: 'ERR_SESSION_LIMIT' }, `number ${index}`)
})

test('a polluted Object.prototype does not change what is stored', (t) => {
  const values = [{ a: 1 }, { a: 1n }, new Map([['a', { b: -0 }]]), [[], { c: undefined }]]
  for (const polluter of ['text', '~n1', 1, () => 1, { a: 1 }, [1n]]) {
    for (const value of values) {
      const before = fingerprint(value)
      polluted(Object.prototype, 'inherited', { value: polluter, enumerable: true, writable: true }, () => {
        t.is(fingerprint(codec.decode(codec.encode(value, 'key'), 'key')), before)
      })
    }
  }
})

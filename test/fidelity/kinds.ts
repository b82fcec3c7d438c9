import { Account, Dict, Matrix, Node, Point, Point3, QuotaError, Stray, Tags, Vault } from './classes.ts'

/** A kind of value, how one is made, and whether it comes back exactly or is refused. */
export type Kind = readonly [name: string, make: () => unknown, fate: 'exact' | 'refused']

const shared = (): object => {
  const part = { n: 1 }
  return { a: part, b: part, list: [part, part] }
}
const cyclic = (): object => {
  const root: { self?: unknown; list: unknown[] } = { list: [] }
  root.self = root
  root.list.push(root, root.list)
  return root
}
const withPrototype = (prototype: object | null, fields: object): unknown =>
  Object.assign(Object.create(prototype) as object, fields)
const withExtra = (list: unknown[]): unknown => Object.assign(list, { extra: 1 })
const ring = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]).buffer

export const kinds: readonly Kind[] = [
  // plain JSON
  ['null', () => null, 'exact'],
  ['true', () => true, 'exact'],
  ['false', () => false, 'exact'],
  ['0', () => 0, 'exact'],
  ['an integer', () => 4711, 'exact'],
  ['a fraction', () => 0.1, 'exact'],
  ['the largest number', () => Number.MAX_VALUE, 'exact'],
  ['the smallest number', () => Number.MIN_VALUE, 'exact'],
  ['the largest safe integer', () => Number.MAX_SAFE_INTEGER, 'exact'],
  ['an unsafe integer', () => 2 ** 60 + 2 ** 8, 'exact'],
  ['empty text', () => '', 'exact'],
  ['text', () => 'Grüße', 'exact'],
  ['text with an emoji', () => '🛒 cart', 'exact'],
  ['text with a lone surrogate', () => 'a\uD800b', 'exact'],
  ['text with controls', () => 'a\u0000\n\r\t\u2028\u2029"\\/', 'exact'],
  ['text with combining characters', () => 'e\u0301', 'exact'],
  ['text that looks like an encoding', () => '~d0', 'exact'],
  ['text that looks like a line', () => 'x\n"user" J 1\n', 'exact'],
  ['long text', () => 'x'.repeat(100_000), 'exact'],
  ['an empty list', () => [], 'exact'],
  ['a list', () => [1, 'two', [3, [4]]], 'exact'],
  ['an empty object', () => ({}), 'exact'],
  ['an object', () => ({ a: 1, b: { c: [null, true] } }), 'exact'],
  ['an object with integer-like keys', () => ({ 2: 'b', 1: 'a', z: 1, a: 2 }), 'exact'],
  ['an object with odd keys', () => ({ '': 0, ' ': 1, 'a.b': 2, '~': 3, '"': 4, '\n': 5 }), 'exact'],
  [
    'an object with a key constructor',
    () => ({ constructor: 1, prototype: 2, hasOwnProperty: 3, toString: 4 }),
    'exact',
  ],
  ['an object with then as data', () => ({ then: 'later' }), 'exact'],
  ['an object with toJSON as data', () => ({ toJSON: 'no function' }), 'exact'],
  ['many keys', () => Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`k${n}`, n])), 'exact'],
  ['deep nesting', () => Array.from({ length: 60 }).reduce((inner) => [inner], 1 as unknown), 'exact'],

  // values that JSON cannot represent
  ['undefined', () => undefined, 'exact'],
  ['an object with undefined', () => ({ a: undefined, b: 1 }), 'exact'],
  ['a list with undefined', () => [undefined, 1, undefined], 'exact'],
  ['-0', () => -0, 'exact'],
  ['a list with -0', () => [-0, 0], 'exact'],
  ['NaN', () => NaN, 'exact'],
  ['Infinity', () => Infinity, 'exact'],
  ['-Infinity in an object', () => ({ a: -Infinity }), 'exact'],
  ['a bigint', () => 123_456_789_012_345_678_901_234_567_890n, 'exact'],
  ['0n', () => 0n, 'exact'],
  ['a negative bigint', () => -255n, 'exact'],
  ['a bigint of 10,000 bits', () => 2n ** 10_000n - 1n, 'exact'],
  ['a Date', () => new Date('2026-02-29T12:00:00.123Z'), 'exact'],
  ['the Date of 1969', () => new Date(-1), 'exact'],
  ['the last Date', () => new Date(8.64e15), 'exact'],
  ['an invalid Date', () => new Date(NaN), 'exact'],
  [
    'a Map',
    () =>
      new Map<unknown, unknown>([
        ['a', 1],
        [2, 'b'],
        [null, undefined],
      ]),
    'exact',
  ],
  ['an empty Map', () => new Map(), 'exact'],
  [
    'a Map with objects for keys',
    () =>
      new Map<unknown, unknown>([
        [{ a: 1 }, new Date(0)],
        [[1], 2n],
      ]),
    'exact',
  ],
  ['a Map with NaN for a key', () => new Map([[NaN, 1]]), 'exact'],
  [
    'a Map in its order',
    () =>
      new Map([
        ['z', 1],
        ['a', 2],
        ['m', 3],
      ]),
    'exact',
  ],
  ['a Set', () => new Set<unknown>(['b', 'a', 1n, null]), 'exact'],
  ['a Set of Sets', () => new Set([new Set([1]), new Set([1])]), 'exact'],
  ['bytes', () => new Uint8Array([0, 1, 254, 255]), 'exact'],
  ['no bytes', () => new Uint8Array(0), 'exact'],
  ['a Buffer', () => Buffer.from('Grüße'), 'exact'],
  ['a Buffer among plain values', () => ({ a: Buffer.from([1]), b: [Buffer.alloc(0)] }), 'exact'],
  ['a list with holes', () => [1, , 3, ,], 'exact'],
  ['an object without prototype', () => withPrototype(null, { a: 1 }), 'exact'],

  // classes
  ['an instance', () => new Point(3, 4), 'exact'],
  ['instances in a list', () => [new Point(1, 2), new Point(3, 4)], 'exact'],
  ['an instance in a Map', () => new Map([['p', new Point(1, 2)]]), 'exact'],
  ['an instance with fields in another order', () => withPrototype(Point.prototype, { y: 1, x: 2 }), 'exact'],
  ['an instance with a field of its own', () => Object.assign(new Point(1, 2), { label: 'here' }), 'exact'],
  ['an instance without its fields', () => withPrototype(Point.prototype, {}), 'exact'],
  ['an instance of a subclass', () => new Point3(1, 2), 'exact'],
  ['an instance with a schema', () => new Account('bob', -7n, new Date(1)), 'exact'],
  ['an instance that breaks its schema', () => new Account('bob', 7 as unknown as bigint), 'refused'],
  ['an instance with a field beyond its schema', () => Object.assign(new Account(), { extra: 1 }), 'refused'],
  ['an instance with private state', () => new Vault('s3cret'), 'exact'],
  ['an instance of a registered Array subclass', () => Matrix.from([1, 2, 3]), 'exact'],
  ['an instance of a registered Map subclass', () => new Dict([['a', 1]]), 'exact'],
  ['an instance of a registered Set subclass', () => new Tags(['x', 'y']), 'exact'],
  ['an instance of a registered Error subclass', () => new QuotaError(9), 'exact'],
  ['an unregistered subclass of a registered class', () => new Stray(1, 2), 'refused'],
  [
    'an unregistered class',
    () =>
      new (class Unknown {
        a = 1
      })(),
    'refused',
  ],
  ['an unregistered class deep inside', () => ({ a: [{ b: new Stray() }] }), 'refused'],
  ['an unregistered subclass of Map', () => new (class Own extends Map {})(), 'refused'],
  ['an unregistered subclass of Array', () => new (class Own extends Array {})(), 'refused'],
  ['an unregistered subclass of Date', () => new (class Own extends Date {})(0), 'refused'],
  ['an unregistered subclass of Uint8Array', () => new (class Own extends Uint8Array {})(2), 'refused'],
  ['an unregistered subclass of Error', () => new (class Own extends Error {})('x'), 'refused'],
  ['an object with another object for prototype', () => withPrototype({ inherited: 1 }, { a: 1 }), 'refused'],

  // shared references and cycles
  ['a shared part', shared, 'exact'],
  [
    'a shared Date',
    () => {
      const at = new Date(5)
      return [at, at]
    },
    'exact',
  ],
  [
    'a shared instance',
    () => {
      const p = new Point(1, 1)
      return { p, list: [p] }
    },
    'exact',
  ],
  [
    'a shared list',
    () => {
      const list = [1]
      return [list, list]
    },
    'exact',
  ],
  [
    'a shared part in a Map and a Set',
    () => {
      const o = {}
      return [new Map([[o, o]]), new Set([o])]
    },
    'exact',
  ],
  ['a cycle', cyclic, 'exact'],
  [
    'a cycle through a Map',
    () => {
      const map = new Map<string, unknown>()
      return map.set('self', map)
    },
    'exact',
  ],
  [
    'a cycle through a Set',
    () => {
      const set = new Set<unknown>()
      return set.add(set)
    },
    'exact',
  ],
  [
    'a tree with parents',
    () => {
      const root = new Node()
      root.add().add()
      root.add()
      return root
    },
    'exact',
  ],

  // values that superjson writes, and errors
  ['a URL', () => new URL('https://u:p@example.org:8080/a?b=c#d'), 'exact'],
  ['a RegExp', () => /^a+b$/giu, 'exact'],
  ['an Error', () => new Error('broken'), 'exact'],
  ['a TypeError', () => new TypeError('wrong'), 'exact'],
  ['an Error with a cause', () => new Error('outer', { cause: new Error('inner') }), 'exact'],
  ['an Int16Array', () => new Int16Array([-1, 0, 32_767]), 'exact'],
  ['a Uint8ClampedArray', () => new Uint8ClampedArray([0, 255]), 'exact'],
  ['a Float64Array with NaN and -0', () => new Float64Array([NaN, -0, 1e300]), 'exact'],
  ['a Float32Array', () => new Float32Array([1.5, -2.25]), 'exact'],
  ['a BigInt64Array', () => new BigInt64Array([-1n, 2n ** 62n]), 'exact'],
  ['a view on a part of a buffer', () => new Uint8Array(ring.slice(0), 2, 3), 'exact'],
  ['an Int32Array on a part of a buffer', () => new Int32Array(ring.slice(0), 4, 1), 'exact'],

  // values that cannot be stored
  ['a function', () => () => 1, 'refused'],
  ['a method in an object', () => ({ a: { run() {} } }), 'refused'],
  ['a class itself', () => Point, 'refused'],
  ['a symbol', () => Symbol('s'), 'refused'],
  ['a registered symbol', () => Symbol.for('s'), 'refused'],
  ['a promise', () => Promise.resolve(1), 'refused'],
  ['a thenable', () => ({ then() {} }), 'refused'],
  ['a WeakMap', () => new WeakMap(), 'refused'],
  ['a WeakSet', () => new WeakSet(), 'refused'],
  ['a WeakRef', () => new WeakRef({}), 'refused'],
  ['a generator', () => (function* () {})(), 'refused'],
  ['an iterator', () => [1].values(), 'refused'],
  ['a proxy', () => new Proxy({ a: 1 }, {}), 'refused'],
  [
    'a getter',
    () => ({
      get now() {
        return 1
      },
    }),
    'refused',
  ],
  ['an own __proto__', () => JSON.parse('{"__proto__":{"admin":true}}') as unknown, 'refused'],
  ['a toJSON that would hijack', () => ({ a: 1, toJSON: () => 'hijacked' }), 'refused'],
  [
    'a hidden property',
    () => Object.defineProperty({ a: 1 }, 'b', { value: 2, enumerable: false }),
    'refused',
  ],
  ['a symbol key', () => ({ a: 1, [Symbol('k')]: 2 }), 'refused'],
  ['a list with an extra property', () => withExtra([1, 2]), 'refused'],
  ['a Map with an extra property', () => Object.assign(new Map(), { extra: 1 }), 'refused'],
  ['a Date with an extra property', () => Object.assign(new Date(0), { extra: 1 }), 'refused'],
  ['a boxed number', () => Object(1) as unknown, 'refused'],
  ['a boxed text', () => Object('a') as unknown, 'refused'],
  ['globalThis', () => globalThis, 'refused'],
  [
    'the arguments of a call',
    () =>
      (function (..._: unknown[]) {
        return arguments
      })(1),
    'refused',
  ],
  ['a SharedArrayBuffer', () => new SharedArrayBuffer(8), 'refused'],
  ['a stream', () => process.stdout, 'refused'],
  [
    'too deep a nesting',
    () => Array.from({ length: 5_000 }).reduce((inner) => [inner], 1 as unknown),
    'refused',
  ],
  ['a bigint beyond the limit', () => 2n ** 70_000n, 'refused'],
]

import test from 'ava'
import { decodeGob, UnmappedTypeError, type GobMapper } from '../../../src/migrate/gob/decoder.ts'
import { GobError } from '../../../src/migrate/gob/reader.ts'
import { Seeded } from '../../../src/testing/simulation/seeded.ts'
import { gobs } from './fixtures.ts'

class Address {
  readonly street: string
  readonly zip: number
  constructor({ Street, Zip }: { Street: string; Zip: number }) {
    this.street = Street
    this.zip = Zip
  }
}

const mappers = new Map<string, GobMapper>([
  ['main.Address', (fields: { Street: string; Zip: number }) => new Address(fields)],
  ['main.User', (fields: object) => ({ is: 'user', ...fields })],
])

const decode = (name: string): Record<string, unknown> =>
  Object.fromEntries(decodeGob(Buffer.from(gobs[name] ?? '', 'hex'), mappers)) as Record<string, unknown>

const noon = new Date('2026-11-27T12:00:00.123Z')

for (const [name, expected] of Object.entries({
  ann: { user: 'ann' },
  int: { n: 4711 },
  neg: { n: -3 },
  big: { n: 9_007_199_254_740_993n },
  uint64: { n: 18_446_744_073_709_551_615n },
  float: { f: 1.5 },
  bool: { b: true },
  bytes: { b: new Uint8Array([1, 2, 255]) },
  time: { t: noon },
  timezone: { t: new Date('2026-11-27T10:30:00.123Z') },
  strings: { s: ['a', 'b'] },
  list: { l: [1, 'a', null, { x: [true] }] },
  map: { m: { a: 1 } },
  mapss: { m: { a: 'b' } },
  mapis: { m: new Map([[7, 'b']]) },
  address: { a: new Address({ Street: 'Main', Zip: 123 }) },
  array: { a: [1, 2, 3] },
  empty: {},
  uni: { größe: '日本😀' },
  two: { a: new Address({ Street: '1', Zip: 1 }), b: new Address({ Street: '2', Zip: 2 }) },
}))
  test(`the gob of Go's "${name}" is read exactly`, (t) => t.deepEqual(decode(name), expected))

test('a struct is mapped with all that is in it, and a field that Go has left out is what Go would read', (t) => {
  const zero = { is: 'user', Name: '', Age: 0, Admin: false, Score: 0, Home: { Street: '', Zip: 0 } }
  t.deepEqual(decode('zero'), { u: zero })
  t.deepEqual(decode('boss'), {
    u: {
      ...zero,
      Name: 'Bob',
      Boss: { Name: 'Eve', Age: 0, Admin: false, Score: 0, Home: { Street: '', Zip: 0 } },
    },
  })
  t.deepEqual(decode('user'), {
    u: {
      is: 'user',
      Name: 'Ann',
      Age: 41,
      Admin: true,
      Tags: ['x'],
      Home: { Street: 'S', Zip: 9 },
      Seen: noon,
      Score: 2.25,
      Extra: { k: 1 },
      Raw: new Uint8Array(Buffer.from('hi')),
      Any: new Address({ Street: 'Any', Zip: 1 }),
    },
  })
})

test('structs in lists are mapped, behind a pointer or not', (t) => {
  const { l: nested } = decode('nested')
  t.true(Array.isArray(nested) && Object(nested[0]).Name === 'In' && nested[1] instanceof Address)
  const { l: users } = decode('users')
  t.deepEqual(Array.isArray(users) && users.map((each) => [Object(each).is, Object(each).Name]), [
    ['user', 'A'],
    ['user', 'B'],
  ])
})

test('a struct without a mapper is refused by its name, and so is a complex number', (t) => {
  const bytes = Buffer.from(gobs['user'] ?? '', 'hex')
  const error = t.throws(() => decodeGob(bytes, new Map()), { instanceOf: UnmappedTypeError })
  t.is(error?.type, 'main.Address', 'what it holds is read first')
  t.throws(() => decode('complex'), { instanceOf: GobError })
})

test('keys that are no text are what they are', (t) => {
  t.deepEqual([...decodeGob(Buffer.from(gobs['intkey'] ?? '', 'hex'), mappers)], [[7, 'x']])
})

test('a gob that is cut off anywhere, or followed by anything, is refused', (t) => {
  for (const hex of Object.values(gobs)) {
    const bytes = Buffer.from(hex, 'hex')
    for (let length = 0; length < bytes.length; length += 1)
      t.throws(() => decodeGob(bytes.subarray(0, length), mappers), { instanceOf: GobError })
    t.throws(() => decodeGob(Buffer.concat([bytes, Buffer.from([0])]), mappers), { instanceOf: GobError })
  }
})

/** Message 1: the type of the map. */
const TOP = '0d7f040102ff800001100110000001ff8000'

/** The bytes of a map with one entry of this value, as an interface. */
const one = (value: string): Buffer => Buffer.from(`${TOP}0106737472696e670c03000161${value}`, 'hex')

/** An unsigned number as gob writes it. */
function uint(value: number): string {
  if (value < 128) return value.toString(16).padStart(2, '0')
  const hex = value.toString(16)
  const bytes = hex.length % 2 === 0 ? hex : `0${hex}`
  return (256 - bytes.length / 2).toString(16) + bytes
}

/** A list in a list in a list, as Go writes `[]interface{}`, whose type is described once. */
function lists(depth: number): string {
  const name = '0e5b5d696e74657266616365207b7d'
  let inner = '03696e7404020002' // 1
  for (let level = depth; level > 0; level -= 1) {
    const value = `0001${inner}`
    const typed = `ff86${uint(value.length / 2)}${value}`
    inner = level === 1 ? `${name}ff85020102ff860001100000${uint(typed.length / 2)}${typed}` : name + typed
  }
  return inner
}

/** A message that describes a map, under this ID. */
function typeOfMap(id: number): Buffer {
  const hex = `${uint(2 * id - 1)}04021001100000`
  return Buffer.from(uint(hex.length / 2) + hex, 'hex')
}

test('lists in lists are read up to a depth of 100', (t) => {
  const value = decodeGob(one(lists(98)), mappers).get('a')
  t.is(JSON.stringify(value), `${'['.repeat(98)}1${']'.repeat(98)}`)
})

test('security: bytes that were made to be expensive are refused at once', (t) => {
  const wrong: Readonly<Record<string, Buffer>> = {
    'a count of 2^31': Buffer.from(`${TOP}fc7fffffff`, 'hex'),
    'a count of 2^64': Buffer.from(`${TOP}f8ffffffffffffffff`, 'hex'),
    'a number of 9 bytes': Buffer.from(`${TOP}f7ffffffffffffffffff`, 'hex'),
    'a text of 1 GiB': Buffer.from(`${TOP}01fc40000000`, 'hex'),
    'a text that is not UTF-8': one('06737472696e670c050003ff6e6e'),
    'a type that is not described': one('0161ff900300'),
    'lists in lists in lists': one(lists(101)),
    'more types than there may be': Buffer.concat(
      Array.from({ length: 1_001 }, (_, at) => typeOfMap(64 + at)),
    ),
    'longer than 1 MiB': Buffer.alloc(1_048_577),
    'a name with many brackets': one(`fe0bb8${Buffer.from('map['.repeat(750)).toString('hex')}0c03000161`),
  }
  for (const [what, bytes] of Object.entries(wrong))
    t.throws(() => decodeGob(bytes, mappers), { instanceOf: GobError }, what)
})

test('security: an own key __proto__ changes no prototype', (t) => {
  // Go's map[string]string{"__proto__": "x"}
  const bytes = one(
    '116d61705b737472696e675d737472696e67ff89040102ff8a00010c010c000011ff8a0e0001095f5f70726f746f5f5f0178',
  )
  const value = decodeGob(bytes, mappers).get('a')
  t.is(Object.getPrototypeOf(value), Object.prototype)
  t.deepEqual(Object.entries(Object(value)), [['__proto__', 'x']])
})

test('security: of 20,000 gobs with wrong bytes each is read or refused, and none takes more values than its bytes allow', (t) => {
  const all = Object.values(gobs).map((hex) => Buffer.from(hex, 'hex'))
  const choices = new Seeded(1)
  let refused = 0
  for (let times = 0; times < 20_000; times += 1) {
    const bytes = Buffer.from(all[choices.pick(all.length)] ?? [])
    for (let changes = 1 + choices.pick(4); changes > 0; changes -= 1)
      bytes[choices.pick(bytes.length)] = choices.pick(256)
    try {
      decodeGob(bytes, mappers)
    } catch (error) {
      if (!(error instanceof GobError)) throw error
      refused += 1
    }
  }
  t.true(refused > 10_000)
})

import { defaultLimits } from '../../src/codec/limits.ts'

/** Text that is designed to be expensive to decode, just within the limits or far beyond them. */
export interface Bomb {
  readonly name: string
  readonly make: () => string
  readonly fate: 'value' | 'error'
}

const { nodes, names: MOST_NAMES, keyBytes } = defaultLimits
const ROOM = keyBytes - 100
/** As many objects as one value may have, besides the one that holds them. */
const MOST = nodes - 1

/** As many parts as there is room for, with commas between them. */
function fit(make: (index: number) => string, most = Infinity, room = ROOM): string {
  const parts: string[] = []
  for (let length = 0; parts.length < most;) {
    const part = make(parts.length)
    length += part.length + 1
    if (length > room) break
    parts.push(part)
  }
  return parts.join(',')
}

const fill = (piece: string): string => piece.repeat(Math.floor(ROOM / piece.length))
const nested = (open: string, close: string, depth: number): string =>
  open.repeat(depth) + close.repeat(depth)
const name = (index: number): string => index.toString(36)
const encoded = (name: string): string => `~${Buffer.from(name, 'utf16le').toString('base64url')}`

/** A list of leaves, each with the same annotation. */
function leaves(annotation: string, make: (index: number) => string, most = 1_000, room = ROOM / 2): string {
  const list: unknown[] = JSON.parse(`[${fit(make, most, room)}]`) as unknown[]
  const marks = list.map((_, index) => `"${index}":${annotation}`).join(',')
  return `S {"json":${JSON.stringify(list)},"meta":{"values":{${marks}},"v":1}}\t\t[${list.map((_, n) => `"~s${n}"`).join(',')}]`
}
const patterns = (make: (index: number) => string, most?: number, room?: number): string =>
  leaves('["regexp"]', (index) => JSON.stringify(make(index)), most, room)
const urls = (make: (index: number) => string, most?: number, room?: number): string =>
  leaves('["URL"]', (index) => JSON.stringify(make(index)), most, room)

/** Whole numbers that share one bucket of a Map or Set, as V8 hashes numbers without a secret seed. (Thomas Wang's hash) */
function collidingIntegers(count: number): number[] {
  const found: number[] = []
  for (let n = 0; found.length < count; n++) {
    let hash = (~n + (n << 15)) >>> 0
    hash ^= hash >>> 12
    hash = (hash + (hash << 2)) >>> 0
    hash = Math.imul((hash ^ (hash >>> 4)) >>> 0, 2_057) >>> 0
    hash ^= hash >>> 16
    if ((hash & 0xfff) === 0) found.push(n)
  }
  return found
}

/** The same for fractions, whose hash takes 64 bits and can be undone. */
function collidingFractions(count: number): number[] {
  const mask = (1n << 64n) - 1n
  const inverse = (odd: bigint): bigint => {
    let found = 1n
    for (let round = 0; round < 6; round++) found = (found * (2n - odd * found)) & mask
    return found
  }
  const undone = (value: bigint, shift: bigint): bigint => {
    let found = value
    for (let at = shift; at < 64n; at += shift) found = value ^ (found >> shift)
    return found
  }
  const found = new Set<number>()
  for (let n = 1n; found.size < count; n++) {
    let key = undone(((n * 0x9e3779b97f4a7c15n) << 14n) & mask, 22n)
    key = undone((key * inverse(65n)) & mask, 11n)
    key = undone((key * inverse(21n)) & mask, 31n)
    key = ((key + 1n) * inverse((1n << 18n) - 1n)) & mask
    const [number = NaN] = new Float64Array(new BigUint64Array([key]).buffer)
    if (Number.isFinite(number) && !Number.isInteger(number)) found.add(number)
  }
  return [...found]
}

const deep: readonly Bomb[] = [
  { name: 'plain lists nested 30,000 deep', make: () => `J ${nested('[', ']', 30_000)}`, fate: 'error' },
  { name: 'plain lists nested 130,000 deep', make: () => `J ${nested('[', ']', 130_000)}`, fate: 'error' },
  { name: 'a million brackets', make: () => `J ${'['.repeat(1_000_000)}`, fate: 'error' },
  {
    name: 'plain objects nested 40,000 deep',
    make: () => `J ${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`,
    fate: 'error',
  },
  { name: 'plain lists 101 deep', make: () => `J ${nested('[', ']', 101)}`, fate: 'error' },
  { name: 'plain lists 100 deep', make: () => `J ${nested('[', ']', 100)}`, fate: 'value' },
  { name: 'typed lists nested 30,000 deep', make: () => `T \t${nested('[', ']', 30_000)}`, fate: 'error' },
  { name: 'typed lists nested 130,000 deep', make: () => `T \t${nested('[', ']', 130_000)}`, fate: 'error' },
  {
    name: 'a hundred lists nested 98 deep',
    make: () => `T \t["~",${fit(() => nested('[', ']', 98), 100)}]`,
    fate: 'value',
  },
  {
    name: 'Maps nested 101 deep',
    make: () => `T \t${'["~Map",1,'.repeat(101)}1${']'.repeat(101)}`,
    fate: 'error',
  },
  {
    name: 'Maps nested 20,000 deep',
    make: () => `T \t${'["~Map",1,'.repeat(20_000)}1${']'.repeat(20_000)}`,
    fate: 'error',
  },
  {
    name: 'Sets nested 25,000 deep',
    make: () => `T \t${'["~Set",'.repeat(25_000)}1${']'.repeat(25_000)}`,
    fate: 'error',
  },
  {
    name: 'errors that cause each other 7,000 deep',
    make: () => `S \t\t${'["~Error","Error",{"cause":'.repeat(7_000)}1${'},{}]'.repeat(7_000)}`,
    fate: 'error',
  },
  {
    name: 'states of a class nested 13,000 deep',
    make: () => `T [["Wallet",1,null]]\t${'["~0",{"coins":['.repeat(13_000)}${']}]'.repeat(13_000)}`,
    fate: 'error',
  },
  {
    name: 'instances nested 20,000 deep',
    make: () => `T [["Canary",1,["name"]]]\t${'["~0",'.repeat(20_000)}1${']'.repeat(20_000)}`,
    fate: 'error',
  },
  { name: 'a type table nested 30,000 deep', make: () => `T ${nested('[', ']', 30_000)}\t1`, fate: 'error' },
  {
    name: 'annotations nested 30,000 deep',
    make: () => `S {"json":["x"],"meta":{"values":{"0":${nested('[', ']', 30_000)}},"v":1}}\t\t"~s0"`,
    fate: 'error',
  },
  {
    name: 'annotations nested 130,000 deep',
    make: () => `S {"json":["x"],"meta":{"values":{"0":${nested('[', ']', 130_000)}},"v":1}}\t\t"~s0"`,
    fate: 'error',
  },
]

const texts: readonly Bomb[] = [
  { name: 'brackets in a text', make: () => `J "${fill('[')}"`, fate: 'value' },
  { name: 'brackets in a text, beside a token', make: () => `T \t["~","${fill('[{')}"]`, fate: 'value' },
  { name: 'backslashes', make: () => `T \t["~","${fill('\\\\')}"]`, fate: 'value' },
  { name: 'plain backslashes', make: () => `J "${fill('\\\\')}"`, fate: 'value' },
  {
    name: 'short texts, one of them with a backslash',
    make: () => `J [${fit(() => '"a"')},"\\\\"]`,
    fate: 'value',
  },
  { name: 'short texts with a backslash', make: () => `J [${fit(() => '"\\\\"')}]`, fate: 'value' },
  { name: 'control characters', make: () => `J "${fill('\\u0001')}"`, fate: 'value' },
  { name: 'lone surrogates', make: () => `J "${fill('\\ud800')}"`, fate: 'value' },
  { name: 'escaped quotes and brackets', make: () => `T \t["~","${fill('\\"[')}"]`, fate: 'value' },
  { name: 'a text without an end', make: () => `T \t["~","${fill('\\"')}`, fate: 'error' },
  { name: 'short texts, all different', make: () => `J [${fit((n) => `"${name(n)}"`)}]`, fate: 'value' },
  { name: 'no JSON at all', make: () => `T ${fill('x')}\ty`, fate: 'error' },
  { name: 'nothing but tabs', make: () => `S ${fill('\t')}`, fate: 'error' },
]

const numbers: readonly Bomb[] = [
  { name: 'numbers', make: () => `J [${fit(() => '1')}]`, fate: 'value' },
  { name: 'numbers beside a token', make: () => `T \t["~",${fit(() => '1')}]`, fate: 'value' },
  { name: 'a million numbers', make: () => `J [${'1,'.repeat(1_000_000)}1]`, fate: 'error' },
  { name: 'a number of 250,000 digits', make: () => `J ${'9'.repeat(250_000)}`, fate: 'value' },
  { name: 'a number with 250,000 decimals', make: () => `J 0.${'3'.repeat(250_000)}`, fate: 'value' },
  {
    name: 'numbers half way between two others',
    make: () =>
      `J [${fit(() => `1.00000000000000011102230246251565404236316680908203125${'0'.repeat(700)}1`)}]`,
    fate: 'value',
  },
  {
    name: 'numbers with large exponents',
    make: () => `J [${fit((n) => `8.5e-${200 + (n % 100)}`)}]`,
    fate: 'value',
  },
  { name: 'bigints', make: () => `T \t[${fit(() => '"~n1"')}]`, fate: 'value' },
  { name: 'bigints of 14 digits', make: () => `T \t[${fit(() => '"~nffffffffffffff"')}]`, fate: 'value' },
  {
    name: 'bigints of 4,096 digits',
    make: () => `T \t[${fit(() => `"~n${'f'.repeat(4_096)}"`)}]`,
    fate: 'value',
  },
  { name: 'a bigint of 4,097 digits', make: () => `T \t"~n${'f'.repeat(4_097)}"`, fate: 'error' },
  { name: 'a bigint of 250,000 digits', make: () => `T \t"~n${'f'.repeat(250_000)}"`, fate: 'error' },
  { name: 'a Date of 250,000 digits', make: () => `T \t"~d${'9'.repeat(250_000)}"`, fate: 'error' },
  { name: 'a reference of 250,000 digits', make: () => `S \t\t["~r${'9'.repeat(250_000)}"]`, fate: 'error' },
  { name: 'a class number of 250,000 digits', make: () => `T \t["~${'9'.repeat(250_000)}"]`, fate: 'error' },
]

const lists: readonly Bomb[] = [
  { name: 'empty lists', make: () => `T \t[${fit(() => '[]', MOST)},"~"]`, fate: 'value' },
  { name: 'too many empty lists', make: () => `T \t[${fit(() => '[]')},"~"]`, fate: 'error' },
  { name: 'plain empty objects', make: () => `J [${fit(() => '{}', MOST)},1]`, fate: 'value' },
  { name: 'too many plain empty objects', make: () => `J [${fit(() => '{}')},1]`, fate: 'error' },
  {
    name: 'objects whose names all differ',
    make: () => `J [${fit((n) => `{"${name(n)}a":1}`, MOST)}]`,
    fate: 'value',
  },
  {
    name: 'objects whose first names differ',
    make: () => `J [${fit((n) => `{"${name(n)}a":1,"b":2}`, MOST_NAMES / 2)}]`,
    fate: 'value',
  },
  {
    name: 'too many objects whose names all differ',
    make: () => `J [${fit((n) => `{"${name(n)}":1}`)}]`,
    fate: 'error',
  },
  {
    name: 'objects whose names differ, beside a token',
    make: () => `T \t["~",${fit((n) => `{"${name(n)}":"~"}`, MOST)}]`,
    fate: 'value',
  },
  {
    name: 'objects without a prototype whose names differ',
    make: () => `T \t[${fit((n) => `["~Null",{"${name(n)}":1}]`, MOST)}]`,
    fate: 'value',
  },
  {
    name: 'lists of 201 numbers',
    make: () => `T \t["~",${fit(() => `[${'1,'.repeat(200)}1]`)}]`,
    fate: 'value',
  },
  { name: 'dates', make: () => `T \t[${fit(() => '"~d1"', MOST)},1]`, fate: 'value' },
  { name: 'too many dates', make: () => `T \t[${fit(() => '"~d"')},1]`, fate: 'error' },
  { name: 'holes', make: () => `T \t[${fit(() => '"~h"')},1]`, fate: 'value' },
  { name: 'holes at the end', make: () => `T \t[1,${fit(() => '"~h"')}]`, fate: 'value' },
  {
    name: 'holes between numbers',
    make: () => `T \t[${fit((n) => (n % 2 === 0 ? '1' : '"~h"'))}]`,
    fate: 'value',
  },
  { name: 'lists of a hole', make: () => `T \t[${fit(() => '["~h"]', MOST)}]`, fate: 'value' },
  { name: 'tokens for undefined', make: () => `T \t[${fit(() => '"~"')},1]`, fate: 'value' },
  { name: 'buffers', make: () => `T \t[${fit(() => '"~bAA"', MOST)},1]`, fate: 'value' },
  { name: 'byte arrays', make: () => `T \t[${fit(() => '"~uAA"', MOST)},1]`, fate: 'value' },
  {
    name: 'byte arrays of 66 bytes',
    make: () => `T \t[${fit(() => `"~u${'A'.repeat(88)}"`)}]`,
    fate: 'value',
  },
  { name: 'buffers of 204 bytes', make: () => `T \t[${fit(() => `"~b${'A'.repeat(272)}"`)}]`, fate: 'value' },
  { name: 'a long buffer', make: () => `T \t"~b${fill('AAAA')}"`, fate: 'value' },
  { name: 'a long byte array', make: () => `T \t"~u${fill('AAAA')}"`, fate: 'value' },
]

const names: readonly Bomb[] = [
  { name: 'keys of an object', make: () => `J {${fit((n) => `"${n}k":1`, MOST_NAMES - 1)}}`, fate: 'value' },
  {
    name: 'keys that are tokens',
    make: () => `T \t{${fit((n) => `"k${n}":"~"`, MOST_NAMES - 1)}}`,
    fate: 'value',
  },
  {
    name: 'integer keys, far apart',
    make: () => `J {${fit((n) => `"${n * 99_991}":1`, MOST_NAMES - 1)}}`,
    fate: 'value',
  },
  {
    name: 'integer keys from the last one',
    make: () => `J {${fit((n) => `"${4_294_967_000 - n * 9_991}":1`, MOST_NAMES - 1)}}`,
    fate: 'value',
  },
  {
    name: 'integer keys that are no indices',
    make: () => `J {${fit((n) => `"${5_000_000_000 + n}":1`, MOST_NAMES - 1)}}`,
    fate: 'value',
  },
  {
    name: 'keys with an escape',
    make: () => `J {${fit((n) => `"\\u0061${n}":1`, MOST_NAMES - 1)}}`,
    fate: 'value',
  },
  { name: 'many times the same key', make: () => `T \t{${fit(() => '"k":"~"', MOST_NAMES)}}`, fate: 'value' },
  { name: 'a key of 250,000 characters', make: () => `T \t{"${'k'.repeat(250_000)}":"~"}`, fate: 'value' },
  { name: 'too many keys of an object', make: () => `J {${fit((n) => `"${n}k":1`)}}`, fate: 'error' },
  {
    name: 'too many keys, most of them twice',
    make: () => `T \t{${fit((n) => `"${n % 9}":"~"`)}}`,
    fate: 'error',
  },
  {
    name: 'names of which the first is encoded',
    make: () => `T \t{"${encoded('\n')}":1,${fit((n) => `"k${name(n)}":1`, MOST_NAMES - 1)}}`,
    fate: 'value',
  },
  {
    name: 'names of which the last is encoded',
    make: () => `T \t{${fit((n) => `"k${name(n)}":1`, MOST_NAMES - 1)},"${encoded('\n')}":1}`,
    fate: 'value',
  },
  {
    name: 'names of which one is encoded, where others may refer to their object',
    make: () => `S \t\t{${fit((n) => `"k${name(n)}":1`, MOST_NAMES - 1)},"${encoded('\n')}":"~r0"}`,
    fate: 'value',
  },
  {
    name: 'encoded names',
    make: () => `T \t{${fit((n) => `"${encoded(`\n${name(n)}`)}":1`, 2_000)}}`,
    fate: 'value',
  },
  {
    name: 'too many encoded names',
    make: () => `T \t{${fit((n) => `"${encoded(`\n${name(n)}`)}":1`)}}`,
    fate: 'error',
  },
  {
    name: 'too many objects with an encoded name',
    make: () => `S \t\t[${fit((n) => `{"${encoded(`\n${n % 10}`)}":1}`)}]`,
    fate: 'error',
  },
  {
    name: 'an encoded name of 50,000 characters',
    make: () => `T \t{"${encoded('\n'.repeat(50_000))}":1}`,
    fate: 'value',
  },
  {
    name: 'an object without a prototype',
    make: () => `T \t["~Null",{${fit((n) => `"k${name(n)}":1`, MOST_NAMES - 1)}}]`,
    fate: 'value',
  },
]

const collections: readonly Bomb[] = [
  { name: 'members of a Set', make: () => `T \t["~Set",${fit((n) => `"m${n}"`)}]`, fate: 'value' },
  {
    name: 'members of a Set that are texts of integers',
    make: () => `T \t["~Set",${fit((n) => `"${n * 8_192}"`)}]`,
    fate: 'value',
  },
  { name: 'objects in a Set', make: () => `T \t["~Set",${fit(() => '{}', MOST)}]`, fate: 'value' },
  { name: 'keys of a Map', make: () => `T \t["~Map",${fit((n) => `"m${n}",1`)}]`, fate: 'value' },
  { name: 'empty Sets', make: () => `T \t[${fit(() => '["~Set"]', MOST)}]`, fate: 'value' },
  { name: 'small Maps', make: () => `T \t[${fit(() => '["~Map","",2]', MOST)}]`, fate: 'value' },
  { name: 'many times the same member', make: () => `T \t["~Set",${fit(() => '"a"')}]`, fate: 'error' },
  {
    name: '2,000 integers of one bucket',
    make: () => `T \t["~Set",${collidingIntegers(2_000).join(',')}]`,
    fate: 'value',
  },
  {
    name: '2,000 fractions of one bucket',
    make: () => `T \t["~Set",${collidingFractions(2_000).join(',')}]`,
    fate: 'value',
  },
  {
    name: '9,000 fractions of one bucket',
    make: () => `T \t["~Set",${collidingFractions(9_000).join(',')}]`,
    fate: 'error',
  },
  {
    name: '20,000 numbers as members',
    make: () => `T \t["~Set",${fit((n) => String(n * 2 ** 32), 20_000)}]`,
    fate: 'error',
  },
  {
    name: '4,000 numbers as keys of several Maps',
    make: () => `T \t[${fit((map) => `["~Map",${fit((n) => `${n + map},1`, 1_000)}]`, 4)}]`,
    fate: 'error',
  },
  {
    name: '666 bigints of one bucket',
    make: () => `T \t["~Set",${fit((n) => `"~n${(n + 1).toString(16)}${'0'.repeat(16)}"`, 666)}]`,
    fate: 'value',
  },
  {
    name: 'large bigints of one bucket',
    make: () => `T \t["~Set",${fit((n) => `"~n${(n + 1).toString(16)}${'0'.repeat(240)}1"`, 666)}]`,
    fate: 'value',
  },
  {
    name: '10,000 bigints of one bucket',
    make: () => `T \t["~Set",${fit((n) => `"~n${(n + 1).toString(16)}${'0'.repeat(16)}"`, 10_000)}]`,
    fate: 'error',
  },
]

const instances: readonly Bomb[] = [
  {
    name: '500 types',
    make: () => `T [${fit((n) => `["Canary",1,["f${n}"]]`, 500)}]\t[${fit((n) => `["~${n}",1]`, 500)}]`,
    fate: 'value',
  },
  {
    name: '500 types in turn',
    make: () =>
      `T [${fit((n) => `["Canary",1,["f${n}"]]`, 500)}]\t[${fit((n) => `["~${n % 500}",1]`, MOST, ROOM - 16_000)}]`,
    fate: 'value',
  },
  {
    name: 'rows of the last of 500 types',
    make: () =>
      `T [${fit((n) => `["Canary",1,["f${n}"]]`, 500)}]\t[${fit((n) => `["~${Math.max(n, 499) === n ? 499 : n}",1]`, MOST, ROOM - 16_000)}]`,
    fate: 'value',
  },
  {
    name: '490 types in turn that begin with the same 40 fields',
    make: () =>
      `T [${fit((n) => `["Canary",1,[${fit((f) => `"f${f}"`, 40)},"g${n}"]]`, 490, ROOM / 2)}]\t[${fit((n) => `["~${n % 490}",${'1,'.repeat(40)}1]`, MOST, ROOM / 2)}]`,
    fate: 'value',
  },
  {
    name: 'too many types',
    make: () => `T [${fit((n) => `["Canary",1,["f${n}"]]`)}]\t1`,
    fate: 'error',
  },
  {
    name: 'a type with 15,000 fields',
    make: () => `T [["Canary",1,[${fit((n) => `"f${n}"`, 15_000)}]]]\t["~0",${fit(() => '1', 15_000)}]`,
    fate: 'value',
  },
  {
    name: 'instances',
    make: () => `T [["Canary",1,["name"]]]\t[${fit(() => '["~0",1]', MOST)}]`,
    fate: 'value',
  },
  {
    name: 'instances without fields',
    make: () => `T [["Canary",1,[]]]\t[${fit(() => '["~0"]', MOST)}]`,
    fate: 'value',
  },
  {
    name: 'instances with a schema',
    make: () => `T [["Guarded",1,["name","level"]]]\t[${fit(() => '["~0","a",1]', MOST)}]`,
    fate: 'value',
  },
  {
    name: '20,000 instances of a class with decode',
    make: () => `T [["Wallet",1,null]]\t[${fit(() => '["~0",{"coins":[]}]', 20_000)}]`,
    fate: 'error',
  },
]

const shared: readonly Bomb[] = [
  { name: 'references to one object', make: () => `S \t\t[${fit(() => '"~r0"')}]`, fate: 'value' },
  {
    name: 'references by name',
    make: () => `S \t\t{${fit((n) => `"k${name(n)}":"~r0"`, MOST_NAMES)}}`,
    fate: 'value',
  },
  {
    name: 'a reference in each of many lists',
    make: () => `S \t\t[${fit((n) => `["~r${n}"]`, MOST)}]`,
    fate: 'value',
  },
  {
    name: 'billion laughs',
    make: () => `S \t\t[${fit((n) => `[${fit(() => `"~r${n}"`, 100)}]`, 99)}]`,
    fate: 'value',
  },
  {
    name: 'errors',
    make: () => `S \t\t[${fit(() => '["~Error","Error",{"message":"m"},{}]', 3_000)}]`,
    fate: 'value',
  },
  {
    name: 'aggregate errors',
    make: () => `S \t\t[${fit(() => '["~Error","AggregateError",{"errors":[]},{}]', 3_000)}]`,
    fate: 'value',
  },
  { name: 'too many errors', make: () => `S \t\t[${fit(() => '["~Error","Error",{},{}]')}]`, fate: 'error' },
  {
    name: 'an error with 2,999 fields',
    make: () => `S \t\t["~Error","Error",{},{${fit((n) => `"k${n}":1`, 2_999)}}]`,
    fate: 'value',
  },
  {
    name: 'an error with too many fields',
    make: () => `S \t\t["~Error","Error",{},{${fit((n) => `"k${n}":1`)}}]`,
    fate: 'error',
  },
]

const leafy: readonly Bomb[] = [
  { name: '1,000 URLs', make: () => urls(() => 'https://example.org/'), fate: 'value' },
  { name: 'too many URLs', make: () => urls(() => 'https://example.org/', 1_001), fate: 'error' },
  {
    name: 'long URLs',
    make: () => urls(() => `https://example.org/${'%C3%BC'.repeat(1_300)}`, 6),
    fate: 'value',
  },
  {
    name: 'too much text in URLs',
    make: () => urls(() => `https://example.org/${'%C3%BC'.repeat(1_300)}`, 7),
    fate: 'error',
  },
  {
    name: 'URLs with host names of Punycode',
    make: () => urls(() => `https://${'xn--mgbh0fb.'.repeat(20)}org/`, 190),
    fate: 'value',
  },
  {
    name: 'a long host name of Punycode',
    make: () => urls(() => `https://${'xn--mgbh0fb.'.repeat(600)}org/`, 13),
    fate: 'error',
  },
  {
    name: 'a long label of Punycode',
    make: () => urls(() => `https://xn--${'bc9a'.repeat(2_000)}/`, 13),
    fate: 'error',
  },
  {
    name: 'host names in Unicode',
    make: () => urls(() => `https://${'ü.'.repeat(2_000)}org/`, 13),
    fate: 'error',
  },
  {
    name: 'host names with combining marks',
    make: () => urls(() => `https://a${'\u0327\u0301'.repeat(4_000)}.org/`, 13),
    fate: 'error',
  },
  {
    name: 'URLs of many steps up',
    make: () => urls(() => `https://a/${'b/'.repeat(1_600)}${'../'.repeat(1_600)}`, 12),
    fate: 'error',
  },
  { name: 'URLs of at signs', make: () => urls(() => `https://${'@'.repeat(8_000)}a/`, 12), fate: 'error' },
  { name: '100 RegExps', make: () => patterns((n) => `/${n}a/`, 100), fate: 'value' },
  { name: 'too many RegExps', make: () => patterns((n) => `/${n}a/`, 101), fate: 'error' },
  {
    name: 'RegExps of nested repetitions',
    make: () => patterns((n) => `/${n}${'(a+)+'.repeat(195)}/`, 5),
    fate: 'value',
  },
  {
    name: 'too long RegExps',
    make: () => patterns((n) => `/${n}${'(a+)+'.repeat(195)}/`, 6),
    fate: 'error',
  },
  {
    name: 'RegExps of words in any case',
    make: () => patterns((n) => `/${n}${String.raw`\w`.repeat(450)}/iu`, 5),
    fate: 'value',
  },
  {
    name: 'RegExps of Unicode classes',
    make: () => patterns((n) => `/${n}${String.raw`\p{L}`.repeat(10)}/iu`, 5),
    fate: 'value',
  },
  {
    name: 'RegExps of too many Unicode classes',
    make: () => patterns((n) => `/${n}${String.raw`\P{L}`.repeat(11)}/u`, 5),
    fate: 'error',
  },
  {
    name: 'a RegExp with the flag v',
    make: () => patterns(() => String.raw`/[\p{L}--[a-z]]/v`, 1),
    fate: 'error',
  },
  {
    name: 'a kilobyte of RegExp with the flag v',
    make: () => patterns(() => `/${String.raw`\p{L}`.repeat(190)}/iv`, 1),
    fate: 'error',
  },
  {
    name: 'twenty kilobytes of RegExps with the flag v',
    make: () => patterns((n) => `/${n}${String.raw`\p{L}`.repeat(190)}/iv`, 21),
    fate: 'error',
  },
  {
    name: '1,000 views',
    make: () => leaves('[["custom","memory"]]', () => '["Int8Array","AAAA"]'),
    fate: 'value',
  },
  {
    name: 'views of 225 bytes',
    make: () =>
      leaves('[["custom","memory"]]', () => `["Int8Array","${'A'.repeat(300)}"]`, 1_000, ROOM - 30_000),
    fate: 'value',
  },
  {
    name: 'too many views',
    make: () => leaves('[["custom","memory"]]', () => '["Int8Array","AAAA"]', 1_001),
    fate: 'error',
  },
  {
    name: 'annotations for one leaf',
    make: () => `S {"json":["x"],"meta":{"values":{${fit((n) => `"${n}x":1`)}},"v":1}}\t\t"~s0"`,
    fate: 'error',
  },
  {
    name: 'a long annotation',
    make: () => `S {"json":["x"],"meta":{"values":{"0":[${fit(() => '[]', MOST)}]},"v":1}}\t\t"~s0"`,
    fate: 'error',
  },
]

/** Some of everything that has a budget of its own, and the rest of the room for what is slow by its length. */
const mixtures: readonly Bomb[] = [
  {
    name: 'all budgets at once',
    make: () => {
      const texts = [
        ...Array.from({ length: 5 }, (_, n) => [`/${n}${String.raw`\w`.repeat(450)}/iu`, '["regexp"]']),
        ...Array.from({ length: 150 }, () => [`https://${'xn--mgbh0fb.'.repeat(20)}org/`, '["URL"]']),
      ] as const
      const json = texts.map(([text]) => JSON.stringify(text)).join(',')
      const marks = texts.map(([, mark], index) => `"${index}":${mark}`).join(',')
      const used = texts.map((_, index) => `"~s${index}"`).join(',')
      const head = `S {"json":[${json}],"meta":{"values":{${marks}},"v":1}}\t\t[${used}`
      const numbers = `["~Set",${collidingIntegers(2_000).join(',')}]`
      const failures = fit(() => '["~Error","Error",{"message":"m"},{}]', 1_000)
      const odd = `{${fit((n) => `"${encoded(`\n${name(n)}`)}":1`, 1_000)}}`
      const start = [head, numbers, failures, odd].join(',')
      return `${start},${fit((n) => `{"${name(n)}a":1}`, 7_000, ROOM - start.length)}]`
    },
    fate: 'value',
  },
]

export const bombs: readonly Bomb[] = [
  ...deep,
  ...texts,
  ...numbers,
  ...lists,
  ...names,
  ...collections,
  ...instances,
  ...shared,
  ...leafy,
  ...mixtures,
]

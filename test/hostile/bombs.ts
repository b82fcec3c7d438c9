/** Text that is designed to be expensive to decode, just within the limits or far beyond them. */
export interface Bomb {
  readonly name: string
  readonly make: () => string
  readonly fate: 'value' | 'error'
}

const ROOM = 524_000
const fill = (piece: string, around = 40): string => piece.repeat(Math.floor((ROOM - around) / piece.length))
const list = (length: number, make: (index: number) => string): string =>
  Array.from({ length }, (_, n) => make(n)).join(',')
const nested = (open: string, close: string, depth: number): string =>
  open.repeat(depth) + close.repeat(depth)
const marks = (count: number, mark: string): string => list(count, (index) => `"${index}":${mark}`)

/** Numbers that share one bucket of a Map or Set, as V8 hashes numbers without a secret seed. (Thomas Wang's hash) */
function colliding(count: number): number[] {
  const found: number[] = []
  for (let n = 0; found.length < count; n++) {
    let hash = (~n + (n << 15)) >>> 0
    hash ^= hash >>> 12
    hash = (hash + (hash << 2)) >>> 0
    hash = Math.imul((hash ^ (hash >>> 4)) >>> 0, 2_057) >>> 0
    hash ^= hash >>> 16
    if ((hash & 0x1fff) === 0) found.push(n)
  }
  return found
}

export const bombs: readonly Bomb[] = [
  { name: 'plain lists nested 30,000 deep', make: () => `J ${nested('[', ']', 30_000)}`, fate: 'error' },
  { name: 'plain lists nested 260,000 deep', make: () => `J ${nested('[', ']', 260_000)}`, fate: 'error' },
  { name: 'a million brackets', make: () => `J ${'['.repeat(1_000_000)}`, fate: 'error' },
  {
    name: 'plain objects nested 80,000 deep',
    make: () => `J ${'{"a":'.repeat(80_000)}1${'}'.repeat(80_000)}`,
    fate: 'error',
  },
  { name: 'plain lists 101 deep', make: () => `J ${nested('[', ']', 101)}`, fate: 'error' },
  { name: 'plain lists 100 deep', make: () => `J ${nested('[', ']', 100)}`, fate: 'value' },
  { name: 'typed lists nested 30,000 deep', make: () => `T \t${nested('[', ']', 30_000)}`, fate: 'error' },
  { name: 'typed lists nested 260,000 deep', make: () => `T \t${nested('[', ']', 260_000)}`, fate: 'error' },
  {
    name: 'Maps nested 101 deep',
    make: () => `T \t${'["~Map",1,'.repeat(101)}1${']'.repeat(101)}`,
    fate: 'error',
  },
  {
    name: 'Maps nested 40,000 deep',
    make: () => `T \t${'["~Map",1,'.repeat(40_000)}1${']'.repeat(40_000)}`,
    fate: 'error',
  },
  {
    name: 'Sets nested 30,000 deep',
    make: () => `T \t${'["~Set",'.repeat(30_000)}1${']'.repeat(30_000)}`,
    fate: 'error',
  },
  {
    name: 'errors that cause each other 15,000 deep',
    make: () => `S \t\t${'["~Error","Error",{"cause":'.repeat(15_000)}1${'},{}]'.repeat(15_000)}`,
    fate: 'error',
  },
  {
    name: 'states of a class nested 20,000 deep',
    make: () => `T [["Wallet",1,null]]\t${'["~0",{"coins":['.repeat(20_000)}${']}]'.repeat(20_000)}`,
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
    name: 'annotations nested 250,000 deep',
    make: () => `S {"json":["x"],"meta":{"values":{"0":${nested('[', ']', 250_000)}},"v":1}}\t\t"~s0"`,
    fate: 'error',
  },
  { name: 'brackets in a text', make: () => `J "${fill('[')}"`, fate: 'value' },
  { name: 'brackets in a text, beside a token', make: () => `T \t["~","${fill('[{')}"]`, fate: 'value' },
  { name: 'backslashes', make: () => `T \t["~","${fill('\\\\')}"]`, fate: 'value' },
  { name: 'escaped quotes and brackets', make: () => `T \t["~","${fill('\\"[')}"]`, fate: 'value' },
  { name: 'a text without an end', make: () => `T \t["~","${fill('\\"')}`, fate: 'error' },
  { name: '260,000 numbers', make: () => `J [${fill('1,')}1]`, fate: 'value' },
  { name: '260,000 numbers beside a token', make: () => `T \t["~",${fill('1,')}1]`, fate: 'value' },
  { name: 'a million numbers', make: () => `J [${'1,'.repeat(1_000_000)}1]`, fate: 'error' },
  { name: '49,000 empty lists', make: () => `T \t[${'[],'.repeat(49_000)}"~"]`, fate: 'value' },
  { name: '130,000 empty lists', make: () => `T \t[${fill('[],')}"~"]`, fate: 'error' },
  { name: '170,000 plain empty objects', make: () => `J [${fill('{},')}1]`, fate: 'error' },
  { name: '49,000 dates', make: () => `T \t[${'"~d1",'.repeat(49_000)}1]`, fate: 'value' },
  { name: '80,000 dates', make: () => `T \t[${'"~d",'.repeat(80_000)}1]`, fate: 'error' },
  { name: '49,000 buffers', make: () => `T \t[${'"~bAA",'.repeat(49_000)}1]`, fate: 'value' },
  { name: '70,000 bigints', make: () => `T \t[${'"~n1",'.repeat(70_000)}1]`, fate: 'value' },
  {
    name: '127 bigints of 4,096 digits',
    make: () => `T \t[${`"~n${'f'.repeat(4_096)}",`.repeat(127)}1]`,
    fate: 'value',
  },
  { name: 'a bigint of 4,097 digits', make: () => `T \t"~n${'f'.repeat(4_097)}"`, fate: 'error' },
  { name: 'a bigint of 500,000 digits', make: () => `T \t"~n${'f'.repeat(500_000)}"`, fate: 'error' },
  { name: 'a number of 500,000 digits', make: () => `J ${'9'.repeat(500_000)}`, fate: 'value' },
  { name: 'a number with 500,000 decimals', make: () => `J 0.${'3'.repeat(500_000)}`, fate: 'value' },
  { name: 'a Date of 500,000 digits', make: () => `T \t"~d${'9'.repeat(500_000)}"`, fate: 'error' },
  { name: 'a reference of 500,000 digits', make: () => `S \t\t["~r${'9'.repeat(500_000)}"]`, fate: 'error' },
  { name: 'a class number of 500,000 digits', make: () => `T \t["~${'9'.repeat(500_000)}"]`, fate: 'error' },
  { name: '500,000 bytes', make: () => `T \t"~b${'A'.repeat(500_000)}"`, fate: 'value' },
  { name: '100,000 holes', make: () => `T \t[${'"~h",'.repeat(100_000)}1]`, fate: 'value' },
  { name: '100,000 holes at the end', make: () => `T \t[1${',"~h"'.repeat(100_000)}]`, fate: 'value' },
  { name: '100,000 tokens for undefined', make: () => `T \t[${fill('"~",')}1]`, fate: 'value' },
  { name: '45,000 keys of an object', make: () => `J {${list(45_000, (n) => `"${n}k":1`)}}`, fate: 'value' },
  {
    name: '40,000 keys that are tokens',
    make: () => `T \t{${list(40_000, (n) => `"k${n}":"~"`)}}`,
    fate: 'value',
  },
  {
    name: '35,000 integer keys, far apart',
    make: () => `J {${list(35_000, (n) => `"${n * 99_991}":1`)}}`,
    fate: 'value',
  },
  { name: '50,000 times the same key', make: () => `T \t{${list(50_000, () => '"k":"~"')}}`, fate: 'value' },
  { name: 'a key of 500,000 characters', make: () => `T \t{"${'k'.repeat(500_000)}":"~"}`, fate: 'value' },
  {
    name: '50,000 members of a Set',
    make: () => `T \t["~Set",${list(50_000, (n) => `"m${n}"`)}]`,
    fate: 'value',
  },
  {
    name: '45,000 keys of a Map',
    make: () => `T \t["~Map",${list(45_000, (n) => `"m${n}",1`)}]`,
    fate: 'value',
  },
  {
    name: '100,000 times the same member',
    make: () => `T \t["~Set",${list(100_000, () => '"a"')}]`,
    fate: 'error',
  },
  {
    name: '5,000 numbers of one bucket',
    make: () => `T \t["~Set",${colliding(5_000).join(',')}]`,
    fate: 'value',
  },
  {
    name: '20,000 numbers as members',
    make: () => `T \t["~Set",${list(20_000, (n) => String(n * 2 ** 32))}]`,
    fate: 'error',
  },
  {
    name: '6,000 numbers as keys of several Maps',
    make: () => `T \t[${list(6, (map) => `["~Map",${list(1_000, (n) => `${n + map},1`)}]`)}]`,
    fate: 'error',
  },
  {
    name: '1,600 bigints of one bucket',
    make: () => `T \t["~Set",${list(1_600, (n) => `"~n${(n + 1).toString(16)}${'0'.repeat(16)}"`)}]`,
    fate: 'value',
  },
  {
    name: '20,000 bigints of one bucket',
    make: () => `T \t["~Set",${list(20_000, (n) => `"~n${(n + 1).toString(16)}${'0'.repeat(16)}"`)}]`,
    fate: 'error',
  },
  {
    name: '500 classes in the table',
    make: () => `T [${list(500, (n) => `["Canary",1,["f${n}"]]`)}]\t[${list(500, (n) => `["~${n}",1]`)}]`,
    fate: 'value',
  },
  {
    name: '20,000 classes in the table',
    make: () => `T [${list(20_000, (n) => `["Canary",1,["f${n}"]]`)}]\t1`,
    fate: 'error',
  },
  {
    name: 'a class with 40,000 fields',
    make: () => `T [["Canary",1,[${list(40_000, (n) => `"f${n}"`)}]]]\t["~0",${list(40_000, () => '1')}]`,
    fate: 'value',
  },
  {
    name: '500 classes of 90 fields',
    make: () =>
      `T [${list(490, (n) => `["Canary",1,[${list(90, (f) => `"f${f === 89 ? n : `_${f}`}"`)}]]`)}]\t[${list(300, (n) => `["~${n}",${list(90, () => '1')}]`)}]`,
    fate: 'value',
  },
  {
    name: '40,000 instances',
    make: () => `T [["Canary",1,["name"]]]\t[${list(40_000, () => '["~0",1]')}]`,
    fate: 'value',
  },
  {
    name: '20,000 instances with a schema',
    make: () => `T [["Guarded",1,["name","level"]]]\t[${list(20_000, () => '["~0","a",1]')}]`,
    fate: 'value',
  },
  {
    name: '20,000 instances of a class with decode',
    make: () => `T [["Wallet",1,null]]\t[${list(20_000, () => '["~0",{"coins":[]}]')}]`,
    fate: 'error',
  },
  {
    name: '2,000 URLs',
    make: () =>
      `S {"json":[${list(2_000, () => '"https://example.org/"')}],"meta":{"values":{${marks(2_000, '["URL"]')}},"v":1}}\t\t[${list(2_000, (n) => `"~s${n}"`)}]`,
    fate: 'value',
  },
  {
    name: '60 URLs of 8,000 characters',
    make: () =>
      `S {"json":[${list(60, () => `"https://example.org/${'%C3%BC'.repeat(1_300)}"`)}],"meta":{"values":{${marks(60, '["URL"]')}},"v":1}}\t\t[${list(60, (n) => `"~s${n}"`)}]`,
    fate: 'value',
  },
  {
    name: '60 host names of 8,000 characters',
    make: () =>
      `S {"json":[${list(60, () => `"https://${'ü.'.repeat(2_000)}org/"`)}],"meta":{"values":{${marks(60, '["URL"]')}},"v":1}}\t\t[${list(60, (n) => `"~s${n}"`)}]`,
    fate: 'value',
  },
  {
    name: '5,000 URLs',
    make: () =>
      `S {"json":[${list(5_000, () => '"https://example.org/"')}],"meta":{"values":{${marks(5_000, '["URL"]')}},"v":1}}\t\t[${list(5_000, (n) => `"~s${n}"`)}]`,
    fate: 'error',
  },
  {
    name: '500 RegExps of 900 characters',
    make: () =>
      `S {"json":[${list(500, (n) => `"/${'(a+)+'.repeat(175)}${n}/"`)}],"meta":{"values":{${marks(500, '["regexp"]')}},"v":1}}\t\t[${list(500, (n) => `"~s${n}"`)}]`,
    fate: 'value',
  },
  {
    name: 'RegExps with large classes and counts',
    make: () =>
      `S {"json":[${list(500, () => String.raw`"/[\\p{L}\\P{Lu}]{1,9999}(?:\\p{ID_Start}{9999}){9999}/u"`)}],"meta":{"values":{${marks(500, '["regexp"]')}},"v":1}}\t\t[${list(500, (n) => `"~s${n}"`)}]`,
    fate: 'value',
  },
  {
    name: '2,000 views',
    make: () =>
      `S {"json":[${list(2_000, () => '["Int8Array","AAAA"]')}],"meta":{"values":{${marks(2_000, '[["custom","memory"]]')}},"v":1}}\t\t[${list(2_000, (n) => `"~s${n}"`)}]`,
    fate: 'value',
  },
  {
    name: '60,000 references to one object',
    make: () => `S \t\t[${list(60_000, () => '"~r0"')}]`,
    fate: 'value',
  },
  {
    name: 'billion laughs',
    make: () => `S \t\t[${list(99, (n) => `[${list(100, () => `"~r${n}"`)}]`)}]`,
    fate: 'value',
  },
  {
    name: '12,000 errors',
    make: () => `S \t\t[${list(12_000, () => '["~Error","Error",{"message":"m"},{}]')}]`,
    fate: 'value',
  },
  {
    name: 'an error with 40,000 fields',
    make: () => `S \t\t["~Error","Error",{},{${list(40_000, (n) => `"k${n}":1`)}}]`,
    fate: 'value',
  },
  { name: 'no JSON at all', make: () => `T ${fill('x')}\ty`, fate: 'error' },
  { name: 'nothing but tabs', make: () => `S ${fill('\t')}`, fate: 'error' },
]

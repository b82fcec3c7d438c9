import test from 'ava'
import { judge } from './verdict.ts'
import { codec } from './world.ts'

function leaves(...entries: readonly (readonly [annotation: string, json: string])[]): string {
  const json = entries.map(([, text]) => text).join(',')
  const marks = entries.map(([annotation], index) => `"${index}":${annotation}`).join(',')
  return `{"json":[${json}],"meta":{"values":{${marks}},"v":1}}`
}
const URL_MARK = '["URL"]'
const REGEXP = '["regexp"]'
const MEMORY = '[["custom","memory"]]'
const leaf = (annotation: string, json: string): string => `S ${leaves([annotation, json])}\t\t"~s0"`

test('decoding 6: an error has its message, cause and enumerable fields, and a stack neither of the decoder nor from the text', (t) => {
  const error: unknown = codec.decode(
    'S \t\t["~Error","TypeError",{"message":"m","cause":"~n1"},{"code":"E"}]',
    'key',
  )
  t.true(error instanceof TypeError)
  t.like(error, { message: 'm', cause: 1n, code: 'E', stack: '' })
  for (const fields of [
    '{"stack":"at /home"},{}',
    '{},{"stack":"at /home"}',
    '{"name":"X"},{}',
    '{"toString":1},{}',
    '{"message":1},{"message":2}',
  ])
    t.is(judge(`S \t\t["~Error","Error",${fields}]`), 'error', fields)
  for (const name of ['Canary', 'QuotaError', 'DOMException', 'Object', 'Function', '', 'error'])
    t.is(judge(`S \t\t["~Error","${name}",{},{}]`), 'error', name)
})

test('decoding 6: an encoded error contains nothing of its stack', (t) => {
  const error = new Error('m', { cause: new Error('inner') })
  error.stack = 'at /home/secret.ts:1'
  t.notRegex(codec.encode(error, 'key'), /secret|stack|\.ts/)
})

test('decoding 9: two equal keys of a Map or members of a Set are damage', (t) => {
  for (const [one, other] of [
    ['1', '1'],
    ['"a"', '"a"'],
    ['"~fNaN"', '"~fNaN"'],
    ['0', '"~f-0"'],
    ['"~n1"', '"~n1"'],
    ['"~"', '"~"'],
    ['null', 'null'],
    ['"~~a"', '"~~a"'],
  ] as const) {
    t.is(judge(`T \t["~Map",${one},1,${other},2]`), 'error', one)
    t.is(judge(`T \t["~Set",${one},${other}]`), 'error', one)
  }
  t.is(judge('S \t\t[{},["~Map","~r1",1,"~r1",2]]'), 'error')
  t.is(judge('S \t\t[{},["~Set","~r1","~r1"]]'), 'error')
  t.is(judge('T \t["~Set",{},{},[],[],"~d0","~d0"]'), 'value')
  t.is(judge('T \t["~Set",1,"1","~n1",true,"true",null,"null","~","undefined"]'), 'value')
})

test('decoding 9: a Map keeps its order, and its keys may be objects', (t) => {
  const value: unknown = codec.decode('T \t["~Map",2,"b",{"a":"~n1"},"x",1,"a"]', 'key')
  t.deepEqual([...(value as Map<unknown, unknown>).keys()], [2, { a: 1n }, 1])
})

test('decoding 9: numbers, dates and bigints have one spelling, and must be in range', (t) => {
  for (const word of [
    '~f',
    '~f0',
    '~f1',
    '~fnan',
    '~f-NaN',
    '~f+Infinity',
    '~fInfinityx',
    '~fe',
    '~n',
    '~n-',
    '~n-0',
    '~n00',
    '~n01',
    '~nFF',
    '~n0x1',
    '~n 1',
    '~n1 ',
    '~n1n',
    '~n--1',
    '~n1_0',
    '~n1.5',
    '~d+1',
    '~d1.5',
    '~d1e3',
    '~d0x1',
    '~d ',
    '~d1 ',
    '~d8640000000000001',
    '~d-8640000000000001',
    '~d99999999999999999',
    '~d-',
    '~d--1',
    '~dNaN',
    '~dx',
    '~d\u0661',
  ])
    t.is(judge(`T \t"${word}"`), 'error', word)
  t.deepEqual(codec.decode('T \t["~d8640000000000000","~d-8640000000000000","~d"]', 'key'), [
    new Date(8.64e15),
    new Date(-8.64e15),
    new Date(NaN),
  ])
  t.deepEqual(codec.decode('T \t["~f-0","~fNaN","~f-Infinity","~n0","~n-ff"]', 'key'), [
    -0,
    NaN,
    -Infinity,
    0n,
    -255n,
  ])
})

test('decoding 9: bytes have one spelling, and come back unchanged', (t) => {
  for (const text of [
    'A',
    'AA==',
    'AB',
    'A A',
    'AA\\n',
    'A*',
    'AAB',
    'AA+A',
    'AA/A',
    '-',
    'ü',
    'AAAA=',
    'AAAAA',
  ])
    for (const letter of ['b', 'u']) t.is(judge(`T \t"~${letter}${text}"`), 'error', text)
  const [buffer, bytes] = codec.decode('T \t["~bAQI","~uAQI"]', 'key') as [unknown, unknown]
  t.true(Buffer.isBuffer(buffer))
  t.is(Object.getPrototypeOf(bytes), Uint8Array.prototype)
})

test('decoding 9: a view on part of a buffer comes back as that part alone', (t) => {
  const ring = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]).buffer
  for (const view of [
    new DataView(ring, 3, 5),
    new Uint8Array(ring, 3, 5),
    Buffer.from(ring, 3, 5),
    new Int16Array(ring, 2, 3),
    new Float64Array(ring, 8, 1),
  ]) {
    const back = codec.decode(codec.encode(view, 'key'), 'key') as ArrayBufferView
    t.is(Object.getPrototypeOf(back), Object.getPrototypeOf(view))
    t.is(back.byteLength, view.byteLength)
    t.deepEqual(
      Buffer.from(back.buffer, back.byteOffset, back.byteLength),
      Buffer.from(view.buffer, view.byteOffset, view.byteLength),
    )
  }
})

test('decoding 9: views and buffers have a known type, a matching size and one spelling', (t) => {
  for (const json of [
    '["Uint32Array","AAA"]',
    '["BigInt64Array","AA"]',
    '["SharedArrayBuffer","AAAA"]',
    '["Object","AAAA"]',
    '["constructor","AAAA"]',
    '["Int8Array","AA=="]',
    '["Int8Array"]',
    '["Int8Array","AA","AA"]',
    '"Int8Array"',
    '[["Int8Array"],"AA"]',
    '["Int8Array",3000000000]',
    '["ArrayBuffer",2147483648]',
    '{"0":"Int8Array","1":"AA","length":2}',
    '["__proto__","AAAA"]',
  ])
    t.is(judge(leaf(MEMORY, json)), 'error', json)
  t.is(judge(leaf(MEMORY, '["Int16Array","AAA"]')), 'value')
})

test('decoding 10: a RegExp is short, has known flags and `lastIndex` 0, and is never executed', (t) => {
  const source = `/${'a'.repeat(1_000)}/`
  t.is(judge(leaf(REGEXP, JSON.stringify(source))), 'value')
  t.is(judge(leaf(REGEXP, JSON.stringify(`/${'a'.repeat(1_001)}/`))), 'error')
  for (const text of [
    '/a/x',
    '/a/gg',
    '/a/uv',
    '/a/constructor',
    '/(/',
    '/[/',
    '/a{2,1}/',
    '/+/',
    'a',
    '',
    '/a/g ',
    '/\\\\/',
  ])
    t.is(judge(leaf(REGEXP, `"${text}"`)), 'error', text)
  for (const json of ['null', '1', '["/a/"]', '{"source":"a"}'])
    t.is(judge(leaf(REGEXP, json)), 'error', json)
  const slow = codec.decode(leaf(REGEXP, '"/^(a+)+$/g"'), 'key') as RegExp
  t.is(slow.lastIndex, 0)
  t.is(judge(leaf(REGEXP, '"/^(a+)+$/"')), 'value')
})

test('decoding 11: a URL is parsed again, and its length is limited', (t) => {
  t.is(judge(leaf(URL_MARK, `"https://example.org/${'a'.repeat(8_000)}"`)), 'value')
  for (const text of [
    `https://example.org/${'a'.repeat(8_192)}`,
    '',
    'example.org',
    '/path',
    'https://',
    'http://[',
    '//x',
  ])
    t.is(judge(leaf(URL_MARK, JSON.stringify(text))), 'error', text.slice(0, 30))
  for (const json of ['null', '1', '[]', '{"href":"https://example.org"}'])
    t.is(judge(leaf(URL_MARK, json)), 'error', json)
})

test('decoding 5: a leaf must be in the list, and a reference must be to an earlier object', (t) => {
  const url = [URL_MARK, '"https://example.org/"'] as const
  for (const word of [
    '~s1',
    '~s-1',
    '~s',
    '~s0x0',
    '~s4294967296',
    '~s99999999999999999999',
    '~slength',
    '~s__proto__',
  ])
    t.is(judge(`S ${leaves(url)}\t\t"${word}"`), 'error', word)
  for (const word of ['~r1', '~r2', '~r-1', '~r', '~rlength', '~r__proto__', '~r99999999999999999999'])
    t.is(judge(`S \t\t["${word}",{}]`), 'error', word)
  t.is(judge('S \t\t["~r0",{}]'), 'value')
  t.is(judge('T \t[{},"~r0"]'), 'error')
  t.is(judge('T \t"~s0"'), 'error')
  t.is(judge('S \t\t"~r0"'), 'error')
})

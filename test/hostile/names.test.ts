import test from 'ava'
import { judge } from './verdict.ts'
import { Canary, codec, harm, pollution } from './world.ts'

const SPELLINGS = [
  '__proto__',
  String.raw`\u005f_proto__`,
  String.raw`_\u005Fproto__`,
  String.raw`__pr\u006fto__`,
  String.raw`__\u0070\u0072\u006F\u0074\u006f__`,
  String.raw`\u005F\u005F\u0070\u0072\u006F\u0074\u006F\u005F\u005F`,
]

const LEAVES = '{"json":["https://example.org/"],"meta":{"values":{"0":["URL"]},"v":1}}'

for (const [place, lineOf] of [
  ['plain JSON', (name) => `J {"${name}":{"admin":true}}`],
  ['plain JSON, deep', (name) => `J [{"a":[1,{"${name}":1}]}]`],
  ['an object', (name) => `T \t{"${name}":{"admin":"~"}}`],
  ['an object in a Map', (name) => `T \t["~Map","a",{"${name}":"~n1"}]`],
  ['an object without a prototype', (name) => `T \t["~Null",{"${name}":1}]`],
  ['a field', (name) => `T [["Canary",1,["name"]]]\t["~0",{"${name}":1}]`],
  ['a list of fields', (name) => `T [["Canary",1,["${name}"]]]\t["~0",{"admin":true}]`],
  ['a list of fields, among others', (name) => `T [["Canary",1,["name","${name}"]]]\t["~0",1,null]`],
  ['the state of an instance', (name) => `T [["Wallet",1,null]]\t["~0",{"coins":[],"${name}":1}]`],
  ['the fields of a class with encode', (name) => `T [["Wallet",1,["${name}"]]]\t["~0",1]`],
  ['the hidden fields of an error', (name) => `S \t\t["~Error","Error",{"${name}":1},{}]`],
  ['the shown fields of an error', (name) => `S \t\t["~Error","Error",{},{"${name}":1}]`],
  ['beside a reference', (name) => `S \t\t{"a":{},"${name}":"~r1"}`],
  ['the annotations of leaves', (name) => `S ${LEAVES.replace('"0"', `"${name}"`)}\t\t"~s0"`],
  ['beside the annotations of leaves', (name) => `S ${LEAVES.replace('"v"', `"${name}":{},"v"`)}\t\t"~s0"`],
  ['a class', (name) => `T [["${name}",1,["a"]]]\t["~0",1]`],
  ['an error', (name) => `S \t\t["~Error","${name}",{},{}]`],
] satisfies [string, (name: string) => string][]) {
  test(`decoding 1: __proto__ as ${place} is damage, in every spelling`, (t) => {
    for (const name of SPELLINGS) t.is(judge(lineOf(name)), 'error', name)
    t.is(pollution(), undefined)
  })
}

test('decoding 1: a name in base64url has one spelling, and is neither __proto__ nor a name that needs no encoding', (t) => {
  const spelled = (name: string): string => `~${Buffer.from(name, 'utf16le').toString('base64url')}`
  for (const name of [
    spelled('__proto__'),
    spelled('a'),
    '~',
    '~A',
    '~*',
    `${spelled('\n')}=`,
    spelled('\n').slice(0, -1),
  ]) {
    t.is(judge(`T \t{"a":"~","${name}":{"admin":true}}`), 'error', name)
    t.is(judge(`S \t\t["~Error","Error",{},{"${name}":{"admin":true}}]`), 'error', name)
  }
  t.deepEqual(codec.decode(`T \t{"${spelled('\n')}":1}`, 'key'), { '\n': 1 })
  t.is(judge(`T \t{"${spelled('~x')}":1,"~x":2}`), 'error')
})

test('decoding 1: __proto__ as a string value is accepted', (t) => {
  for (const name of SPELLINGS) {
    t.is(codec.decode(`J "${name}"`, 'key'), '__proto__')
    t.deepEqual(codec.decode(`T \t["~n1","${name}"]`, 'key'), [1n, '__proto__'])
    t.deepEqual(codec.decode(`T \t["~Map","${name}",1]`, 'key'), new Map([['__proto__', 1]]))
  }
})

test('security 61, decoding 1: names that every object inherits become own properties of plain objects', (t) => {
  const names = [
    'constructor',
    'prototype',
    'then',
    'toJSON',
    'toString',
    'valueOf',
    '__defineSetter__',
    'hasOwnProperty',
  ]
  for (const name of names) {
    for (const line of [`J {"${name}":{"prototype":{"a":1}}}`, `T \t{"${name}":{"prototype":"~n1"}}`]) {
      t.is(judge(line), 'value')
      const value: unknown = codec.decode(line, 'key')
      t.deepEqual(Object.getOwnPropertyNames(value), [name])
      t.is(Object.getPrototypeOf(value), Object.prototype)
    }
  }
  t.is(pollution(), undefined)
})

test('decoding 1: superjson follows no path: its annotations are indices of a flat list, and nothing else', (t) => {
  const url = '"https://example.org/"'
  const metas = [
    '{"values":{"__proto__.polluted":["URL"]},"v":1}',
    '{"values":{"constructor.prototype":["URL"]},"v":1}',
    '{"values":{"0.constructor":["URL"]},"v":1}',
    String.raw`{"values":{"0\\.a":["URL"]},"v":1}`,
    '{"values":{"0":["URL",{"__proto__":["URL"]}]},"v":1}',
    '{"values":{"0":["URL",{"a":["Date"]}]},"v":1}',
    '{"values":{"1":["URL"]},"v":1}',
    '{"values":{"00":["URL"]},"v":1}',
    '{"values":[["URL"]],"v":1}',
    '{"values":{"0":["URL"]},"referentialEqualities":{"0":["constructor.prototype.polluted"]},"v":1}',
    '{"values":{"0":["URL"]},"referentialEqualities":[["0"]],"v":1}',
    '{"referentialEqualities":{"0":["__proto__"]},"v":1}',
    '{"values":{"0":["URL"]},"v":2}',
    '{"values":{"0":["URL"]}}',
  ]
  for (const meta of metas) t.is(judge(`S {"json":[${url}],"meta":${meta}}\t\t"~s0"`), 'error', meta)
  for (const annotation of [
    '"Date"',
    '"map"',
    '"set"',
    '"bigint"',
    '"Error"',
    '"undefined"',
    '"symbol"',
    '["class","Canary"]',
    '["symbol","s"]',
    '["custom","x"]',
    '["typed-array","Uint8Array"]',
    '[["custom","memory"],"URL"]',
  ]) {
    const written = `{"json":[${url}],"meta":{"values":{"0":[${annotation}]},"v":1}}`
    t.is(judge(`S ${written}\t\t"~s0"`), 'error', annotation)
  }
  t.is(judge(`S ${LEAVES}\t\t"~s0"`), 'value')
  t.is(pollution(), undefined)
})

test('decoding 2: only a registered name is a class', (t) => {
  const names = [
    'Object',
    'Function',
    'Array',
    'Map',
    'Promise',
    'Proxy',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    'globalThis',
    'process',
    'canary',
    'Canary ',
    '',
    'null',
    'fs',
    'node:child_process',
  ]
  for (const name of names) {
    t.is(judge(`T [["${name}",1,["name"]]]\t["~0","x"]`), 'error', name)
    t.is(judge(`T [["${name}",1,null]]\t["~0","x"]`), 'error', name)
  }
  t.is(judge('T [["Canary",1,["name"]]]\t["~0","x"]'), 'value')
})

test('decoding 2: only the tokens of the grammar are accepted', (t) => {
  for (let code = 0x20; code < 0x7f; code++) {
    const letter = JSON.stringify(String.fromCharCode(code)).slice(1, -1)
    for (const line of [
      `T \t"~${letter}"`,
      `T \t["~${letter}"]`,
      `T \t["~${letter}x",{}]`,
      `S \t\t["~${letter}1"]`,
    ])
      t.notThrows(() => judge(line), line)
  }
  for (const word of ['~x', '~D0', '~function', '~symbol', '~H', '~h', '~r', '~s', '~e', '~ ', '~ü'])
    t.is(judge(`T \t"${word}"`), 'error', word)
  for (const head of [
    '~map',
    '~MAP',
    '~Object',
    '~Class',
    '~Function',
    '~Promise',
    '~Date',
    '~URL',
    '~-1',
    '~1',
    '~01',
    '~0x0',
    '~Constructor',
  ])
    t.is(judge(`T [["Canary",1,["name"]]]\t["${head}","a"]`), 'error', head)
})

test('decoding 2: a token that begins an array is damage elsewhere or with other parts', (t) => {
  for (const tree of [
    '["~Map",1]',
    '["~Null"]',
    '["~Null",[]]',
    '["~Null",{},{}]',
    '["~Null","~Null"]',
    '["~Error"]',
    '["~Error","Error",{}]',
    '["~Error","Error",[],{}]',
    '["~Error","Canary",{},{}]',
    '["~Error",["Error"],{},{}]',
    '["~Error","toString",{},{}]',
    '"~Map"',
    '"~0"',
    '{"~Map":"~0"}',
    '["~Map","~h",1]',
    '["~Set","~h"]',
    '{"a":"~h"}',
    '["~0"]',
  ])
    t.is(judge(`S \t[["Canary",1,["name"]]]\t${tree}`), 'error', tree)
})

test('decoding 2: a type table that the encoder would not write is damage', (t) => {
  const tables = [
    '{}',
    '0',
    '"Canary"',
    '[null]',
    '[[]]',
    '[["Canary"]]',
    '[["Canary",1]]',
    '[["Canary",1,[],0]]',
    '[[["Canary"],1,[]]]',
    '[["Canary","1",[]]]',
    '[["Canary",0,[]]]',
    '[["Canary",1.5,[]]]',
    '[["Canary",-1,[]]]',
    '[["Canary",1e999,[]]]',
    '[["Canary",1,{}]]',
    '[["Canary",1,"name"]]',
    '[["Canary",1,[1]]]',
    '[["Canary",1,[["name"]]]]',
    '[["Canary",1,["name","name"]]]',
    '[["Canary",2,["name"]]]',
    '[["Canary",1,null]]',
  ]
  for (const table of tables) t.is(judge(`T ${table}\t["~0","x"]`), 'error', table)
  for (const row of [
    '["~0"]',
    '["~0",1,2]',
    '["~1",1]',
    '["~00",1]',
    '["~0 ",1]',
    '["~4294967296",1]',
    '["~99999999999999999999",1]',
  ])
    t.is(judge(`T [["Canary",1,["name"]]]\t${row}`), row === '["~00",1]' ? 'value' : 'error', row)
})

test('decoding 3: no constructor, setter or method of a class runs, whatever the names of the fields', (t) => {
  const before = harm.constructed
  for (const name of ['role', 'isAdmin', 'promote', 'constructor', 'toString', 'admins', 'name', '']) {
    const line = `T [["Canary",1,[${JSON.stringify(name)}]]]\t["~0","~n1"]`
    try {
      const value = codec.decode(line, 'key')
      t.true(value instanceof Canary)
      t.is(Object.getPrototypeOf(value), Canary.prototype)
      t.deepEqual(Reflect.ownKeys(value as object), [name])
    } catch (error) {
      t.like(error, { code: 'ERR_SESSION_DECODE' })
    }
  }
  t.is(harm.constructed, before)
  t.is(pollution(), undefined)
})

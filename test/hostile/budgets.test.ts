import test, { type ExecutionContext } from 'ava'
import { defaultLimits, type Limits } from '../../src/codec/limits.ts'
import { Document } from '../../src/codec/document/document.ts'
import { ValueCodec } from '../../src/codec/value/value-codec.ts'
import { createRegistry, SessionError } from '../../src/index.ts'
import { bombs } from './bombs.ts'
import { payloadOf, payloads, use } from './payloads.ts'
import { type Work, workOf } from './work.ts'
import { Canary, codec, pollution, registry, Wallet } from './world.ts'

const header = { version: 'AbCdEfGhIjKlMnOp', createdAt: 0, attributes: new Map<string, string>() }

function withLimits(limits: Partial<Limits>): ValueCodec {
  return new ValueCodec(registry, { ...defaultLimits, ...limits })
}

/** More steps, and characters looked at, than these for each character of a text mean that some are looked at in vain. */
const STEPS = 12
const LOOKS = 12
/** A payload is searched for its first keys, from the first to the last character each time, before an index is made. */
const LOOKS_AT_PAYLOAD = 25
/** What short texts may take besides. */
const BASE = 10_000

function checkWork(
  t: ExecutionContext,
  { steps, characters, patterns, urls }: Work,
  length: number,
  looks = LOOKS,
): void {
  t.true(steps <= STEPS * length + BASE, `${steps} steps for ${length} characters`)
  t.true(characters <= looks * length + BASE, `${characters} looks at ${length} characters`)
  t.true(patterns <= 100, `${patterns} patterns`)
  t.true(urls <= 2_000, `${urls} URLs`)
}

for (const { name, make, fate } of bombs) {
  const outcome = fate === 'value' ? 'a value within its limits' : 'an ERR_SESSION_DECODE'
  test(`decoding 4: ${name}: ${outcome}, with no more work than the length of the text allows`, (t) => {
    const line = make()
    let value: unknown
    let failure: unknown
    const work = workOf(() => {
      try {
        value = codec.decode(line, 'key')
      } catch (error) {
        failure = error
      }
    })
    checkWork(t, work, line.length)
    t.is(pollution(), undefined)
    if (fate === 'value') {
      t.is(failure, undefined)
      let again = ''
      const written = workOf(() => (again = codec.encode(value, 'key')))
      t.not(again, '')
      checkWork(t, written, line.length)
    } else {
      t.true(failure instanceof SessionError)
      t.like(failure, { code: 'ERR_SESSION_DECODE' })
    }
  })
}

for (const { name, make, fate } of payloads) {
  test(`F17, security 50, decoding 4: a payload with ${name}: ${fate}, with no more work than its length allows`, (t) => {
    const payload = make()
    let code: unknown = 'read'
    const work = workOf(() => {
      try {
        use(payload)
      } catch (error) {
        code = error instanceof SessionError ? error.code : error
      }
    })
    t.is(code, fate)
    checkWork(t, work, payload.length, LOOKS_AT_PAYLOAD)
  })
}

test('decoding 10: no regular expression is compiled from stored text unless the program allows it', (t) => {
  const careful = new ValueCodec(createRegistry(), defaultLimits)
  const line = codec.encode([/a+/g, new URL('https://example.org/')], 'key')
  t.deepEqual(codec.decode(line, 'key'), [/a+/g, new URL('https://example.org/')])
  const { patterns } = workOf(() =>
    t.throws(() => careful.decode(line, 'key'), {
      code: 'ERR_SESSION_DECODE',
      message: /it has a RegExp; the program allows it with registerType\(RegExp\)$/,
    }),
  )
  t.is(patterns, 0)
  t.throws(() => careful.encode({ list: [/a+/g] }, 'key'), {
    code: 'ERR_SESSION_VALUE',
    message: 'key.list[0]: a RegExp cannot be stored unless the program allows it with registerType(RegExp)',
  })
})

test('decoding 10: a RegExp with the flag `v` is refused, whether or not the program allows others', (t) => {
  const sets = new RegExp(String.raw`[\p{L}--[a-z]]`, 'v')
  t.throws(() => codec.encode(sets, 'key'), { code: 'ERR_SESSION_VALUE', message: /flag `v`/ })
  for (const flags of ['v', 'gv', 'iv', 'uv']) {
    const line = `S {"json":["/a/${flags}"],"meta":{"values":{"0":["regexp"]},"v":1}}\t\t"~s0"`
    const { patterns } = workOf(() =>
      t.throws(() => codec.decode(line, 'key'), { code: 'ERR_SESSION_DECODE' }),
    )
    t.is(patterns, 0)
  }
})

test('decoding 10, decoding 11: the budgets of regular expressions and URLs apply exactly, in both encoding and decoding', (t) => {
  const pattern = (n: number, length: number): RegExp => new RegExp(String(n).padEnd(length, 'a'))
  const url = (length: number): URL => new URL('https://example.org/'.padEnd(length, 'a'))
  const times = <T>(count: number, make: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, n) => make(n))
  const cases: readonly (readonly [name: string, fits: unknown[], exceeds: unknown[]])[] = [
    ['patterns', times(100, (n) => pattern(n, 9)), times(101, (n) => pattern(n, 9))],
    ['a pattern', [pattern(1, 1_000)], [pattern(1, 1_001)]],
    [
      'text of patterns',
      times(5, (n) => pattern(n, 1_000)),
      times(6, (n) => pattern(n, n === 5 ? 1 : 1_000)),
    ],
    ['Unicode classes', times(25, () => /\p{L}\P{L}/u), times(26, () => /\p{L}\P{L}/u)],
    ['URLs', times(1_000, () => url(30)), times(1_001, () => url(30))],
    ['a URL', [url(8_192)], [url(8_193)]],
    ['text of URLs', times(10, () => url(5_000)), times(11, (n) => url(n === 10 ? 30 : 5_000))],
    ['host names', [new URL(`https://${'a.'.repeat(127)}a/`)], [new URL(`https://${'a.'.repeat(128)}a/`)]],
    ['views', times(1_000, () => new Int8Array(1)), times(1_001, () => new Int8Array(1))],
    [
      'errors',
      times(1_500, () => Object.assign(new Error('x'), { a: 1 })),
      times(1_501, () => Object.assign(new Error('x'), { a: 1 })),
    ],
    [
      'encoded names',
      [Object.fromEntries(times(2_000, (n) => [`\n${n}`, 1]))],
      [Object.fromEntries(times(2_001, (n) => [`\n${n}`, 1]))],
    ],
  ]
  for (const [name, fits, exceeds] of cases) {
    t.deepEqual(codec.decode(codec.encode(fits, 'key'), 'key'), fits, name)
    const error = t.throws(() => codec.encode(exceeds, 'key'), { instanceOf: SessionError }, name)
    t.regex(error?.code ?? '', /^ERR_SESSION_(?:LIMIT|VALUE)$/, name)
  }
})

test('decoding 11: of all texts of a URL only its `href` is accepted', (t) => {
  const decode = (text: string): unknown =>
    codec.decode(`S {"json":[${JSON.stringify(text)}],"meta":{"values":{"0":["URL"]},"v":1}}\t\t"~s0"`, 'key')
  for (const text of [
    'https://example.org/',
    'https://xn--grn-ioa.example/',
    'data:text/plain,a b',
    'mailto:a@b',
    'file:///a',
  ])
    t.is(String(decode(text)), text)
  for (const text of [
    'https://example.org',
    'HTTPS://example.org/',
    'https://EXAMPLE.org/',
    'https://grün.example/',
    'https://example.org/ü',
    'https://example.org/a/../b',
    'https://example.org:443/',
    ' https://example.org/',
    'https://exa\tmple.org/',
    'https://0x7f.1/',
    'example.org',
    '',
  ])
    t.throws(() => decode(text), { code: 'ERR_SESSION_DECODE' }, text)
})

test('decoding 4: numbers as keys and members are limited, because they can be chosen to share one hash bucket', (t) => {
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
  const bigints = (count: number): bigint[] => numbers(count).map((n) => BigInt(n))
  const halves = (count: number): [number, number][] => numbers(count).map((n) => [n + 0.5, n])
  for (const value of [
    new Set(numbers(2_000)),
    new Map(halves(2_000)),
    new Set(bigints(666)),
    numbers(40_000),
  ])
    t.deepEqual(codec.decode(codec.encode(value, 'key'), 'key'), value)
  for (const value of [new Set(numbers(2_001)), new Map(halves(2_001)), new Set(bigints(667))])
    t.throws(() => codec.encode(value, 'key'), { code: 'ERR_SESSION_LIMIT' })
  t.throws(() => codec.encode([new Set(numbers(1_001)), new Map(halves(1_000))], 'key'), {
    code: 'ERR_SESSION_LIMIT',
  })
})

test('decoding 4: each limit applies exactly, in both encoding and decoding', (t) => {
  const nested = (depth: number): unknown => {
    let value: unknown = 1n
    for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : new Map([[1, value]])
    return value
  }
  const cases: [Partial<Limits>, fits: unknown, exceeds: unknown][] = [
    [{ depth: 5 }, nested(5), nested(6)],
    [{ depth: 1 }, new Canary(), [new Canary()]],
    [{ depth: 2 }, { a: [] }, { a: [[]] }],
    [{ depth: 2 }, [Wallet.of()].map(() => [1n]), [Wallet.of()]],
    [{ nodes: 3 }, [[], new Date(0)], [[], new Date(0), Buffer.alloc(0)]],
    [{ nodes: 3 }, [1n, [], []], [1n, [], [], []]],
    [{ nodes: 2 }, new Map([[{}, 1]]), new Map([[{}, {}]])],
    [{ names: 3 }, { a: { b: 1 }, c: 2 }, { a: { b: 1 }, c: 2, d: 3 }],
    [{ names: 3 }, { a: 1n, b: [{ c: 1 }] }, { a: 1n, b: [{ c: 1, d: 1 }] }],
    [{ names: 2 }, [Wallet.of(), Wallet.of(), new Canary()], [Wallet.of(), Wallet.of(), Wallet.of()]],
    [{ names: 2 }, Object.assign(new Error('x'), { a: 1 }), Object.assign(new Error('x'), { a: 1, b: 1 })],
    [{ names: 1 }, [new URL('a:b'), new URL('a:c'), { a: 1 }], [new URL('a:b'), { a: 1, b: 2 }]],
    [{ bigintDigits: 3 }, 0xfffn, 0x1000n],
    [{ bigintDigits: 3 }, -0xfffn, -0x1000n],
    [{ bigintDigits: 20 }, 16n ** 20n - 1n, 16n ** 20n],
    [{ keyBytes: 10 }, 'x'.repeat(6), 'x'.repeat(7)],
    [{ keyBytes: 10 }, 'ü'.repeat(3), 'ü'.repeat(4)],
    [{ keyBytes: 10 }, Buffer.alloc(2), Buffer.alloc(3)],
  ]
  for (const [limits, fits, exceeds] of cases) {
    const tight = withLimits(limits)
    t.notThrows(() => tight.decode(tight.encode(fits, 'key'), 'key'), JSON.stringify(limits))
    t.throws(() => tight.encode(exceeds, 'key'), { code: 'ERR_SESSION_LIMIT' }, JSON.stringify(limits))
    t.throws(
      () => tight.decode(codec.encode(exceeds, 'key'), 'key'),
      { code: 'ERR_SESSION_DECODE' },
      JSON.stringify(limits),
    )
  }
})

test('decoding 5: references create no new objects, so a small text cannot expand', (t) => {
  let line = '{}'
  for (let level = 0, number = 1; level < 40; level++, number++) line = `[${line},"~r${40 - level}"]`
  const laughs = `S \t\t${line}`
  const value: unknown = codec.decode(laughs, 'key')
  const seen = new Set<unknown>()
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || seen.has(part)) return
    seen.add(part)
    for (const inner of Object.values(part ?? {})) visit(inner)
  }
  visit(value)
  t.is(seen.size, 41)
  t.is(codec.encode(value, 'key'), laughs)
})

test('decoding 4: a class decodes no more instances than the limit of objects allows', (t) => {
  class Coin {
    readonly value = 1
  }
  let made = 0
  const coins = createRegistry()
  const decode = (): Coin => {
    made++
    return new Coin()
  }
  coins.registerType(Coin, { encode: () => null, decode })
  const tight = new ValueCodec(coins, { ...defaultLimits, nodes: 100 })
  const line = (count: number): string => `T [["Coin",1,null]]\t[${'["~0",null],'.repeat(count)}0]`
  tight.decode(line(99), 'key')
  t.is(made, 99)
  t.throws(() => tight.decode(line(10_000), 'key'), { code: 'ERR_SESSION_DECODE' })
  t.is(made, 198)
})

test('decoding 4: a key with ten thousand lines is replaced as fast as any other', (t) => {
  const body = '"a" J 1\n'.repeat(10_000)
  const document = Document.parse(`kts1 AbCdEfGhIjKlMnOp 0 ${body.length}\n${body}`, defaultLimits)
  // Searching for the key again at every line would take a hundred million steps.
  const next = document.write(document.header, new Map([['a', 'J 2']]), defaultLimits)
  t.is(Document.parse(next, defaultLimits).line('a'), 'J 2')
  t.is(next.split('\n').length, 3)
})

test('F17, security 50, decoding 4: a payload over its limits is an error, not a crash', (t) => {
  const version = 'AbCdEfGhIjKlMnOp'
  t.throws(() => use(payloadOf('x'.repeat(2_000_000))), { code: 'ERR_SESSION_LIMIT' })
  t.throws(() => use(payloadOf(`"${'\\'.repeat(1_000_000)}`)), { code: 'ERR_SESSION_PAYLOAD' })
  for (const length of ['9999999999999999', '99999999999999999', '-1', '1e9', '0x10', ' 5', '٣'])
    t.throws(() => Document.parse(`kts1 ${version} 0 ${length}\n"a" J 1\n`, defaultLimits), {
      code: 'ERR_SESSION_PAYLOAD',
    })
  for (const attributes of [
    ' a=',
    ' a=1 a=2',
    ` a=${'x'.repeat(1_000_000)}`,
    ' a=b'.repeat(250_000),
    ' __proto__=1',
    ' a',
    ' =',
    '  a=1',
  ])
    t.notThrows(() => {
      try {
        const document = Document.parse(`kts1 ${version} 0 8${attributes}\n"a" J 1\n`, defaultLimits)
        t.is(document.line('a'), 'J 1')
      } catch (error) {
        if (!(error instanceof SessionError)) throw error
      }
    })
})

test('decoding 4: the number and the length of keys are limited when a session is written', (t) => {
  const document = Document.empty(header)
  const many = new Map(Array.from({ length: 1_001 }, (_, index) => [`k${index}`, 'J 1']))
  t.throws(() => document.write(header, many, defaultLimits), { code: 'ERR_SESSION_LIMIT' })
  t.throws(() => document.write(header, new Map([['k'.repeat(129), 'J 1']]), defaultLimits), {
    code: 'ERR_SESSION_LIMIT',
  })
  many.delete('k0')
  t.notThrows(() => document.write(header, many, defaultLimits))
})

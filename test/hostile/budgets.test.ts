import test from 'ava'
import { defaultLimits, type Limits } from '../../src/codec/limits.ts'
import { Document } from '../../src/codec/document/document.ts'
import { ValueCodec } from '../../src/codec/value/value-codec.ts'
import { createRegistry, SessionError } from '../../src/index.ts'
import { bombs } from './bombs.ts'
import { Canary, codec, pollution, registry, Wallet } from './world.ts'

const header = { version: 'AbCdEfGhIjKlMnOp', createdAt: 0, attributes: new Map<string, string>() }

function withLimits(limits: Partial<Limits>): ValueCodec {
  return new ValueCodec(registry, { ...defaultLimits, ...limits })
}

for (const { name, make, fate } of bombs) {
  test(`decoding 4: ${name}: ${fate === 'value' ? 'a value within its limits' : 'an ERR_SESSION_DECODE'}`, (t) => {
    const line = make()
    try {
      codec.decode(line, 'key')
      t.is(fate, 'value')
    } catch (error) {
      t.true(error instanceof SessionError)
      t.like(error, { code: 'ERR_SESSION_DECODE' })
      t.is(fate, 'error', String(error))
    }
    t.is(pollution(), undefined)
  })
}

test('decoding 4: numbers as keys and members are limited, because they can be chosen to share one hash bucket', (t) => {
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
  const bigints = (count: number): bigint[] => numbers(count).map((n) => BigInt(n))
  const halves = (count: number): [number, number][] => numbers(count).map((n) => [n + 0.5, n])
  for (const value of [
    new Set(numbers(5_000)),
    new Map(halves(5_000)),
    new Set(bigints(1_666)),
    numbers(50_000),
  ])
    t.deepEqual(codec.decode(codec.encode(value, 'key'), 'key'), value)
  for (const value of [new Set(numbers(5_001)), new Map(halves(5_001)), new Set(bigints(1_667))])
    t.throws(() => codec.encode(value, 'key'), { code: 'ERR_SESSION_LIMIT' })
  t.throws(() => codec.encode([new Set(numbers(2_501)), new Map(halves(2_500))], 'key'), {
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

test('decoding 4: a key with a hundred thousand lines is replaced as fast as any other', (t) => {
  const body = '"a" J 1\n'.repeat(100_000)
  const document = Document.parse(`kts1 AbCdEfGhIjKlMnOp 0 ${body.length}\n${body}`, defaultLimits)
  // Searching for the key again at every line would take minutes, beyond the timeout of the test.
  const next = document.write(document.header, new Map([['a', 'J 2']]), defaultLimits)
  t.is(Document.parse(next, defaultLimits).line('a'), 'J 2')
  t.is(next.split('\n').length, 3)
})

test('F17, security 50, decoding 4: a payload over its limits is an error, not a crash', (t) => {
  const version = 'AbCdEfGhIjKlMnOp'
  const bodies: [body: string, code: string | undefined][] = [
    ['x'.repeat(2_000_000), 'ERR_SESSION_LIMIT'],
    ['"a" J 1\n'.repeat(100_000), undefined],
    ['\n'.repeat(1_000_000), undefined],
    [`"${'\\'.repeat(1_000_000)}`, 'ERR_SESSION_PAYLOAD'],
    [`${'"\\"'.repeat(300_000)}\n`, undefined],
    ['"x\n'.repeat(250_000), undefined],
    ['"\\x" \n'.repeat(150_000), undefined],
    [`"${'k'.repeat(1_000_000)}" J 1\n`, undefined],
    [Array.from({ length: 60_000 }, (_, index) => `"${index}" J 1\n`).join(''), undefined],
  ]
  for (const [body, code] of bodies) {
    const payload = `kts1 ${version} 0 ${body.length}\n${body}`
    const use = (): unknown => {
      const document = Document.parse(payload, defaultLimits)
      document.line('b')
      return document.keys()
    }
    if (code === undefined) t.notThrows(use)
    else t.throws(use, { code })
  }
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

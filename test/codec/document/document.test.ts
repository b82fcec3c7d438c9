import test from 'ava'
import { checksum } from '../../../src/codec/document/checksum.ts'
import { createVersion, Document, type Header } from '../../../src/codec/document/document.ts'
import { defaultLimits } from '../../../src/codec/limits.ts'
import { SessionError } from '../../../src/errors.ts'
import { Mutator } from '../../hostile/mutator.ts'

const header: Header = { version: 'AAAAaaaa0000-_-_', createdAt: 1_760_000_000_000, attributes: new Map() }

function write(lines: Record<string, string>): string {
  return Document.empty(header).write(header, new Map(Object.entries(lines)), defaultLimits)
}

function read(payload: string): Document {
  return Document.parse(payload, defaultLimits)
}

/** The lines of a payload, without the header. */
function bodyOf(payload: string): string {
  return payload.slice(payload.indexOf('\n') + 1)
}

/** A payload around any body, with the right length. */
function payloadOf(body: string): string {
  return `kts1 ${header.version} 5 ${body.length}\n${body}`
}

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    return error instanceof SessionError ? error.code : `no SessionError: ${String(error)}`
  }
  return 'nothing was thrown'
}

test('a payload is a header line and a line per key', (t) => {
  const payload = write({ userId: 'J 4711', cart: 'T \t"~d5"' })
  t.is(
    payload,
    'kts1 AAAAaaaa0000-_-_ 1760000000000 52 #86195e2c\n"userId" J 4711 #39ff8cb0\n"cart" T \t"~d5" #aa2a9498\n',
  )
})

test('what was written is read', (t) => {
  const document = read(write({ userId: 'J 4711', cart: 'T \t"~d5"' }))
  t.deepEqual(document.header, header)
  t.deepEqual(document.keys(), ['userId', 'cart'])
  t.is(document.size, 2)
  t.is(document.line('userId'), 'J 4711')
  t.is(document.line('cart'), 'T \t"~d5"')
  t.true(document.has('cart'))
  t.is(document.line('user'), undefined)
  t.false(document.has('Id'))
})

test('one key has the same value before and after all keys were read', (t) => {
  const document = read(write({ 'a b': 'J 1', 'ä"\\\n\ud800': 'J 2' }))
  const before = ['a b', 'ä"\\\n\ud800', 'a'].map((key) => [document.has(key), document.line(key)])
  t.is(document.size, 2)
  const after = ['a b', 'ä"\\\n\ud800', 'a'].map((key) => [document.has(key), document.line(key)])
  t.deepEqual(before, [
    [true, 'J 1'],
    [true, 'J 2'],
    [false, undefined],
  ])
  t.deepEqual(after, before)
})

const ODD_KEYS = [
  '',
  ' ',
  '"',
  '\\',
  '\\"',
  'a\nb',
  '\u0000',
  '\u2028',
  'é',
  '𝄞',
  '\ud800',
  '__proto__',
  ' J ',
  '"a" J 1',
]

test('any string can be a key', (t) => {
  for (const key of ODD_KEYS) {
    const lines = new Map([
      ['before', 'J 1'],
      [key, 'J 2'],
      ['after', 'J 3'],
    ])
    const document = read(Document.empty(header).write(header, lines, defaultLimits))
    t.is(document.line(key), 'J 2')
    t.deepEqual(document.keys(), ['before', key, 'after'])
    t.is(document.line(key), 'J 2')
    const next = read(document.write(header, new Map([[key, 'J 22']]), defaultLimits))
    t.is(next.line(key), 'J 22')
    t.is(next.size, 3)
  }
})

test('a session can have no keys', (t) => {
  const payload = write({})
  t.is(payload, 'kts1 AAAAaaaa0000-_-_ 1760000000000 0 #b58c7c4b\n')
  t.deepEqual(read(payload).keys(), [])
  t.is(Document.empty(header).size, 0)
  t.is(Document.empty(header).line('a'), undefined)
})

test('a write keeps changed lines in place, drops removed ones, appends new ones and copies all others', (t) => {
  const document = read(payloadOf('"a" J 1\n"b" S not even read\n"c" J 3\n"d" T \tbroken\n'))
  const next = document.write(
    header,
    new Map([
      ['e', 'J 5'],
      ['c', 'J 33'],
      ['a', undefined],
      ['gone', undefined],
    ]),
    defaultLimits,
  )
  t.is(bodyOf(next), '"b" S not even read\n"c" J 33 #68d59d9c\n"d" T \tbroken\n"e" J 5 #387e52ef\n')
  t.is(document.line('a'), 'J 1')
})

test('a write without changes changes only the header', (t) => {
  const payload = write({ a: 'J 1', b: 'J 2' })
  const next = read(payload).write({ ...header, version: createVersion() }, new Map(), defaultLimits)
  t.is(bodyOf(next), bodyOf(payload))
  t.not(next.slice(0, 21), payload.slice(0, 21))
})

test('attributes of the header are preserved', (t) => {
  const attributes = new Map([
    ['regenerated', '1760000000000'],
    ['later-invented', 'a=b,c'],
    ['empty', ''],
  ])
  const payload = Document.empty({ ...header, attributes }).write(
    { ...header, attributes },
    new Map(),
    defaultLimits,
  )
  t.deepEqual(read(payload).header.attributes, attributes)
})

test('a header that could not be read again is not written', (t) => {
  const writeWith = (changed: Partial<Header>): string =>
    codeOf(() => Document.empty(header).write({ ...header, ...changed }, new Map(), defaultLimits))
  t.is(writeWith({ attributes: new Map([['a', 'b c']]) }), 'ERR_SESSION_VALUE')
  t.is(writeWith({ attributes: new Map([['a', 'b\nc']]) }), 'ERR_SESSION_VALUE')
  t.is(writeWith({ attributes: new Map([['A', 'b']]) }), 'ERR_SESSION_VALUE')
  t.is(writeWith({ version: 'short' }), 'ERR_SESSION_VALUE')
  t.is(writeWith({ createdAt: -1 }), 'ERR_SESSION_VALUE')
  t.is(writeWith({ createdAt: 1.5 }), 'ERR_SESSION_VALUE')
})

test('a payload cut anywhere is damaged', (t) => {
  const payload = write({ a: 'J 1', b: 'J "x"', c: 'J 3' })
  for (let length = 0; length < payload.length; length++) {
    t.is(
      codeOf(() => read(payload.slice(0, length))),
      'ERR_SESSION_PAYLOAD',
      `after ${length}`,
    )
  }
  t.is(
    codeOf(() => read(`${payload} `)),
    'ERR_SESSION_PAYLOAD',
  )
  t.is(
    codeOf(() => read(`${payload}\n`)),
    'ERR_SESSION_PAYLOAD',
  )
})

test('a foreign payload and one of a newer format have the same code as a damaged one, and other messages', (t) => {
  const ours = write({ a: 'J 1' })
  for (const payload of [
    '',
    '\n',
    '{}',
    'kts1',
    ours.slice(1),
    ours.replace('kts1', 'KTS1'),
    ours.replace('\n', '\r\n'),
  ]) {
    t.is(
      codeOf(() => read(payload)),
      'ERR_SESSION_PAYLOAD',
      JSON.stringify(payload),
    )
  }
  const newer = t.throws(() => read(ours.replace('kts1', 'kts2')), { instanceOf: SessionError })
  t.is(newer.code, 'ERR_SESSION_PAYLOAD')
  t.regex(newer.message, /newer/)
})

test('a header with an additional or malformed field is damaged', (t) => {
  for (const line of [
    'kts1 AAAAaaaa0000-_-_ 5 0 ',
    'kts1 AAAAaaaa0000-_-_ 5  0',
    'kts1 AAAAaaaa0000-_-_ 05 0',
    'kts1 AAAAaaaa0000-_-_ -5 0',
    'kts1 AAAAaaaa0000-_-_ 5e3 0',
    'kts1 AAAAaaaa0000-_-+ 5 0',
    'kts1 AAAAaaaa0000-_- 5 0',
    'kts1 AAAAaaaa0000-_-_ 5 0 a',
    'kts1 AAAAaaaa0000-_-_ 5 0 =a',
    'kts1 AAAAaaaa0000-_-_ 5 0 a=1 a=2',
    'kts1 AAAAaaaa0000-_-_ 99999999999999999 0',
  ]) {
    t.is(
      codeOf(() => read(`${line}\n`)),
      'ERR_SESSION_PAYLOAD',
      line,
    )
  }
})

test('a line whose key cannot be read belongs to no key, and is copied unchanged', (t) => {
  for (const line of [
    '',
    'a J 1',
    '"a"',
    '"a J 1',
    '"a\\" J 1',
    '"\\u0061" J 1',
    '"\\x" J 1',
    '"\t" J 1',
    '"\ud800" J 1',
    '5 J 1',
    ' "a" J 1',
    '"a" J 1 #a482d4e0'.replace('" ', '"_'),
  ]) {
    const document = read(payloadOf(`"x" J 1\n${line}\n"y" J 2\n`))
    t.deepEqual([document.keys(), document.damaged], [['x', 'y'], true], JSON.stringify(line))
    t.deepEqual([document.line('x'), document.line('a'), document.line('y')], ['J 1', undefined, 'J 2'])
    const changes = new Map([
      ['x', 'J 3'],
      ['z', 'J 4'],
      ['y', undefined],
    ])
    const [first, carried, ...last] = bodyOf(document.write(header, changes, defaultLimits)).split('\n')
    t.deepEqual(
      [first?.slice(0, 7), carried, last[0]?.slice(0, 7), last.length],
      ['"x" J 3', line, '"z" J 4', 2],
    )
    t.is(bodyOf(document.write(header, new Map(), defaultLimits, true)), '"x" J 1\n"y" J 2\n')
  }
})

test('a line whose value cannot be read keeps its key, and is copied unchanged', (t) => {
  for (const value of ['', ' J 1', 'X 1', 'J1', 'JJ 1', 'J 1 #00000000', 'J 1 #a482d4e', 'J 1 #A482D4E0']) {
    const document = read(payloadOf(`"a" ${value}\n"b" J 2\n`))
    t.deepEqual(document.keys(), ['a', 'b'])
    t.is(document.line('a'), value)
    t.is(read(payloadOf(`"a" ${value}\n`)).line('a'), value)
    t.true(
      bodyOf(document.write(header, new Map([['b', 'J 3']]), defaultLimits)).startsWith(`"a" ${value}\n`),
    )
    t.is(bodyOf(document.write(header, new Map([['a', undefined]]), defaultLimits)), '"b" J 2\n')
  }
})

test('a line without a checksum is accepted, one with a wrong checksum is not decoded', (t) => {
  const summed = bodyOf(write({ a: 'J 1' }))
  t.is(summed, '"a" J 1 #a482d4e0\n')
  t.is(read(payloadOf(summed)).line('a'), 'J 1')
  t.is(read(payloadOf('"a" J 1\n')).line('a'), 'J 1')
  t.false(read(payloadOf(`${summed}"b" J 2\n`)).damaged)
  for (const damage of [summed.replace('1', '2'), summed.replace('a"', 'c"'), summed.replace('e0', 'e1')]) {
    const document = read(payloadOf(damage))
    const [key = ''] = document.keys()
    t.regex(document.line(key) ?? '', /^J \d #a482d4e[01]$/)
    t.true(document.damaged)
  }
})

test('of two lines with one key the intact one wins, and two intact ones make the key undecodable until it is written again', (t) => {
  const sound = '"a" J 1 #a482d4e0\n'
  const broken = '"a" J 2 #a482d4e0\n'
  for (const body of [sound + broken, broken + sound]) {
    const document = read(payloadOf(`${body}"b" J 2\n`))
    t.is(document.line('a'), 'J 1')
    t.deepEqual([document.keys(), document.line('a'), document.damaged], [['a', 'b'], 'J 1', true])
    const next = document.write(header, new Map([['a', undefined]]), defaultLimits)
    t.is(bodyOf(next), `${broken}"b" J 2\n`)
  }
  for (const body of ['"a" J 1\n"b" J 2\n"a" J 3\n', `${broken}"b" J 2\n${broken}`]) {
    const document = read(payloadOf(body))
    t.is(document.line('a'), '\n')
    t.deepEqual([document.keys(), document.line('a'), document.line('b')], [['a', 'b'], '\n', 'J 2'])
    t.true(document.has('a'))
    const other = document.write(header, new Map([['b', undefined]]), defaultLimits)
    t.is(bodyOf(other), body.replace('"b" J 2\n', ''))
    t.is(bodyOf(document.write(header, new Map([['a', 'J 1']]), defaultLimits)), `${sound}"b" J 2\n`)
    t.is(bodyOf(document.write(header, new Map([['a', undefined]]), defaultLimits)), '"b" J 2\n')
  }
})

test('a few changes make the same payload whether their keys are searched for or all lines are read', (t) => {
  const keys = ['a', 'ab', 'abcdefgh', 'abcdefghi', '', ' ', 'a"b', 'a\\"', '\n', 'ü', '"', 'J']
  // Removing missing keys changes nothing, but with this many all lines are read.
  const absent = Array.from({ length: 10 }, (_, index): [string, undefined] => [`absent ${index}`, undefined])
  const body = bodyOf(write(Object.fromEntries(keys.map((key) => [key, JSON.stringify(`J "${key}" `)]))))
  const [first = '', ...rest] = body.split(/(?<=\n)/)
  const damaged = [
    body,
    body + first,
    `${body}"a J 1\n`,
    `"ab" J 2 #00000000\n${body}`,
    [first, 'x\n', ...rest].join(''),
  ]
  for (const document of damaged.map((text) => read(payloadOf(text)))) {
    for (const key of keys) {
      for (const line of ['J 1', undefined]) {
        const changes: [string, string | undefined][] = [
          [key, line],
          ['new', 'J 2'],
          ['ab', undefined],
        ]
        t.is(
          document.write(header, new Map(changes), defaultLimits),
          document.write(header, new Map([...changes, ...absent]), defaultLimits),
        )
      }
    }
  }
  t.is(damaged.length, 5)
})

test('a header with a wrong checksum is damaged, one without a checksum is accepted', (t) => {
  const payload = Document.empty(header).write(
    { ...header, attributes: new Map([['a', 'b']]) },
    new Map(),
    defaultLimits,
  )
  t.regex(payload, /^kts1 \S+ 1760000000000 0 #\w{8} a=b\n$/)
  t.deepEqual(read(payload.replace(/ #\w+/, '')).header, read(payload).header)
  for (const damage of [
    payload.replace('1760', '1761'),
    payload.replace('AAAA', 'AAAB'),
    payload.replace('a=b', 'a=c'),
    payload.replace(' a=b', ''),
    payload.replace('#', '#f').replace(/(#\w{8})\w/, '$1'),
  ])
    t.is(
      codeOf(() => read(damage)),
      'ERR_SESSION_PAYLOAD',
      damage,
    )
})

test('the limits apply when a payload is written and when it is read', (t) => {
  const limits = { ...defaultLimits, bytes: 100, keys: 2, keyLength: 3 }
  const writeWithin = (lines: Record<string, string>): string =>
    codeOf(() => Document.empty(header).write(header, new Map(Object.entries(lines)), limits))
  t.is(writeWithin({ abc: 'J 1', b: 'J 2' }), 'nothing was thrown')
  t.is(writeWithin({ abcd: 'J 1' }), 'ERR_SESSION_LIMIT')
  t.is(writeWithin({ a: 'J 1', b: 'J 2', c: 'J 3' }), 'ERR_SESSION_LIMIT')
  t.is(writeWithin({ a: `J "${'x'.repeat(60)}"` }), 'ERR_SESSION_LIMIT')
  t.is(writeWithin({ a: `J "${'ä'.repeat(40)}"` }), 'ERR_SESSION_LIMIT')
  t.is(
    codeOf(() => Document.parse(write({ a: `J "${'ä'.repeat(40)}"` }), limits)),
    'ERR_SESSION_LIMIT',
  )
})

test('an existing key that exceeds a lowered length limit can still be changed and removed', (t) => {
  const document = read(write({ abcdef: 'J 1' }))
  const limits = { ...defaultLimits, keyLength: 3 }
  t.regex(document.write(header, new Map([['abcdef', 'J 2']]), limits), /\n"abcdef" J 2 #\w{8}\n$/)
  t.is(bodyOf(document.write(header, new Map([['abcdef', undefined]]), limits)), '')
})

test('versions are 96 random bits in base64url', (t) => {
  const versions = new Set(Array.from({ length: 5_000 }, createVersion))
  t.is(versions.size, 5_000)
  for (const version of versions) t.regex(version, /^[\w-]{16}$/)
})

test('no error shows a key or a value', (t) => {
  const secret = 'hunter2'
  const payloads = [`${payloadOf('')}${secret}`, `kts9 ${secret}\n`, secret]
  for (const payload of payloads) {
    const error = t.throws(() => read(payload).keys(), { instanceOf: SessionError })
    t.false(error.message.includes(secret))
  }
})

test('a header has at most 16,384 characters, when it is written and when it is read', (t) => {
  const attributes = (length: number): Header => ({
    ...header,
    attributes: new Map([['a', 'x'.repeat(length)]]),
  })
  const head = write({}).indexOf('\n') + ' a='.length
  const longest = Document.empty(header).write(attributes(16_384 - head), new Map(), defaultLimits)
  t.is(longest.indexOf('\n'), 16_384)
  t.is(read(longest).header.attributes.get('a')?.length, 16_384 - head)
  t.throws(() => Document.empty(header).write(attributes(16_385 - head), new Map(), defaultLimits), {
    code: 'ERR_SESSION_LIMIT',
  })
  t.is(
    codeOf(() => read(longest.replace('=x', '=xx'))),
    'ERR_SESSION_PAYLOAD',
  )
})

test('a payload has at most 10,000 lines, or as many as the limit of keys allows', (t) => {
  const many = payloadOf(Array.from({ length: 10_001 }, (_, n) => `"${n}" J 1\n`).join(''))
  t.throws(() => read(many), { code: 'ERR_SESSION_LIMIT', message: 'the session has too many keys' })
  t.is(Document.parse(many, { ...defaultLimits, keys: 10_001 }).size, 10_001)
  t.throws(() => Document.parse(many, { ...defaultLimits, keys: 10_000 }), { code: 'ERR_SESSION_LIMIT' })
})

test('keys have the same values and places before and after there is an index', (t) => {
  const random = new Mutator(4711)
  const keys = [
    'a',
    'ab',
    'abcdef',
    'abcdefg',
    '"',
    '\n',
    'é',
    '\\',
    '',
    'abcde"',
    '\ud800',
    'long'.repeat(9),
    'never',
  ]
  const odd = ['"\\x" J 1', '"a', 'a" J 1', '', '"a"J 1', '"\\u00E9" J 1', '"é\\"" J 1', '"\\']
  for (let round = 0; round < 300; round++) {
    const lines = Array.from({ length: random.below(9) }, () => {
      if (random.below(6) === 0) return random.one(odd)
      const line = `${JSON.stringify(random.one(keys))} J ${random.below(3)}`
      return line + random.one(['', checksum(line), checksum(line), ' #00000000'])
    })
    const payload = payloadOf(lines.map((line) => `${line}\n`).join(''))
    const indexed = read(payload)
    void indexed.size
    const changes = new Map(
      keys.slice(0, 1 + random.below(5)).map((key) => [key, random.below(2) === 0 ? undefined : 'J 9']),
    )
    for (const key of keys) {
      t.is(read(payload).line(key), indexed.line(key))
      t.is(read(payload).has(key), indexed.has(key))
    }
    const searched = read(payload)
    for (const key of keys) t.is(searched.line(key), indexed.line(key))
    t.is(read(payload).write(header, changes, defaultLimits), indexed.write(header, changes, defaultLimits))
    t.deepEqual(searched.keys(), indexed.keys())
    t.is(read(payload).damaged, indexed.damaged)
  }
})

import test from 'ava'
import { Document } from '../../src/codec/document/document.ts'
import { defaultLimits } from '../../src/codec/limits.ts'
import { SessionError } from '../../src/index.ts'
import { Mutator } from './mutator.ts'
import { judge } from './verdict.ts'
import { codec, pollution, values } from './world.ts'

const SEED = Number(process.env['KTS_SEED'] ?? 4711)
const MUTATIONS = 10_000

const lines = values().map(([name, value]) => codec.encode(value, name))
const header = {
  version: 'AbCdEfGhIjKlMnOp',
  createdAt: 1_750_000_000_000,
  attributes: new Map([['a', 'b']]),
}

function payloadOf(entries: Iterable<readonly [string, string]>): string {
  return Document.empty(header).write(header, new Map(entries), defaultLimits)
}

const small = payloadOf([
  ['user', 'J "ann"'],
  ['cart', codec.encode(new Map([[1n, new Date(5)]]), 'cart')],
  ['"\n', codec.encode([/a/g, new URL('https://example.org')], 'odd')],
])

/** Does with a payload what a session does: reads each key, and writes the next payload. */
function useAll(payload: string): 'whole' | 'damaged' {
  try {
    const document = Document.parse(payload, defaultLimits)
    const keys = document.keys()
    for (const key of keys) judge(document.line(key) ?? '')
    const next = document.write(header, new Map([['new', 'J 1']]), defaultLimits)
    const written = Document.parse(next, defaultLimits)
    for (const key of keys) {
      if (key !== 'new' && written.line(key) !== document.line(key))
        throw new Error('an untouched line was changed')
    }
    return 'whole'
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
    if (error.code !== 'ERR_SESSION_PAYLOAD' && error.code !== 'ERR_SESSION_LIMIT') throw error
    return 'damaged'
  }
}

test('a line cut at any character decodes to another value, or is damaged', (t) => {
  let errors = 0
  for (const line of lines) {
    for (let end = 0; end < line.length; end++) {
      t.notThrows(
        () => {
          if (judge(line.slice(0, end)) === 'error') errors++
        },
        `${line.slice(0, 40)}… cut at ${end}`,
      )
    }
  }
  t.true(errors > 1_000)
})

test('a payload cut at any byte is damaged, the whole payload is not', (t) => {
  const payloads = [
    small,
    payloadOf([]),
    payloadOf([['Grüße 🛒', 'J "ü"']]),
    payloadOf(lines.slice(0, 20).map((line, index) => [`key ${index}`, line])),
  ]
  for (const payload of payloads) {
    const bytes = Buffer.from(payload)
    t.is(useAll(payload), 'whole')
    for (let end = 0; end < bytes.length; end++)
      t.is(useAll(bytes.toString('utf8', 0, end)), 'damaged', `cut at ${end}`)
  }
})

test('a payload with any single bit flipped is damaged, or has other values', (t) => {
  const bytes = Buffer.from(small)
  const counts = { whole: 0, damaged: 0 }
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    t.notThrows(() => counts[useAll(flipped.toString())]++, `bit ${bit}`)
  }
  t.true(counts.damaged > 200 && counts.whole > 200, JSON.stringify(counts))
})

test(`${MUTATIONS} mutations of lines: a sound value, or a typed error`, (t) => {
  const mutator = new Mutator(SEED)
  const counts = { value: 0, error: 0 }
  for (let n = 0; n < MUTATIONS; n++) {
    const line = mutator.mutate(mutator.one(lines), mutator.one(lines))
    try {
      counts[judge(line)]++
    } catch (error) {
      t.fail(`seed ${SEED}, mutation ${n}: ${JSON.stringify(line)}: ${String(error)}`)
      t.log(error)
      return
    }
  }
  t.log(counts)
  t.true(counts.value > MUTATIONS / 10 && counts.error > MUTATIONS / 10)
})

test(`${MUTATIONS} mutations of payloads: a sound session, or a typed error`, (t) => {
  const mutator = new Mutator(SEED)
  const counts = { whole: 0, damaged: 0 }
  for (let n = 0; n < MUTATIONS; n++) {
    const some = (): string => payloadOf([1, 2, 3].map((key) => [`k${key}`, mutator.one(lines)]))
    const unsummed = (): string => some().replaceAll(/ #[0-9a-f]{8}$/gm, '')
    // Half of them have no checksums and a corrected length, so that damage gets past the first check.
    const mended = n % 2 === 0
    let payload = mended ? mutator.mutate(unsummed(), unsummed()) : mutator.mutate(some(), some())
    if (mended) {
      const end = payload.indexOf('\n')
      payload = payload.replace(/^(kts1 \S+ \d+) \d+(?: #\w+)?/, `$1 ${payload.length - end - 1}`)
      payload = payload.replace(
        /^(kts1 \S+ \d+) \d+(?: #\w+)?/,
        `$1 ${payload.length - payload.indexOf('\n') - 1}`,
      )
    }
    try {
      counts[useAll(payload)]++
    } catch (error) {
      t.fail(`seed ${SEED}, mutation ${n}: ${JSON.stringify(payload)}: ${String(error)}`)
      t.log(error)
      return
    }
  }
  t.log(counts)
  t.true(counts.whole > MUTATIONS / 10 && counts.damaged > MUTATIONS / 10)
})

test.afterEach.always('no built-in object was changed', (t) => {
  t.is(pollution(), undefined)
})

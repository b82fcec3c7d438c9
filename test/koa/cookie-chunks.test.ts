import { Buffer } from 'node:buffer'
import test from 'ava'
import fc from 'fast-check'
import { SessionError } from '../../src/errors.ts'
import { CookieChunks } from '../../src/koa/cookie-chunks.ts'

const noise = (length: number): string =>
  Array.from({ length: Math.ceil(length / 6) }, (_, at) => String(100_000 + at))
    .join('')
    .slice(0, length)
const headerOf = (chunks: CookieChunks, values: readonly string[]): string =>
  ['theme=dark', ...values.map((value, at) => `${chunks.names[at]}=${value}`)].join('; ')

/** What tag and count take of two and of three chunks. */
const [TWO, THREE] = ['2!'.length + 2 * 'tag-of-11--!'.length, '3!'.length + 3 * 'tag-of-11--!'.length]

for (const name of ['sid', '__Host-sid', 'n'.repeat(100)]) {
  test(`security 33: no cookie ${name.slice(0, 10)} has more than 4,096 bytes of name and value, and none is sent that need not be`, (t) => {
    const chunks = new CookieChunks(name)
    const [one = 0, two = 0, three = 0] = chunks.names.map((each) => 4_096 - each.length)
    for (const [length, count] of [
      [64, 1],
      [one - 1, 1],
      [one, 1],
      [one + 1, 2],
      [one + two - TWO - 1, 2],
      [one + two - TWO, 2],
      [one + two - TWO + 1, 3],
      [one + two + three - THREE, 3],
    ] as const) {
      const credential = noise(length)
      const values = chunks.cut(credential)
      t.is(values.length, count, `${length}`)
      for (const [at, value] of values.entries()) {
        const bytes = Buffer.byteLength(`${chunks.names[at]}${value}`)
        t.true(bytes <= 4_096, `${bytes}`)
        if (at < count - 1) t.is(bytes, 4_096)
      }
      t.deepEqual(chunks.join(headerOf(chunks, values)), [credential])
      t.deepEqual(chunks.heldIn(headerOf(chunks, values)), chunks.names.slice(0, count))
    }
    const most = one + two + three - THREE
    const error = t.throws(() => chunks.cut(noise(most + 1)), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_LIMIT')
    t.regex(error.message, new RegExp(`\\b${most + 1} bytes\\b.*\\bat most ${most}\\b`))
  })
}

test('a chunk that is left over from a longer credential is ignored', (t) => {
  const chunks = new CookieChunks('sid')
  const [short, long] = [noise(5_000), noise(11_000)]
  const [, , third = ''] = chunks.cut(long)
  t.deepEqual(chunks.join(`${headerOf(chunks, chunks.cut(short))}; sid.2=${third}`), [short])
  const [, second = ''] = chunks.cut(long)
  t.deepEqual(chunks.join(`sid=${noise(80)}; sid.1=${second}; sid.2=${third}`), [noise(80)])
})

test('chunks without a tag, as version 0.1.0 has written them, are joined', (t) => {
  const chunks = new CookieChunks('sid')
  const credential = noise(9_000)
  const header = `sid=3!${credential.slice(0, 4_000)}; sid.1=${credential.slice(4_000, 8_000)}; sid.2=${credential.slice(8_000)}`
  t.deepEqual(chunks.join(header), [credential])
})

/** What an attacker may plant: chunks of a credential of its own, parts of them, and text in every form of a chunk. */
const plants: readonly string[] = (() => {
  const own = new CookieChunks('sid').cut('e'.repeat(11_000)).map((value) => value.slice(0, 120))
  const tags = ['', '!', 'AAAAAAAAAAA!', `${own[1]?.slice(0, 12)}`]
  const counts = ['', '2!', '3!', '9!']
  const firsts = counts.flatMap((count) => tags.map((tag) => `sid=${count}${tag}${'x'.repeat(70)}`))
  const nexts = ['sid.1', 'sid.2', 'sid.3'].flatMap((name) =>
    tags.map((tag) => `${name}=${tag}${'x'.repeat(70)}`),
  )
  return [
    ...firsts,
    ...nexts,
    ...own.map((value, at) => (at === 0 ? `sid=${value}` : `sid.${at}=${value}`)),
    'sid',
    'sid=',
    'sid.1=',
  ]
})()

for (const [count, length] of [
  [1, 500],
  [2, 6_000],
  [3, 11_800],
] as const) {
  test(`security 9: a session in ${count} cookies is found whatever is planted before, between and after them`, (t) => {
    const chunks = new CookieChunks('sid')
    const credential = noise(length)
    const real = chunks.cut(credential).map((value, at) => `${chunks.names[at]}=${value}`)
    t.is(real.length, count)
    const cookie = fc.constantFrom(...plants)
    const some = fc.array(cookie, { maxLength: 40 })
    fc.assert(
      fc.property(
        some,
        some,
        some,
        some,
        fc.shuffledSubarray([...real], { minLength: count }),
        (a, b, c, d, order) => {
          const [first, second = [], third = []] = order.map((each) => [each])
          const header = [...a, ...(first ?? []), ...b, ...second, ...c, ...third, ...d].join('; ')
          const found = chunks.join(header)
          t.true(found.includes(credential))
          const bytes = found.reduce((sum, each) => sum + each.length, 0)
          t.true(bytes <= header.length, `${bytes} bytes to open of a header of ${header.length}`)
        },
      ),
      { numRuns: 300 },
    )
  })
}

test('security 9: however many cookies are planted, they are no more to open than the header is long', (t) => {
  const chunks = new CookieChunks('sid')
  const flood = (cookie: (at: number) => string): string =>
    Array.from({ length: 2_000 }, (_, at) => cookie(at)).join('; ')
  const floods = [
    flood((at) => `sid=${at}`),
    flood((at) => `sid=3!${at}; sid.1=${at}; sid.2=${at}`),
    flood((at) => `sid=2!${String(at).padStart(11, 'A')}!${'x'.repeat(60)}; sid.1=${'x'.repeat(60)}`),
    `${flood((at) => `sid=3!AAAAAAAAAAA!${at}`)}; sid.1=AAAAAAAAAAA!${'x'.repeat(4_000)}; sid.2=AAAAAAAAAAA!${'x'.repeat(4_000)}`,
    flood((at) => `sid=${'x'.repeat(70)}${at}`),
  ]
  for (const header of floods) {
    const found = chunks.join(header)
    t.true(found.reduce((sum, each) => sum + each.length, 0) <= header.length)
    t.true(found.length <= header.length / 64)
  }
})

test('cookies that cannot be joined are ignored', (t) => {
  const chunks = new CookieChunks('sid')
  for (const header of [
    undefined,
    '',
    'sid',
    'sid.1=x',
    'SID=x',
    'xsid=x',
    'sid=2!a',
    'sid=3!a; sid.1=b',
    'sid=4!a; sid.1=b',
    `sid=${'x'.repeat(63)}`,
    `sid=2!AAAAAAAAAAA!${'x'.repeat(70)}; sid.1=BBBBBBBBBBB!${'x'.repeat(70)}`,
  ])
    t.deepEqual(chunks.join(header), [], header)
})

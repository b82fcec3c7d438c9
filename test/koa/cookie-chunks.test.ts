import { Buffer } from 'node:buffer'
import test from 'ava'
import { SessionError } from '../../src/errors.ts'
import { CookieChunks } from '../../src/koa/cookie-chunks.ts'

const noise = (length: number): string =>
  Array.from({ length: Math.ceil(length / 6) }, (_, at) => String(100_000 + at))
    .join('')
    .slice(0, length)
const headerOf = (chunks: CookieChunks, values: readonly string[]): string =>
  ['theme=dark', ...values.map((value, at) => `${chunks.names[at]}=${value}`)].join('; ')

for (const name of ['sid', '__Host-sid', 'n'.repeat(100)]) {
  test(`security 33: no cookie ${name.slice(0, 10)} has more than 4,096 bytes of name and value, and none is sent that need not be`, (t) => {
    const chunks = new CookieChunks(name)
    const [one = 0, two = 0, three = 0] = chunks.names.map((each) => 4_096 - each.length)
    for (const [length, count] of [
      [1, 1],
      [one - 1, 1],
      [one, 1],
      [one + 1, 2],
      [one + two - 3, 2],
      [one + two - 2, 2],
      [one + two - 1, 3],
      [one + two + three - 2, 3],
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
    const most = one + two + three - 2
    const error = t.throws(() => chunks.cut(noise(most + 1)), { instanceOf: SessionError })
    t.is(error.code, 'ERR_SESSION_LIMIT')
    t.regex(error.message, new RegExp(`\\b${most + 1} bytes\\b.*\\bat most ${most}\\b`))
  })
}

test('a chunk that is left over from a longer credential is ignored', (t) => {
  const chunks = new CookieChunks('sid')
  t.deepEqual(chunks.join('sid=short; sid.1=old; sid.2=old'), ['short'])
  t.deepEqual(chunks.join('sid=2!a; sid.1=b; sid.2=old'), ['ab'])
})

test('security 9: of many cookies of one name a few are tried', (t) => {
  const chunks = new CookieChunks('sid')
  t.deepEqual(chunks.join('sid=a; sid=b; sid=c; sid=d'), ['a', 'b', 'c'])
  t.deepEqual(chunks.join('sid=2!a; sid.1=1; sid.1=2; sid=b'), ['a1', 'a2', 'b'])
  const planted = Array.from({ length: 100 }, (_, at) => `sid=3!${at}; sid.1=${at}; sid.2=${at}`).join('; ')
  t.is(chunks.join(planted).length, 9)
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
  ])
    t.deepEqual(chunks.join(header), [], header)
})

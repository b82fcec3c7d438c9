import test from 'ava'
import fc from 'fast-check'
import { cookieValues } from '../../src/koa/cookie-header.ts'

test('the first values of one cookie name are returned in order and unchanged', (t) => {
  const header = 'sid=a; other=sid=b;sid = c ;\tsid=; xsid=d; sid.1=e; sid; sid="f%20"; sid=g=h'
  t.deepEqual(cookieValues(header, 'sid', 9), ['a', 'c', '', '"f%20"', 'g=h'])
  t.deepEqual(cookieValues(header, 'sid', 2), ['a', 'c'])
  t.deepEqual(cookieValues(header, 'sid.1', 9), ['e'])
  t.deepEqual(cookieValues(header, 'absent', 9), [])
  t.deepEqual(cookieValues(undefined, 'sid', 9), [])
})

test('a header of any content is read like pairs between semicolons', (t) => {
  const parts = fc.constantFrom('sid', 's', 'sidsid', '.1', '=', ';', ' ', '\t', 'x', '"')
  const text = fc.array(parts, { maxLength: 30 }).map((some) => some.join(''))
  fc.assert(
    fc.property(text, (header) => {
      const pairs = header.split(';').map((pair) => [pair.slice(0, pair.indexOf('=')), pair] as const)
      const wanted = pairs
        .filter(([name, pair]) => pair.includes('=') && name.trim() === 'sid')
        .map(([name, pair]) => pair.slice(name.length + 1).trim())
      t.deepEqual(cookieValues(header, 'sid', Infinity), wanted)
    }),
    { numRuns: 5_000 },
  )
})

import test from 'ava'
import { defaultLimits } from '../../../src/codec/limits.ts'
import { ValueCodec } from '../../../src/codec/value/value-codec.ts'
import { createRegistry } from '../../../src/index.ts'
import { fingerprint } from '../../fidelity/fingerprint.ts'

const codec = new ValueCodec(createRegistry(), defaultLimits)
const odd = [
  '\n',
  '"',
  '\\',
  '\\n',
  '\u0001',
  'a"b',
  '\uD800',
  '🛒',
  '~',
  '~d0',
  '~Map',
  'x\\',
  '',
  'AB',
  '\\u',
]

test('a name that JSON would escape comes back unchanged, whatever the process has parsed before', (t) => {
  for (const first of ['a', 'b', 'valueOf']) {
    for (const poison of odd) {
      // V8 13 reuses the shape of an object that it parsed before, and takes the next name for the one in that shape.
      const posted = [1, 2, 3].map(
        () => JSON.parse(`{${JSON.stringify(first)}:1,${JSON.stringify(poison)}:2}`) as unknown,
      )
      for (const name of odd) {
        for (const value of [
          { [first]: 1, [name]: 2 },
          { [first]: 1n, [name]: [{ [name]: new Date(0) }] },
        ]) {
          const back = codec.decode(codec.encode(value, 'key'), 'key')
          t.is(fingerprint(back), fingerprint(value), JSON.stringify([first, poison, name]))
        }
      }
      t.is(posted.length, 3)
    }
  }
})

test('no name in a line has a backslash', (t) => {
  for (const name of odd) {
    const line = codec.encode(
      { [name]: { [name]: 'a\\b' }, error: Object.assign(new Error('x'), { [name]: 1 }) },
      'key',
    )
    for (const [text, colon] of line.slice(line.lastIndexOf('\t') + 1).matchAll(/"(?:[^"\\]|\\.)*"(:?)/g)) {
      t.false(colon === ':' && text.includes('\\'), line)
    }
  }
  t.is(codec.encode({ a: 'line\nbreak' }, 'key'), 'J {"a":"line\\nbreak"}')
})

test('an encoded name that the encoder would not write, or that repeats another name, is damage', (t) => {
  const spell = (name: string): string => `~${Buffer.from(name, 'utf16le').toString('base64url')}`
  for (const name of [
    '~',
    '~!',
    spell('a'),
    spell('__proto__'),
    `${spell('\n')}=`,
    spell('~').slice(0, -1),
  ]) {
    t.throws(() => codec.decode(`T \t{"${name}":1}`, 'key'), { code: 'ERR_SESSION_DECODE' }, name)
  }
  t.deepEqual(codec.decode(`T \t{"${spell('\n')}":"~n1"}`, 'key'), { '\n': 1n })
})

import { randomBytes } from 'node:crypto'
import test from 'ava'
import { createKeyRing } from '../../../src/codec/seal/key-ring.ts'
import { Sealer } from '../../../src/codec/seal/sealer.ts'

const [k1, k2, k3] = [randomBytes(32), randomBytes(32), randomBytes(32)]
const sealerOf = (keys: Buffer[], ...purpose: string[]): Sealer =>
  new Sealer(createKeyRing(keys, 'keys'), purpose)
const plain = Buffer.from('some text, é and 😀')

test('sealed text can be opened', (t) => {
  const sealer = sealerOf([k1], 'test')
  for (const bytes of [plain, Buffer.alloc(0), randomBytes(9_000)]) {
    const text = sealer.seal(bytes, 'context')
    t.regex(text, /^s1\.[\w-]{4}\.[\w-]+$/)
    t.deepEqual(sealer.open(text, 'context'), { plain: bytes, stale: false })
  }
})

test('security 41: text with a flipped bit or a missing end cannot be opened', (t) => {
  const sealer = sealerOf([k1, k2], 'test')
  const bytes = Buffer.from(sealer.seal(plain, 'context'))
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    t.is(sealer.open(flipped.toString('latin1'), 'context'), undefined, `bit ${bit}`)
  }
  for (let length = 0; length < bytes.length; length += 1)
    t.is(sealer.open(bytes.toString('latin1', 0, length), 'context'), undefined)
})

test('security 5 and 41: sealed text has exactly one spelling', (t) => {
  const sealer = sealerOf([k1], 'test')
  // 1 to 3 additional bytes, to cover the three ways in which base64 can end. None accepts spare bits.
  for (const length of [10, 11, 12]) {
    const text = sealer.seal(randomBytes(length))
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const others = [...alphabet].map((last) => text.slice(0, -1) + last).filter((other) => other !== text)
    for (const other of [
      ...others,
      `${text}=`,
      `${text}==`,
      `${text}\n`,
      ` ${text}`,
      text.replaceAll('-', '+'),
    ])
      t.is(other === text ? undefined : sealer.open(other), undefined, other.slice(-4))
  }
})

test('security 41 and 45: text cannot be opened for another purpose, with another context or by another key', (t) => {
  const text = sealerOf([k1], 'cookie', 'a').seal(plain, 'x')
  t.is(sealerOf([k1], 'cookie', 'b').open(text, 'x'), undefined)
  t.is(sealerOf([k1], 'cookie').open(text, 'x'), undefined)
  t.is(sealerOf([k1], 'cookie', 'a').open(text, 'y'), undefined)
  t.is(sealerOf([k1], 'cookie', 'a').open(text), undefined)
  t.is(sealerOf([k2], 'cookie', 'a').open(text, 'x'), undefined)
  t.truthy(sealerOf([k1], 'cookie', 'a').open(text, 'x'))
})

test('security 42: text that does not name the key that sealed it cannot be opened', (t) => {
  const sealer = sealerOf([k1], 'test')
  const [, id = '', body = ''] = sealer.seal(plain).split('.')
  const unsealed = Buffer.from('{"user":"admin"}').toString('base64url')
  for (const text of [
    unsealed,
    `s1..${body}`,
    `.${id}.${body}`,
    `s0.${id}.${body}`,
    `S1.${id}.${body}`,
    `s2.${id}.${body}`,
  ])
    t.is(sealer.open(text), undefined)
  for (const text of [
    body,
    `s1.${body}`,
    `s1.none.${body}`,
    `s1.none.${unsealed}`,
    `s1.${id}.`,
    `s1.${id}.${unsealed}`,
    '',
  ])
    t.is(sealer.open(text), undefined)
})

test('security 43: the first key seals, all keys open, and a removed key opens nothing', (t) => {
  const old = sealerOf([k1, k2], 'test').seal(plain)
  const turned = sealerOf([k2, k1], 'test')
  t.deepEqual(turned.open(old), { plain, stale: true })
  const fresh = turned.seal(plain)
  t.deepEqual(sealerOf([k1, k2], 'test').open(fresh), { plain, stale: true })
  t.deepEqual(sealerOf([k3, k2], 'test').open(fresh), { plain, stale: true })
  t.deepEqual(turned.open(fresh), { plain, stale: false })
  t.is(sealerOf([k2, k3], 'test').open(old), undefined)
})

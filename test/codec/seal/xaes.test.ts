import test from 'ava'
import { OVERHEAD, XaesKey } from '../../../src/codec/seal/xaes.ts'

const nonce = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWX')
const text = Buffer.from('XAES-256-GCM')

// Both vectors of https://c2sp.org/XAES-256-GCM. Doubling the subkey needs a reduction in the second only.
test('security 41: the cipher reproduces the test vectors of its specification', (t) => {
  for (const [byte, associated, expected] of [
    [1, '', 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271'],
    [3, 'c2sp.org/XAES-256-GCM', '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d'],
  ] as const) {
    const key = new XaesKey(Buffer.alloc(32, byte))
    const sealed = key.seal(text, associated, nonce)
    t.is(sealed.toString('hex'), nonce.toString('hex') + expected)
    t.is(sealed.length, text.length + OVERHEAD)
    t.deepEqual(key.open(sealed, associated), text)
  }
})

test('security 41: no nonce is used twice, and sealing the same text twice gives different results', (t) => {
  const key = new XaesKey(Buffer.alloc(32, 7))
  const sealed = Array.from({ length: 1_000 }, () => key.seal(text, ''))
  t.is(new Set(sealed.map((bytes) => bytes.toString('hex', 0, 24))).size, 1_000)
  t.is(new Set(sealed.map((bytes) => bytes.toString('hex', 24))).size, 1_000)
  for (const bytes of sealed) t.deepEqual(key.open(bytes, ''), text)
})

test('security 8 and 41: open returns undefined for text that was cut, lengthened or sealed with other associated text', (t) => {
  const key = new XaesKey(Buffer.alloc(32, 7))
  const sealed = key.seal(text, 'mine')
  for (let length = 0; length < sealed.length; length += 1)
    t.is(key.open(sealed.subarray(0, length), 'mine'), undefined)
  t.is(key.open(Buffer.concat([sealed, Buffer.alloc(1)]), 'mine'), undefined)
  t.is(key.open(sealed, 'yours'), undefined)
  t.is(new XaesKey(Buffer.alloc(32, 8)).open(sealed, 'mine'), undefined)
})

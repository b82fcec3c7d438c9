import test from 'ava'
import { crc32 } from 'node:zlib'
import { CHECKSUM_LENGTH, checksum, hasChecksum } from '../../../src/codec/document/checksum.ts'

const lines = [
  '',
  'a',
  '"userId" J 4711',
  'x'.repeat(48),
  'x'.repeat(49),
  `"cart" T ${'["~0",1]'.repeat(500)}`,
  '"name" J "Zoë"',
  '\u{1f36a}',
  `"long" J "${'ü'.repeat(300)}"`,
]

test('the checksum of a line is the CRC-32 of its UTF-8, for any length and any characters', (t) => {
  t.is(checksum('123456789'), ' #cbf43926') // the check value of CRC-32
  for (const line of lines) {
    t.is(checksum(line), ` #${crc32(line).toString(16).padStart(8, '0')}`)
    t.is(checksum(line).length, CHECKSUM_LENGTH)
  }
})

test('only the right checksum in the right place is recognised', (t) => {
  for (const line of lines) {
    const text = `before${line}${checksum(line)}after`
    const end = 6 + line.length
    t.true(hasChecksum(text, 6, end))
    t.false(hasChecksum(text, 5, end))
    for (let at = end; at < end + CHECKSUM_LENGTH; at++) {
      for (const other of ['g', 'F', '/', ':', '`', ' ', '0']) {
        if (other === text.charAt(at)) continue
        t.false(
          hasChecksum(text.slice(0, at) + other + text.slice(at + 1), 6, end),
          `${other} at ${at - end}`,
        )
      }
    }
    t.false(hasChecksum(text.slice(0, end + CHECKSUM_LENGTH - 1), 6, end))
  }
})

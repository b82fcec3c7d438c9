import { crc32 } from 'node:zlib'

/** The length of what {@link checksum} returns: ` #` and eight digits. */
export const CHECKSUM_LENGTH = 10

/** Up to this length, computing the CRC here is faster than calling zlib. Most lines are shorter. */
const SHORT = 48
const SPACE = 0x20
const SHARP = 0x23
const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const REMAINDERS = Int32Array.from({ length: 256 }, (_, byte) => remainderOf(byte))

/**
 * The CRC-32 of a line in hexadecimal, to be put at its end: ` #5b2f0c9e`. It detects accidental damage, not forgery.
 * JSON text never ends like this, so lines with and without a checksum can be told apart.
 */
export function checksum(line: string): string {
  const sum = sumOf(line, 0, line.length)
  return ` #${digits(sum >>> 24)}${digits((sum >>> 16) & 0xff)}${digits((sum >>> 8) & 0xff)}${digits(sum & 0xff)}`
}

/** Whether the text from `start` to `end` is followed by its checksum. */
export function hasChecksum(text: string, start: number, end: number): boolean {
  if (text.charCodeAt(end) !== SPACE || text.charCodeAt(end + 1) !== SHARP) return false
  let written = 0
  for (let at = end + 2; at < end + CHECKSUM_LENGTH; at++) {
    const code = text.charCodeAt(at)
    const isDigit = code >= 0x30 && code <= 0x39
    if (!isDigit && !(code >= 0x61 && code <= 0x66)) return false
    written = (written << 4) | (isDigit ? code - 0x30 : code - 0x61 + 10)
  }
  return written === sumOf(text, start, end)
}

/** The CRC-32 of a part of a text in UTF-8, as a signed 32-bit number. */
function sumOf(text: string, start: number, end: number): number {
  if (end - start > SHORT) return crc32(text.slice(start, end)) | 0
  let sum = -1
  for (let at = start; at < end; at++) {
    const unit = text.charCodeAt(at)
    if (unit > 0x7f) return crc32(text.slice(start, end)) | 0
    sum = (REMAINDERS[(sum ^ unit) & 0xff] ?? 0) ^ (sum >>> 8)
  }
  return ~sum
}

function remainderOf(byte: number): number {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0)
  return remainder
}

function digits(byte: number): string {
  return BYTES[byte] ?? ''
}

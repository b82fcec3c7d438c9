import { crc32 } from 'node:zlib'

/** What {@link checksum} adds to a line: ` #` and eight digits. */
export const CHECKSUM_LENGTH = 10

/** It takes zlib as long to be called as us to read so many characters. Most lines have fewer. */
const SHORT = 48
const SPACE = 0x20
const SHARP = 0x23
const BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const REMAINDERS = Int32Array.from({ length: 256 }, (_, byte) => remainderOf(byte))

/**
 * What a line ends with, so that no bit of it turns unnoticed: its CRC-32 in hexadecimal. It is there against damage, not
 * against forgery. JSON never ends so, which is why a line without it can be told from one with it.
 */
export function checksum(line: string): string {
  const sum = sumOf(line, 0, line.length)
  return ` #${digits(sum >>> 24)}${digits((sum >>> 16) & 0xff)}${digits((sum >>> 8) & 0xff)}${digits(sum & 0xff)}`
}

/** Whether the checksum of the text from `start` to `end` stands there, at `end`. */
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

/** The CRC-32 of a part of a text in UTF-8, as a signed number. */
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

import { Buffer } from 'node:buffer'
import { SessionError } from '../../errors.ts'
import { define } from './own-properties.ts'

/**
 * The tokens of the grammar in `value-codec.ts`: strings that represent what JSON cannot. All begin with `~`. A string
 * of the program that begins with `~` is written with a second one in front, so no string is mistaken for a token.
 */
export const TILDE = 0x7e

export const UNDEFINED = '~'
export const HOLE = '~h'

const MINUS = 0x2d
const QUOTE = 0x22
const COLON = 0x3a
const BACKSLASH = 0x5c
const HEX = /^[1-9a-f][\da-f]*$/
const LATEST_DATE = 8.64e15
const SAFE_HEX_DIGITS = 13
const FEW_DIGITS = 16
const FEW = 16n ** BigInt(FEW_DIGITS)
const MILLION = 1_000_000
const SMALL = 2 ** 31

/** A number that JSON has no text for: `~fNaN`, `~f-0`. */
export function writeNumber(value: number): string {
  return Object.is(value, -0) ? '~f-0' : `~f${value}`
}

export function readNumber(token: string): number {
  switch (token) {
    case '~fNaN':
      return Number.NaN
    case '~f-0':
      return -0
    case '~fInfinity':
      return Number.POSITIVE_INFINITY
    case '~f-Infinity':
      return Number.NEGATIVE_INFINITY
    default:
      throw damaged()
  }
}

/** The time of a Date: `~d1760000000000`; `~d` for an invalid Date. */
export function writeTime(time: number): string {
  if (Number.isNaN(time)) return '~d'
  // V8 formats small integers much faster than large ones, so a large one is written in two parts.
  const millions = Math.floor(time / MILLION)
  if (millions < 1 || millions >= SMALL) return `~d${time}`
  return `~d${millions}${String(MILLION + time - millions * MILLION).slice(1)}`
}

export function readTime(token: string): number {
  if (token.length === 2) return Number.NaN
  const isNegative = token.charCodeAt(2) === MINUS
  const time = readDigits(token, isNegative ? 3 : 2)
  if (time > LATEST_DATE) throw damaged()
  return isNegative ? -time : time
}

/**
 * A bigint in hexadecimal, because that is parsed in linear time: `~n-ff`. Returns `undefined` if it has more digits than
 * `maxDigits`; that is checked first, because formatting a large bigint is slow.
 */
export function writeBigint(value: bigint, maxDigits: number): string | undefined {
  if (maxDigits < FEW_DIGITS || value >= FEW || value <= -FEW) {
    const limit = 1n << BigInt(maxDigits * 4)
    if (value >= limit || value <= -limit) return undefined
  }
  return `~n${value.toString(16)}`
}

export function readBigint(token: string, maxDigits: number): bigint {
  const isNegative = token.charCodeAt(2) === MINUS
  const start = isNegative ? 3 : 2
  if (token.length - start > maxDigits)
    throw new SessionError('ERR_SESSION_DECODE', 'it has a bigint that is too large')
  if (token === '~n0') return 0n
  const size =
    token.length - start <= SAFE_HEX_DIGITS ? readSmallHex(token, start) : readHex(token.slice(start))
  return isNegative ? -size : size
}

/** Most bigints fit into a safe integer, which is parsed much faster. */
function readSmallHex(token: string, start: number): bigint {
  let value = 0
  for (let i = start; i < token.length; i++) {
    const code = token.charCodeAt(i)
    const digit = code < 0x3a ? code - 0x30 : code - 0x61 + 10
    if (digit < 0 || digit > 15 || (code >= 0x3a && code < 0x61) || value + digit === 0) throw damaged()
    value = value * 16 + digit
  }
  if (value === 0) throw damaged()
  return BigInt(value)
}

function readHex(digits: string): bigint {
  if (!HEX.test(digits)) throw damaged()
  return BigInt(`0x${digits}`)
}

/** The whole number at the end of a token: 12 of `~r12`. */
export function readDigits(token: string, start: number): number {
  let value = 0
  if (token.length === start || token.length > start + 16) throw damaged()
  for (let i = start; i < token.length; i++) {
    const digit = token.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) throw damaged()
    value = value * 10 + digit
  }
  return value
}

/** Bytes in base64url: `~bAQI` for a Buffer, `~uAQI` for a Uint8Array. */
export function writeBytes(letter: 'b' | 'u', bytes: Uint8Array): string {
  return `~${letter}${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')}`
}

/** Accepts only the spelling that an encoder makes. Node's decoder would skip invalid characters. */
export function readBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw damaged()
  return bytes
}

/**
 * The characters that JSON escapes with a backslash. No property name in our text may contain one, because of a bug in
 * V8 13 (Node 24): after parsing an object, it can parse an escaped name of a similar object as another name.
 * `{"a":1,"\\":2}` and then `{"a":1,"\n":2}` gives a property `\`, and a client could cause that by what it posts. Strings
 * that are values are not affected.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/

/** A property name in T and S: unchanged, or `~` and its UTF-16 in base64url. */
export function writeName(name: string): string {
  if (name.charCodeAt(0) !== TILDE && !ESCAPED.test(name)) return name
  return `~${Buffer.from(name, 'utf16le').toString('base64url')}`
}

/**
 * A copy of an object with the names that {@link writeName} was given, in their order. To rename properties in place, all
 * that follow have to be deleted and added again, which is many times slower.
 */
export function readNames(fields: Record<string, unknown>): Record<string, unknown> {
  const named: Record<string, unknown> = {}
  for (const written in fields) {
    const name = written.charCodeAt(0) === TILDE ? readName(written) : written
    if (name === '__proto__' || Object.hasOwn(named, name)) throw damaged()
    define(named, name, fields[written])
  }
  return named
}

function readName(written: string): string {
  const name = Buffer.from(written.slice(1), 'base64url').toString('utf16le')
  if (writeName(name) !== written) throw damaged()
  return name
}

/** Whether a property name in the output of `JSON.stringify` contains a backslash. It looks only at strings that do. */
export function hasEscapedName(json: string): boolean {
  for (let at = json.indexOf('\\'); at !== -1; at = json.indexOf('\\', at)) {
    at = endOfString(json, at)
    if (json.charCodeAt(at + 1) === COLON) return true
  }
  return false
}

/** The position of the quote that ends a string of valid JSON, from a character in it that no backslash precedes. */
function endOfString(json: string, from: number): number {
  let at = from
  for (let code = json.charCodeAt(at); code !== QUOTE; code = json.charCodeAt(at))
    at += code === BACKSLASH ? 2 : 1
  return at
}

export function damaged(): SessionError {
  return new SessionError('ERR_SESSION_DECODE', 'its text is damaged')
}

import { SessionError } from '../../errors.ts'

/**
 * Tokens: strings that stand for what JSON has no text for. All begin with `~`, and a string of the program's that does
 * too is written with another one in front, so the two cannot be confused.
 */
export const TILDE = 0x7e

export const UNDEFINED = '~'
export const HOLE = '~h'

const HEX = /^[1-9a-f][\da-f]*$/
const LATEST_DATE = 8.64e15
const SAFE_HEX_DIGITS = 13
const FEW_DIGITS = 16
const FEW = 16n ** BigInt(FEW_DIGITS)
const MILLION = 1_000_000
const SMALL = 2 ** 31

/** Numbers that JSON cannot tell: `~fNaN`, `~f-0`. */
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

/** A moment: `~d1760000000000`, and `~d` for an invalid Date. */
export function writeTime(time: number): string {
  if (Number.isNaN(time)) return '~d'
  // Only small numbers become text quickly, so a large one is written as two.
  const millions = Math.floor(time / MILLION)
  if (millions < 1 || millions >= SMALL) return `~d${time}`
  return `~d${millions}${String(MILLION + time - millions * MILLION).slice(1)}`
}

export function readTime(token: string): number {
  if (token.length === 2) return Number.NaN
  const isNegative = token.charCodeAt(2) === 0x2d
  const time = readDigits(token, isNegative ? 3 : 2)
  if (time > LATEST_DATE) throw damaged()
  return isNegative ? -time : time
}

/**
 * A bigint in hexadecimal, which is read in linear time: `~n-ff`. `undefined` if it has more digits: to write a large
 * one takes long, so that is found out before.
 */
export function writeBigint(value: bigint, mostDigits: number): string | undefined {
  if (mostDigits < FEW_DIGITS || value >= FEW || value <= -FEW) {
    const limit = 1n << BigInt(mostDigits * 4)
    if (value >= limit || value <= -limit) return undefined
  }
  return `~n${value.toString(16)}`
}

export function readBigint(token: string, mostDigits: number): bigint {
  const isNegative = token.charCodeAt(2) === 0x2d
  const start = isNegative ? 3 : 2
  if (token.length - start > mostDigits)
    throw new SessionError('ERR_SESSION_DECODE', 'a bigint in it is too large')
  if (token === '~n0') return 0n
  const size =
    token.length - start <= SAFE_HEX_DIGITS ? readSmallHex(token, start) : readHex(token.slice(start))
  return isNegative ? -size : size
}

/** Most bigints are small, and a number is made in a fraction of the time. */
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

/** The whole number that the token ends with: `~r12`. */
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

/** Bytes in base64url: `~bAQI` a Buffer, `~uAQI` a Uint8Array. */
export function writeBytes(letter: 'b' | 'u', bytes: Uint8Array): string {
  return `~${letter}${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')}`
}

/** Only the one spelling that an encoder makes is read: Node's decoder alone would skip over any junk. */
export function readBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw damaged()
  return bytes
}

export function damaged(): SessionError {
  return new SessionError('ERR_SESSION_DECODE', 'its text is damaged')
}

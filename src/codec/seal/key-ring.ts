import * as crypto from 'node:crypto'
import { SessionError } from '../../errors.ts'

/**
 * A key: at least 32 random bytes, or their text in base64, base64url or hex, such as `openssl rand -base64 32` prints. Text
 * and bytes of the same key are the same key. The ID is not secret: it is stored with everything that the key seals. Default:
 * derived from the secret.
 */
export type SealKey = string | Uint8Array | { readonly id?: string; readonly secret: string | Uint8Array }

/** One key of a key ring. */
export interface RingKey {
  readonly id: string
  /** Derives a 256-bit key for one purpose. Data sealed for one purpose cannot be opened for another. */
  subkey(purpose: string): Buffer
}

const ID = /^[\w-]{1,16}$/

/**
 * The first key seals; all keys open, each found by its ID. To rotate keys without logging users out, first append the
 * new key on every server, then move it to the front, and remove the old one when everything that it sealed has expired.
 */
export type KeyRing = readonly [RingKey, ...RingKey[]]

/**
 * Checks keys and makes a key ring of them.
 *
 * @param field the name of the option, for error messages
 * @throws SessionError `ERR_SESSION_OPTIONS` if a key is too short or guessable, or two keys have the same ID
 */
export function createKeyRing(keys: readonly SealKey[], field: string): KeyRing {
  if (!Array.isArray(keys)) throw wrong(field, 'must be a list of keys')
  const [first, ...others] = keys.map((key, at) => ringKeyOf(key, `${field}[${at}]`))
  if (first === undefined) throw wrong(field, 'needs at least one key')
  const ring: KeyRing = [first, ...others]
  if (new Set(ring.map(({ id }) => id)).size < ring.length)
    throw wrong(field, 'holds two keys of the same ID, or the same key twice')
  return ring
}

function ringKeyOf(key: unknown, field: string): RingKey {
  const { id, secret } = given(key, field)
  const bytes = bytesOf(secret, field)
  const weakness = weaknessOf(bytes)
  if (weakness !== undefined) throw wrong(field, weakness)
  const derive = (info: string, length: number): Buffer =>
    Buffer.from(crypto.hkdfSync('sha256', bytes, '', `koa-typed-session ${info}`, length))
  return {
    id: id ?? derive('key ID', 3).toString('base64url'),
    subkey: (purpose) => derive(`seal ${purpose}`, 32),
  }
}

function given(key: unknown, field: string): { id?: string; secret: unknown } {
  if (typeof key === 'string' || key instanceof Uint8Array) return { secret: key }
  if (typeof key !== 'object' || key === null || !('secret' in key))
    throw wrong(field, 'must be a string, a Buffer, or { id, secret }')
  const { secret } = key
  if (!('id' in key) || key.id === undefined) return { secret }
  if (typeof key.id !== 'string' || !ID.test(key.id))
    throw wrong(`${field}.id`, 'must be 1 to 16 letters, digits, - or _')
  return { id: key.id, secret }
}

function bytesOf(secret: unknown, field: string): Buffer {
  if (typeof secret === 'string') return decoded(secret, field)
  if (!(secret instanceof Uint8Array)) throw wrong(field, 'must be a string, a Buffer, or { id, secret }')
  const bytes = Buffer.from(secret) // a copy, because the caller may overwrite the original
  const weakness = bytes.every(isPrintable)
    ? (weaknessOfText(bytes.toString('latin1')) ?? TEXT_AS_BYTES)
    : undefined
  if (weakness !== undefined) throw wrong(field, weakness)
  return bytes
}

const HEX = /^(?:[\da-f]{2})+$/i
const BASE64 = /^[\w+/-]+={0,2}$/
const MIN_BYTES = 32
const MIN_DISTINCT_BYTES = 16
const MIN_DISTINCT_CHARACTERS = 8
/** Of the letters and digits of a random key no more than this part is in lower case, or in upper case, or a digit. */
const MOST_OF_ONE_KIND = 0.8
const RECIPE = 'make one with: openssl rand -base64 32'
const TEXT_AS_BYTES = `is text as bytes; give the text itself if it is base64 or hex, as a passphrase is no key; ${RECIPE}`

/** Words that manuals and examples put in place of a key. One random key in 20 million contains one of them. */
const PLACEHOLDER = /keyboard.?cat|change.?(me|this)|secret|password|replace|your.?key|example|placeholder/i

/** The bytes of a key that was given as text. */
function decoded(text: string, field: string): Buffer {
  const weakness = weaknessOfText(text)
  if (weakness !== undefined) throw wrong(field, weakness)
  const bytes = HEX.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64url')
  if (!HEX.test(text) && !isSpelled(text, bytes))
    throw wrong(field, `is neither base64 nor hex, and a passphrase is no key; ${RECIPE}`)
  return bytes
}

/** Whether a text is the base64 or base64url of these bytes. */
function isSpelled(text: string, bytes: Buffer): boolean {
  if (!BASE64.test(text)) return false
  const bare = text.replace(/=+$/, '')
  return bytes.toString('base64url') === bare || bytes.toString('base64').replace(/=+$/, '') === bare
}

/**
 * Why the bytes of a secret are too weak to be a key, as the rest of a sentence that does not quote them; `undefined` if no
 * weakness is known.
 */
function weaknessOf(bytes: Buffer): string | undefined {
  if (bytes.length < MIN_BYTES)
    return `is ${bytes.length} bytes long, and a key has at least ${MIN_BYTES}; ${RECIPE}`
  if (isPatterned(bytes) || new Set(bytes).size < MIN_DISTINCT_BYTES)
    return `can be guessed: it repeats or counts; ${RECIPE}`
  if (bytes.every(isPrintable)) return `is a text in base64 or hex, and a passphrase is no key; ${RECIPE}`
  return undefined
}

/** The same for the text of a secret, whatever it encodes. A text of words or keys in a row has almost no chance to pass. */
export function weaknessOfText(text: string): string | undefined {
  const bytes = Buffer.from(text)
  if (bytes.length < MIN_BYTES)
    return `is ${bytes.length} bytes long, and a key has at least ${MIN_BYTES}; ${RECIPE}`
  if (PLACEHOLDER.test(text)) return `looks like a placeholder; ${RECIPE}`
  if (isPatterned(bytes) || new Set(bytes).size < MIN_DISTINCT_CHARACTERS)
    return `can be guessed: it repeats or counts; ${RECIPE}`
  if (!HEX.test(text) && hasOneKind(text))
    return `looks like words or a number, and a passphrase is no key; ${RECIPE}`
  return undefined
}

/** A repeated part, or a sequence such as `abcdef`. Random keys have none of these. */
function isPatterned(secret: Buffer): boolean {
  for (let period = 1; period <= secret.length / 2; period += 1) {
    if (secret.subarray(period).equals(secret.subarray(0, -period))) return true
  }
  let neighbours = 0
  for (let at = 1; at < secret.length; at += 1) {
    if (Math.abs(secret.readUInt8(at) - secret.readUInt8(at - 1)) <= 1) neighbours += 1
  }
  return neighbours > secret.length / 2
}

/** Whether almost all characters are small letters, or capital ones, or digits. One random key in a million is like that. */
function hasOneKind(text: string): boolean {
  const most = text.length * MOST_OF_ONE_KIND
  return [/[a-z]/g, /[A-Z]/g, /\d/g].some((kind) => (text.match(kind)?.length ?? 0) > most)
}

function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte <= 0x7e
}

function wrong(field: string, text: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `${field}: ${text}`)
}

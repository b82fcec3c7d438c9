import * as crypto from 'node:crypto'
import { SessionError } from '../../errors.ts'

/**
 * A key of at least 32 random bytes. Text is used as UTF-8, without decoding base64 or hex. The ID is not secret: it is
 * stored with everything that the key seals. Default: derived from the secret.
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
  if (typeof secret === 'string') return Buffer.from(secret)
  if (secret instanceof Uint8Array) return Buffer.from(secret) // a copy, because the caller may overwrite the original
  throw wrong(field, 'must be a string, a Buffer, or { id, secret }')
}

const MIN_BYTES = 32
const MIN_DISTINCT_BYTES = 8
const RECIPE = `make one with: node -p "crypto.randomBytes(32).toString('base64url')"`

/** Words that manuals and examples put in place of a key. One random key in 20 million contains one of them. */
const PLACEHOLDER = /keyboard.?cat|change.?(me|this)|secret|password|replace|your.?key|example|placeholder/i

/**
 * Why a secret is too weak to be a key, as the rest of a sentence that does not quote the secret; `undefined` if no
 * weakness is known.
 */
export function weaknessOf(secret: Buffer): string | undefined {
  if (secret.length < MIN_BYTES)
    return `is ${secret.length} bytes long, and a key has at least ${MIN_BYTES}; ${RECIPE}`
  if (PLACEHOLDER.test(secret.toString('latin1'))) return `looks like a placeholder; ${RECIPE}`
  if (isPatterned(secret)) return `can be guessed: it repeats or counts; ${RECIPE}`
  return undefined
}

/** Few different bytes, a repeated part, or a sequence such as `abcdef`. Random keys have none of these. */
function isPatterned(secret: Buffer): boolean {
  if (new Set(secret).size < MIN_DISTINCT_BYTES) return true
  for (let period = 1; period <= secret.length / 2; period += 1) {
    if (secret.subarray(period).equals(secret.subarray(0, -period))) return true
  }
  let neighbours = 0
  for (let at = 1; at < secret.length; at += 1) {
    if (Math.abs(secret.readUInt8(at) - secret.readUInt8(at - 1)) <= 1) neighbours += 1
  }
  return neighbours > secret.length / 2
}

function wrong(field: string, text: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `${field}: ${text}`)
}

import * as crypto from 'node:crypto'
import { SessionError } from '../../errors.ts'
import { weaknessOf } from './weakness.ts'

/** At least 32 random bytes: text is taken as UTF-8, as it stands. The ID goes with what the key seals; it is no secret. */
export type SealKey = string | Uint8Array | { readonly id?: string; readonly secret: string | Uint8Array }

/** One key of a ring. */
export interface RingKey {
  readonly id: string
  /** 256 bits for one purpose alone: what they seal cannot be opened for another one. */
  subkey(purpose: string): Buffer
}

const ID = /^[\w-]{1,16}$/

/**
 * The keys that seal: the first one seals, all of them open, each found by its ID. To change keys without a logout, put the
 * new one at the end of the ring everywhere, then at its head, and take the old one out when nothing that it sealed lives any more.
 */
export type KeyRing = readonly [RingKey, ...RingKey[]]

/**
 * Checks keys and makes them a ring.
 *
 * @param field what an error calls the list
 * @throws SessionError `ERR_SESSION_OPTIONS` for a key that is short or guessable, or an ID that two keys share
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
    throw wrong(field, 'must be a text, a Buffer, or { id, secret }')
  const { secret } = key
  if (!('id' in key) || key.id === undefined) return { secret }
  if (typeof key.id !== 'string' || !ID.test(key.id))
    throw wrong(`${field}.id`, 'must be 1 to 16 letters, digits, - or _')
  return { id: key.id, secret }
}

function bytesOf(secret: unknown, field: string): Buffer {
  if (typeof secret === 'string') return Buffer.from(secret)
  if (secret instanceof Uint8Array) return Buffer.from(secret) // a copy: what its owner does to it later changes nothing
  throw wrong(field, 'must be a text, a Buffer, or { id, secret }')
}

function wrong(field: string, text: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `${field}: ${text}`)
}

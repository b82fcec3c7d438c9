import * as crypto from 'node:crypto'
import type { Store } from '../store.ts'

const BYTES = 32
const LENGTH = 43 // 256 bits in base64url, six to a character
const ALPHABET = /^[\w-]{42}[AEIMQUYcgkosw048]$/ // the last character holds four bits: one spelling per ID

/** A new session ID: `prefix` and 256 random bits in base64url. */
export function createId(prefix = ''): string {
  return prefix + crypto.randomBytes(BYTES).toString('base64url')
}

/** Whether `text` has the form of a session ID: exact length, alphabet, canonical spelling. Needs no store. */
export function isId(text: string, prefix = ''): boolean {
  if (text.length !== prefix.length + LENGTH) return false
  if (prefix === '') return ALPHABET.test(text)
  return text.startsWith(prefix) && ALPHABET.test(text.slice(prefix.length))
}

/** The key that a store files the session under: a hash of the ID, in hex, so that a leaked database opens no session. */
export function hashId(id: string, algorithm = 'sha256'): string {
  return crypto.hash(algorithm, id, 'hex')
}

/** The key under which the store files a session: the hash of its ID. A `'client'` store, which keeps no keys, gets the ID. */
export function storeKey(
  { store, hash }: { readonly store: Store; readonly hash: string },
  id: string,
): string {
  return store.traits.location === 'client' ? id : hashId(id, hash)
}

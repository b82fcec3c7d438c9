import { Buffer } from 'node:buffer'
import { SessionError } from '../../errors.ts'
import type { StoreTraits } from '../../store.ts'

/** Whether the payload has no more bytes than the store's `maxBytes`. A character has 3 bytes at most, so few are counted. */
export function fits({ maxBytes }: StoreTraits, payload: string): boolean {
  return payload.length * 3 <= maxBytes || Buffer.byteLength(payload) <= maxBytes
}

/** @throws SessionError `ERR_SESSION_LIMIT` if the payload is larger than the store's `maxBytes` */
export function assertFits(traits: StoreTraits, verb: string, payload: string): void {
  if (payload.length * 3 > traits.maxBytes && !fits(traits, payload)) throw sizeError(traits, verb, payload)
}

/** The error of a verb that was given a payload that does not fit. */
export function sizeError({ name, maxBytes }: StoreTraits, verb: string, payload: string): SessionError {
  const bytes = Buffer.byteLength(payload)
  const text = `${name}: ${verb} refused, the payload has ${bytes} bytes and may have ${maxBytes}`
  return new SessionError('ERR_SESSION_LIMIT', text)
}

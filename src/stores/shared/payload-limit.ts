import { Buffer } from 'node:buffer'
import { SessionError } from '../../errors.ts'
import type { StoreTraits } from '../../store.ts'

/** @throws SessionError `ERR_SESSION_LIMIT` if the payload is larger than the store's `maxBytes` */
export function assertFits({ name, maxBytes }: StoreTraits, verb: string, payload: string): void {
  if (payload.length * 3 <= maxBytes) return
  const bytes = Buffer.byteLength(payload)
  if (bytes <= maxBytes) return
  throw new SessionError(
    'ERR_SESSION_LIMIT',
    `${name}: ${verb} refused, the payload has ${bytes} bytes and may have ${maxBytes}`,
  )
}

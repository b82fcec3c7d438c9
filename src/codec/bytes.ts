import { SessionError } from '../errors.ts'

/** Bytes in base64url, in the one spelling that an encoder makes: Node's decoder alone would skip over any junk. */
export function decodeBytes(text: unknown): Buffer {
  if (typeof text === 'string') {
    const bytes = Buffer.from(text, 'base64url')
    if (bytes.toString('base64url') === text) return bytes
  }
  throw new SessionError('ERR_SESSION_DECODE', 'its bytes are damaged')
}

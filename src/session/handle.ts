import * as crypto from 'node:crypto'

/** The header attribute that holds a session's handle. */
export const HANDLE = 'handle'

const HANDLE_FORM = /^[\w-]{22}$/

/** A new handle: 128 random bits in base64url. */
export function createHandle(): string {
  return crypto.randomBytes(16).toString('base64url')
}

/** The handle among a header's attributes. Stored text is not trusted: anything else that stands there is none. */
export function handleIn(attributes: ReadonlyMap<string, string>): string | undefined {
  const text = attributes.get(HANDLE)
  return text !== undefined && HANDLE_FORM.test(text) ? text : undefined
}

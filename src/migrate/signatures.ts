import * as crypto from 'node:crypto'

/** A key or the keys of signatures: the first one signs new cookies, each one is accepted. */
export type SigningKeys = readonly (string | Buffer)[]

/** What verifies the signatures of Koa's cookies: the package keygrip, or an object like it. */
export interface SignatureVerifier {
  verify(data: string, digest: string): boolean
}

/** Whether `signature` is that of Koa's cookie `name=value`: HMAC-SHA1 in base64url without `=`, as the package keygrip makes it. */
export function isSignedByKeygrip(
  name: string,
  value: string,
  signature: string,
  keys: SigningKeys | SignatureVerifier,
): boolean {
  const data = `${name}=${value}`
  if ('verify' in keys) return keys.verify(data, signature)
  return isMadeBy(keys, signature, (key) =>
    crypto.createHmac('sha1', key).update(data).digest('base64').replaceAll('/', '_').replaceAll('+', '-'),
  )
}

/** The text that the package cookie-signature has signed: what is before the last dot. `undefined` if no key has made the signature. */
export function unsign(signed: string, keys: SigningKeys): string | undefined {
  const at = signed.lastIndexOf('.')
  if (at === -1) return undefined
  const text = signed.slice(0, at)
  const isSigned = isMadeBy(keys, signed.slice(at + 1), (key) =>
    crypto.createHmac('sha256', key).update(text).digest('base64'),
  )
  return isSigned ? text : undefined
}

/** Compares in a time that does not tell how much of the signature is right. `sign` returns base64, whose `=` do not count. */
function isMadeBy(keys: SigningKeys, signature: string, sign: (key: string | Buffer) => string): boolean {
  const given = Buffer.from(signature)
  let isMade = false
  for (const key of keys) {
    const expected = Buffer.from(sign(key).replaceAll('=', ''))
    if (expected.length === given.length && crypto.timingSafeEqual(expected, given)) isMade = true
  }
  return isMade
}

import type { CookieValues } from '../session/adopt/importer.ts'
import { isSignedByKeygrip, type SignatureVerifier, type SigningKeys } from './signatures.ts'

/** The values of one of Koa's cookies, those whose signature is right. Without `keys` they are not signed. */
export function koaCookieValues(
  valuesOf: CookieValues,
  name: string,
  keys: SigningKeys | SignatureVerifier | undefined,
): readonly string[] {
  const values = valuesOf(name)
    .map((value) => (value.startsWith('"') ? value.slice(1, -1) : value))
    .filter((value) => value !== '')
  if (keys === undefined || values.length === 0) return values
  const signatures = valuesOf(`${name}.sig`)
  return values.filter((value) =>
    signatures.some((signature) => isSignedByKeygrip(name, value, signature, keys)),
  )
}

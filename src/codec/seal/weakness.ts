const LEAST_BYTES = 32
const LEAST_DIFFERENT = 8
const RECIPE = `make one with: node -p "crypto.randomBytes(32).toString('base64url')"`

/** What manuals and examples put where a key belongs. Chance spells one of them in one of twenty million keys. */
const PLACEHOLDER = /keyboard.?cat|change.?(me|this)|secret|password|replace|your.?key|example|placeholder/i

/** Why a secret is no key, and how to make one; `undefined` if nothing is known against it. The text does not show it. */
export function weaknessOf(secret: Buffer): string | undefined {
  if (secret.length < LEAST_BYTES)
    return `is ${secret.length} bytes long, and a key has at least ${LEAST_BYTES}; ${RECIPE}`
  if (PLACEHOLDER.test(secret.toString('latin1'))) return `looks like a placeholder; ${RECIPE}`
  if (isPatterned(secret)) return `can be guessed: it repeats itself or counts; ${RECIPE}`
  return undefined
}

/** Few different bytes, a part that is repeated, or a row of neighbours like `abcdef`: a random key has none of these. */
function isPatterned(secret: Buffer): boolean {
  if (new Set(secret).size < LEAST_DIFFERENT) return true
  for (let period = 1; period <= secret.length / 2; period += 1) {
    if (secret.subarray(period).equals(secret.subarray(0, -period))) return true
  }
  let neighbours = 0
  for (let at = 1; at < secret.length; at += 1) {
    if (Math.abs(secret.readUInt8(at) - secret.readUInt8(at - 1)) <= 1) neighbours += 1
  }
  return neighbours > secret.length / 2
}

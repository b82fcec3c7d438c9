/**
 * How much one session may hold. The same budgets hold when a payload is written and when one is read, so what could be
 * written can be read, and nobody can make a reader work longer than a writer could have.
 */
export interface Limits {
  /** The largest payload, in bytes of UTF-8. Default 1 MiB. */
  readonly bytes: number
  /** The largest encoded value of one key, in bytes of UTF-8. Default 512 KiB. */
  readonly keyBytes: number
  /** How many keys a session may have. Default 1,000. */
  readonly keys: number
  /** The longest key, in UTF-16 units. Default 128. */
  readonly keyLength: number
  /** How deep a value may be nested: `1` is 0 deep, `[]` is 1, `[[]]` is 2. Default 100. */
  readonly depth: number
  /** How many objects of any kind one value may consist of. Default 50,000. */
  readonly nodes: number
  /** The largest bigint, in hexadecimal digits. Default 4,096. */
  readonly bigintDigits: number
}

/** The budgets that hold unless others are given. */
export const defaultLimits: Limits = Object.freeze({
  bytes: 1_048_576,
  keyBytes: 524_288,
  keys: 1_000,
  keyLength: 128,
  depth: 100,
  nodes: 50_000,
  bigintDigits: 4_096,
})

/** Whether `text` takes more than `bytes` of UTF-8. A UTF-16 unit takes one to three, so most texts need no counting. */
export function exceeds(text: string, bytes: number): boolean {
  if (text.length > bytes) return true
  return text.length * 3 > bytes && Buffer.byteLength(text) > bytes
}

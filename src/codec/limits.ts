/** How much one session may hold. The same budgets hold when a payload is written and when one is read. */
export interface Limits {
  /** The largest payload, in bytes of UTF-8. Default 1 MiB. */
  readonly bytes: number
  /** The largest encoded value of one key, in bytes of UTF-8. Default 512 KiB. */
  readonly keyBytes: number
  /** How many keys a session may have. Default 1,000. */
  readonly keys: number
  /** The longest key, in UTF-16 units. Default 128. */
  readonly keyLength: number
  /** How deep a value may be nested. Default 100. */
  readonly depth: number
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
  bigintDigits: 4_096,
})

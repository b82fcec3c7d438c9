/**
 * The size limits of one session. They apply both when a payload is written and when one is read: everything that could
 * be written can be read, and a forged payload cannot cost the reader more than a genuine one.
 */
export interface Limits {
  /** The largest payload, in bytes of UTF-8. Default 1 MiB. */
  readonly bytes: number
  /** The largest encoded value of one key, in bytes of UTF-8. Default 512 KiB. */
  readonly keyBytes: number
  /** The most keys in a session. Default 1,000. */
  readonly keys: number
  /** The longest key, in UTF-16 units. Default 128. */
  readonly keyLength: number
  /** The deepest nesting of a value: `1` has depth 0, `[]` depth 1, `[[]]` depth 2. Default 100. */
  readonly depth: number
  /** The most objects of any kind in one value. Default 10,000. */
  readonly nodes: number
  /**
   * The most property names in one value, each counted as often as it stands there. Those of registered classes do not count,
   * unless the class has `encode`. Default 15,000.
   */
  readonly names: number
  /** The largest bigint, in hexadecimal digits. Default 4,096. */
  readonly bigintDigits: number
}

/** The limits that apply unless others are given. */
export const defaultLimits: Limits = Object.freeze({
  bytes: 1_048_576,
  keyBytes: 524_288,
  keys: 1_000,
  keyLength: 128,
  depth: 100,
  nodes: 10_000,
  names: 15_000,
  bigintDigits: 4_096,
})

/** Whether `text` takes more than `bytes` in UTF-8. A UTF-16 unit takes 1 to 3 bytes, so most texts need no counting. */
export function exceeds(text: string, bytes: number): boolean {
  if (text.length > bytes) return true
  return text.length * 3 > bytes && Buffer.byteLength(text) > bytes
}

/** The most errors, together with their fields, in one value: each takes as long as several other objects or fields. */
export const MAX_ERRORS = 3_000

/** The most property names in one value that JSON would escape: each takes as long as several other names. */
export const MAX_ENCODED_NAMES = 2_000

const MAX_NUMERIC_KEYS = 2_000

/**
 * Limits the numbers and bigints among the Map keys and Set members of one value.
 *
 * V8 hashes strings with a secret seed, but numbers and bigints without one. A client that controls the data can
 * therefore choose numbers that all share one hash bucket, which makes each insertion linear: 40,000 of them take
 * seconds. Arrays may hold any number of numbers.
 */
export class NumericKeyCounter {
  #count = 0

  /** Counts one key. Returns `true` once there are too many. */
  exceedsWith(key: unknown): boolean {
    if (typeof key === 'number') this.#count++
    // V8 hashes a large bigint by its lowest digits only, and comparing two takes longer.
    else if (typeof key === 'bigint') this.#count += 3
    return this.#count > MAX_NUMERIC_KEYS
  }
}

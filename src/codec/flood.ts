/**
 * V8 hashes texts with a secret of the process, but numbers and bigints without one. Whoever writes a text can therefore
 * choose numbers that all fall into one bucket of a Map or Set, where each costs a walk past all the others: forty
 * thousand take seconds. So only so many of them can be keys and members in one value. A list may have any number.
 */
export const MOST_NUMERIC_KEYS = 5_000

/** For how many a key counts: large bigints are hashed by their last digits alone, and take longer to be told apart. */
export function weightOf(key: unknown): number {
  if (typeof key === 'number') return 1
  return typeof key === 'bigint' ? 3 : 0
}

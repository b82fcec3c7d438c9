const MOST = 5_000

/**
 * How many numbers are keys of Maps and members of Sets in one value.
 *
 * V8 hashes texts with a secret of the process, but numbers and bigints without one. Whoever writes a text can therefore
 * choose numbers that all fall into one bucket, where each costs a walk past all the others: forty thousand take
 * seconds. A list may have any number of them.
 */
export class Flood {
  #weight = 0

  /** Counts a key, and tells whether there are too many. */
  rises(key: unknown): boolean {
    if (typeof key === 'number') this.#weight++
    // Large ones are hashed by their last digits alone, and take longer to be told apart.
    else if (typeof key === 'bigint') this.#weight += 3
    return this.#weight > MOST
  }
}

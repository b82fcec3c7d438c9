import { setImmediate as pause } from 'node:timers/promises'
import type { MemoryEntry } from './entry.ts'

/** A `Map` moves all its entries when it grows or shrinks. With a million entries that blocks the process; 256 small maps do not. */
const SHARDS = 256

/** How many entries are visited before other work may run. That takes well below a millisecond. */
const SLICE = 500

/** Entries by their keys, as in a `Map`, but neither growth nor a tour of all entries blocks the process. */
export class Shards {
  readonly #shards: readonly Map<string, MemoryEntry>[] = Array.from({ length: SHARDS }, () => new Map())
  #station = 0

  get(key: string): MemoryEntry | undefined {
    return this.#at(spread(key)).get(key)
  }

  add(entry: MemoryEntry): void {
    this.#at(spread(entry.key)).set(entry.key, entry)
  }

  remove(entry: MemoryEntry): void {
    this.#at(spread(entry.key)).delete(entry.key)
  }

  clear(): void {
    for (const shard of this.#shards) shard.clear()
  }

  /** Calls `look` with each entry, from the shard at which the last tour ended, until it returns `false`. */
  async tour(look: (entry: MemoryEntry) => boolean): Promise<void> {
    const first = this.#station
    let seen = 0
    for (let turn = 0; turn < SHARDS; turn += 1) {
      this.#station = (first + turn) % SHARDS
      const shard = this.#at(this.#station)
      const entries = shard.values()
      let outcome = lookAtSome(entries, look)
      for (; outcome === 'more'; outcome = lookAtSome(entries, look)) await pause()
      seen += shard.size
      if (outcome === 'enough' || seen >= SLICE) {
        seen = 0
        await pause()
      }
      if (outcome === 'enough') return
    }
  }

  #at(index: number): Map<string, MemoryEntry> {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- index < SHARDS: from spread, or a remainder
    return this.#shards[index] as Map<string, MemoryEntry>
  }
}

/**
 * Calls `look` with the next entries, a slice at most. It is a separate function, which V8 can compile as a whole, and then
 * iterates without allocating an object for each step.
 */
function lookAtSome(
  entries: Iterator<MemoryEntry>,
  look: (entry: MemoryEntry) => boolean,
): 'more' | 'end' | 'enough' {
  for (let seen = 0; seen < SLICE; seen += 1) {
    const { done, value } = entries.next()
    if (done === true) return 'end'
    if (!look(value)) return 'enough'
  }
  return 'more'
}

/** The shard of a key. Keys are usually hashes, so their first characters are distributed evenly. */
function spread(key: string): number {
  let mixed = 0
  for (let at = 0; at < 4; at += 1) mixed = (mixed * 33) ^ key.charCodeAt(at) // NaN beyond the end counts as 0
  return mixed & (SHARDS - 1)
}

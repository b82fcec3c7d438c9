import { types } from 'node:util'
import type { WriteBudget } from './write-budget.ts'
import { whyNoLeaf, writeLeaves } from './superjson.ts'
import { MemoryRanges } from './memory-ranges.ts'
import type { Trail } from './path.ts'
import { writeBytes } from './tokens.ts'

/** The leaves of a value that is being written, and the memory that they and its bytes stand on. */
export class LeafList {
  readonly #trail: Trail
  readonly #budget: WriteBudget
  readonly #leaves: object[] = []
  readonly #memory = new MemoryRanges()

  constructor(trail: Trail, budget: WriteBudget) {
    this.#trail = trail
    this.#budget = budget
  }

  /** What superjson keeps: `~s0`. */
  add(value: object): string {
    const reason = whyNoLeaf(value)
    if (reason !== undefined) throw this.#trail.refused(reason)
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) this.#claim(value)
    return `~s${this.#leaves.push(value) - 1}`
  }

  /** Bytes, which need no superjson: `~bAQI`. */
  bytes(letter: 'b' | 'u', value: Uint8Array): string {
    this.#claim(value)
    return writeBytes(letter, value)
  }

  /** As it stands in the line; nothing if there are none. */
  text(): string {
    return this.#leaves.length === 0 ? '' : JSON.stringify(writeLeaves(this.#leaves))
  }

  #claim(value: ArrayBufferView | ArrayBufferLike): void {
    if (!Object.hasOwn(value, 'byteLength')) this.#budget.spend(value.byteLength)
    const reason = this.#memory.claim(value)
    if (reason !== undefined) throw this.#trail.refused(reason)
  }
}

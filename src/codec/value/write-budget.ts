import { type Limits, NumericKeyCounter } from '../limits.ts'
import type { Trail } from './path.ts'

/** What a value that is being written has used up of its limits. Whatever is too much is told with its path. */
export class WriteBudget {
  readonly #limits: Limits
  readonly #trail: Trail
  #numericKeys: NumericKeyCounter | undefined
  #units = 0

  constructor(limits: Limits, trail: Trail) {
    this.#limits = limits
    this.#trail = trail
  }

  /** Text that is there already. One long string, held a thousand times, is a gigabyte of it once it is written. */
  note(text: string): void {
    this.#units += text.length
  }

  /** Text that is still to be made is counted before there is too much of it. */
  spend(units: number): void {
    this.#units += units
    this.settle()
  }

  /** Whether all text that was noted is too much. */
  settle(): void {
    if (this.#units > this.#limits.keyBytes) throw this.#trail.exceeded('bytes')
  }

  /** An element takes two bytes at least, and the length of a sparse array says nothing of its size. */
  list(length: number): void {
    if (length * 2 > this.#limits.keyBytes) throw this.#trail.exceeded('bytes')
  }

  /** An object so deep in the value, of which there were so many before. */
  object(depth: number, before: number): void {
    if (depth > this.#limits.depth) throw this.#trail.exceeded('depth')
    if (before > this.#limits.nodes) throw this.#trail.exceeded('objects')
  }

  /** A key of a Map, or a member of a Set. */
  key(key: unknown): void {
    this.#numericKeys ??= new NumericKeyCounter()
    if (this.#numericKeys.exceedsWith(key)) throw this.#trail.exceeded('numbers as keys and members')
  }
}

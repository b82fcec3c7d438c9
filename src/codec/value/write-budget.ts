import { type Limits, MAX_ENCODED_NAMES, MAX_ERRORS, NumericKeyCounter } from '../limits.ts'
import type { Trail } from './path.ts'

/** Enforces the limits on one value while it is written. Errors name the path at which a limit was exceeded. */
export class WriteBudget {
  readonly #limits: Limits
  readonly #trail: Trail
  #numericKeys: NumericKeyCounter | undefined
  #units = 0
  #errors = 0
  #encodedNames = 0
  #names = 0

  constructor(limits: Limits, trail: Trail) {
    this.#limits = limits
    this.#trail = trail
  }

  /** Counts existing text: one long string that is referenced a thousand times becomes a gigabyte of output. */
  note(text: string): void {
    this.#units += text.length
  }

  /** Counts text that is about to be made, and throws if it is too much. */
  spend(units: number): void {
    this.#units += units
    this.settle()
  }

  /** Throws if the text counted so far is too much. */
  settle(): void {
    if (this.#units > this.#limits.keyBytes) throw this.#trail.exceeded('bytes')
  }

  /** Checks the length of an array. Each element, even a hole, takes at least two bytes of output. */
  list(length: number): void {
    if (length * 2 > this.#limits.keyBytes) throw this.#trail.exceeded('bytes')
  }

  /** Checks the depth of an object, and how many there are so far. */
  object(depth: number, count: number): void {
    if (depth > this.#limits.depth) throw this.#trail.exceeded('depth')
    if (count > this.#limits.nodes) throw this.#trail.exceeded('objects')
  }

  /** Counts a key of a Map or a member of a Set. */
  key(key: unknown): void {
    this.#numericKeys ??= new NumericKeyCounter()
    if (this.#numericKeys.exceedsWith(key)) throw this.#trail.exceeded('numbers as keys and members')
  }

  /** Counts an error and its fields. */
  error(fields: number): void {
    this.#errors += 1 + fields
    if (this.#errors > MAX_ERRORS) throw this.#trail.exceeded('errors and fields of errors')
  }

  /** Counts property names. */
  names(count: number): void {
    this.#names += count
    if (this.#names > this.#limits.names) throw this.#trail.exceeded('names')
  }

  /** Counts a property name that JSON would escape. */
  encodedName(): void {
    if (++this.#encodedNames > MAX_ENCODED_NAMES) throw this.#trail.exceeded('names that JSON escapes')
  }
}

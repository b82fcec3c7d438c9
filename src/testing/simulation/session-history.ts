import { versionOf } from '../../store.ts'
import type { State } from './values.ts'

/** One session from its first commit to its end, under whatever IDs. */
export class SessionHistory {
  /** What it held after each commit; before the first, nothing. */
  readonly states: State[] = [new Map()]
  /** Under which key it lives now; `undefined` before its first commit and after its end. */
  key: string | undefined
  readonly #versions: string[] = ['']

  /** The index of the newest state. */
  get end(): number {
    return this.states.length - 1
  }

  get newest(): State {
    return this.states[this.end] ?? new Map()
  }

  add(payload: string, state: State): void {
    this.#versions.push(versionOf(payload))
    this.states.push(state)
  }

  /** Which state a payload is, or -1. */
  indexOf(payload: string): number {
    return this.#versions.lastIndexOf(versionOf(payload))
  }
}

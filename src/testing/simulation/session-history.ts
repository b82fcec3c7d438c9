import { versionOf } from '../../store.ts'
import type { State } from './values.ts'

/** One session from its first commit to its end, under all its IDs: what really was stored. */
export class SessionHistory {
  /** The session's values after each commit. The first state, before any commit, is empty. */
  readonly states: State[] = [new Map()]
  /** The key that the session is stored under; `undefined` before its first commit and after its end. */
  key: string | undefined
  /** All keys that it was stored under. */
  readonly keys: Set<string> = new Set()
  /** How often it was regenerated. A request that began before the last time is refused. */
  epoch: number = 0
  /** A request has begun to end it. */
  isEndAsked = false
  /** How many calls there had been when a request was told that it has ended it. */
  endToldAt: number = Infinity
  /** A request was told that another one has ended it. */
  isGoneTold = false
  /** It was removed from the store. */
  hasEnded = false
  /** The request that gave it its present ID, if that is not the first one. */
  mover: { readonly troubled: boolean } | undefined
  /** The index of the last state of each epoch that is over. */
  readonly #epochEnds: number[] = []
  readonly #versions: string[] = ['']

  /** The index of the newest state. */
  get end(): number {
    return this.states.length - 1
  }

  get newest(): State {
    return this.states[this.end] ?? new Map()
  }

  /** The index of the newest state that a request of this epoch may see. */
  endOf(epoch: number): number {
    return this.#epochEnds[epoch] ?? this.end
  }

  add(payload: string, state: State): void {
    this.#versions.push(versionOf(payload))
    this.states.push(state)
  }

  /** It is stored under this key from now on. */
  moveTo(key: string): void {
    this.key = key
    this.keys.add(key)
  }

  /** It is about to get a new ID by `regenerate`. */
  regenerate(): void {
    this.#epochEnds.push(this.end)
    this.epoch += 1
  }

  /** It was removed from the store. */
  remove(): void {
    this.key = undefined
    this.hasEnded = true
  }

  /** The index of the state that a payload holds, or -1. */
  indexOf(payload: string): number {
    return this.#versions.lastIndexOf(versionOf(payload))
  }
}

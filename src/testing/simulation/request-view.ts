import { versionOf } from '../../store.ts'
import type { Call } from './gated-store.ts'
import { SessionHistory } from './session-history.ts'
import type { Change, Ground, Log, Look } from './replay-model.ts'

/** What a request had done, and which key it claimed, when it made a payload. */
export interface Origin {
  readonly log: Log
  readonly claiming: string | undefined
}

/** What a request takes its session to be, and what of its changes really is stored. */
export class RequestView {
  /** What it did since its last commit that was acknowledged. */
  log: (Change | Look)[] = []
  /** What of it was stored, whether or not the request knows. */
  readonly applied: Set<object> = new Set()
  history: SessionHistory = new SessionHistory()
  /** Under which key it takes its session to be; `undefined` if it takes nothing to be stored. */
  key: string | undefined
  /** It has asked for a new ID. */
  moving = false
  /** The index of the state that it stored last, since it began what it is doing. */
  wrote: number | undefined
  /** Where its session really is. */
  #place: string | undefined
  /** The states that its log may build upon. */
  #from = 0
  #to = 0
  #looked = false
  readonly #origins = new Map<string, Origin>()

  /** It begins something new. */
  begin(): void {
    this.#looked = false
    this.wrote = undefined
  }

  /** What its log builds on, in the history of a record that it has written or wants to. */
  groundOf({ states }: SessionHistory): Ground {
    return { states, from: this.#from, to: this.#to }
  }

  /** The session was found under `key`, in this state. */
  found(history: SessionHistory, index: number, key: string): void {
    this.key = this.#place = key
    this.history = history
    this.#from = this.#to = Math.max(index, 0)
  }

  /** The store has shown it a state of its session. */
  saw(): void {
    this.#looked = true
  }

  /** Whatever is stored by now it may have seen. */
  mayHaveSeenAll(): void {
    this.log.push({ kind: 'look', until: this.history.end })
    this.#to = Math.max(this.#to, this.wrote ?? 0)
  }

  /** A change of it has reached the store: the session lives under `key` now, or has ended. */
  stored(history: SessionHistory, key: string | undefined, log: Log): void {
    for (const change of log) this.applied.add(change)
    this.wrote = history.end
    this.#place = key
    this.history = history
  }

  /** Where a payload comes from: the same one may be sent again later. */
  originOf(payload: string | undefined, claiming: string | undefined): Origin {
    const version = payload === undefined ? '' : versionOf(payload)
    const origin = this.#origins.get(version) ?? { log: [...this.log], claiming }
    if (version !== '') this.#origins.set(version, origin)
    return origin
  }

  /** Whether a call writes what `regenerate` moves the session to. */
  prepares({ verb, key }: Call): boolean {
    const writes = verb === 'create' || verb === 'replace'
    return writes && this.moving && this.key !== undefined && key !== this.key
  }

  /** It was told that all it did is stored, and goes on from there; `certain` if nothing was in doubt. */
  settle(certain: boolean): void {
    if (certain && this.wrote !== undefined) this.#from = this.#to = this.wrote
    // What others of its process have left may have been shown to it without a read.
    else if (!certain || this.#looked || this.log.length > 0) this.#to = this.history.end
    this.key = this.#place
    this.log = []
    this.moving = false
  }

  /** Its session has ended, and it begins another one. */
  reset(): void {
    this.history = new SessionHistory()
    this.key = this.#place = undefined
    this.#from = this.#to = 0
    this.log = []
    this.applied.clear()
    this.moving = false
  }
}

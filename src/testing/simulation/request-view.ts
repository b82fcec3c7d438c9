import type { Change, Ground, Log, Look } from './replay-model.ts'
import { versionOf, type Call } from './store-model.ts'
import type { State, Value } from './values.ts'

/** One session from its first commit to its end, under all its IDs: what really was stored. */
export class SessionHistory {
  /** The session's values after each commit. The first state, before any commit, is empty. */
  readonly states: State[] = [new Map()]
  /** The key that the session is stored under; `undefined` before its first commit and after its end. */
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

  /** The index of the state that a payload holds, or -1. */
  indexOf(payload: string): number {
    return this.#versions.lastIndexOf(versionOf(payload))
  }
}

/** What a request is doing when it calls the store. */
export type Doing = 'find' | 'commit' | 'claim' | 'destroy' | 'nothing'

/** What a request had done, and which key it claimed, when it made a payload. */
export interface Origin {
  readonly log: Log
  readonly claiming: string | undefined
}

/** One request as the oracle sees it: what it does, what it knows of its session, and which of its changes are stored. */
export class RequestView {
  readonly name: string
  doing: Doing = 'nothing'
  /** The key that it claims now. */
  claiming: string | undefined
  /** What was stored under the claimed key when the claim removed it. */
  claimed: { readonly value: Value } | undefined
  /** The key under which a regeneration prepares the session's next record. */
  successor: string | undefined
  /** A call of it has failed, so it cannot know what is stored. */
  troubled = false
  /** It has called `regenerate`, and not committed since. */
  moving = false
  /** Its changes since its last acknowledged commit. */
  log: (Change | Look)[] = []
  /** Its changes that are stored, whether or not it has been told. */
  readonly applied: Set<object> = new Set()
  history: SessionHistory = new SessionHistory()
  /** The key under which it believes its session to be stored; `undefined` if it believes that nothing is stored. */
  key: string | undefined
  /** The index of the state that it stored last in what it is doing now. */
  wrote: number | undefined
  /** The key under which its session really is stored. */
  #place: string | undefined
  /** The range of states that its log may build upon. */
  #from = 0
  #to = 0
  #looked = false
  readonly #origins = new Map<string, Origin>()

  constructor(name: string) {
    this.name = name
  }

  begin(doing: Doing, claiming?: string): void {
    this.doing = doing
    this.claiming = claiming
    this.claimed = undefined
    this.successor = undefined
    this.wrote = undefined
    this.#looked = false
  }

  end(): void {
    this.doing = 'nothing'
    this.claiming = undefined
  }

  /** What its log may build upon, in the history of a record that it has written or wants to write. */
  groundOf({ states }: SessionHistory): Ground {
    return { states, from: this.#from, to: this.#to }
  }

  /** The session was found under `key`, in this state. */
  found(history: SessionHistory, index: number, key: string): void {
    this.key = this.#place = key
    this.history = history
    this.#from = this.#to = Math.max(index, 0)
  }

  /** The store has answered a read of the session. */
  saw(): void {
    this.#looked = true
  }

  /** From now on it may have seen everything that is stored by now. */
  mayHaveSeenAll(): void {
    this.log.push({ kind: 'look', until: this.history.end })
    this.#to = Math.max(this.#to, this.wrote ?? 0)
  }

  /** Changes of it were stored: the session lives under `key` now, or has ended if that is `undefined`. */
  stored(history: SessionHistory, key: string | undefined, log: Log): void {
    for (const change of log) this.applied.add(change)
    this.wrote = history.end
    this.#place = key
    this.history = history
  }

  /** What it had done when it made a payload, which it may send again later. */
  originOf(payload: string | undefined): Origin {
    const version = payload === undefined ? '' : versionOf(payload)
    const origin = this.#origins.get(version) ?? { log: [...this.log], claiming: this.claiming }
    if (version !== '') this.#origins.set(version, origin)
    return origin
  }

  /** Whether a call writes the record that `regenerate` moves the session to. */
  prepares({ verb, key }: Call): boolean {
    const writes = verb === 'create' || verb === 'replace'
    return writes && this.moving && this.key !== undefined && key !== this.key
  }

  /** Its commit was acknowledged. */
  settle(): void {
    if (!this.troubled && this.wrote !== undefined) this.#from = this.#to = this.wrote
    // Other requests of its process may have handed it what they stored, without a read.
    else if (this.troubled || this.#looked || this.log.length > 0) this.#to = this.history.end
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

import { holdsNothing } from '../../session/owners/owner.ts'
import { hasPending, type Act, type Ground, type Log, type Mark, type Rules } from './replay-model.ts'
import { SessionHistory } from './session-history.ts'
import { versionOf } from '../../store.ts'
import type { Call } from './store-model.ts'
import type { Value } from './values.ts'

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
  /** A call of it has failed, so it cannot know what is stored. */
  troubled = false
  /** It has called `regenerate`, and not committed since. */
  moving = false
  /** Its client has closed the connection. */
  isDisconnected = false
  history: SessionHistory = new SessionHistory()
  /** How often its session had been regenerated when it began. */
  epoch = 0
  /** The key under which it believes its session to be stored; `undefined` if it believes that nothing is stored. */
  key: string | undefined
  /** The index of the state that it stored last in what it is doing now. */
  wrote: number | undefined
  /** It has given its session a new ID in what it is doing now. */
  hasMoved = false
  /** When it last knew that its session is stored, in ms since the epoch. */
  sureAt = 0
  /** How many calls it has made in what it is doing now, and how many all requests had made when it began. */
  calls = 0
  /** How many of them were not answered. */
  unanswered = 0
  callsOfAll = 0
  /** It knew the newest state of its session when it began what it is doing now. */
  wasUpToDate = false
  /** A redirect that it met while it looked for its session opens nothing. */
  isShutOut = false
  /** How many redirects it passed while it looked for its session. */
  hops = 0
  /** How many writes there had been when it last knew the newest state of its session. */
  upToDateAt = -1
  readonly #rules: Rules
  #log: (Act | Mark)[] = []
  /** The key under which its session really is stored. */
  #place: string | undefined
  #from = 0
  readonly #origins = new Map<string, Origin>()
  #removal: Origin | undefined
  /** Whether its last commit was stored is not known to it. */
  #isUnsure = false

  constructor(name: string, rules: Rules) {
    this.name = name
    this.#rules = rules
  }

  /** What it did since it opened its session. */
  get log(): Log {
    return this.#log
  }

  /** Its session was regenerated since it began. */
  get isOutrun(): boolean {
    return this.epoch < this.history.epoch
  }

  begin(
    doing: Doing,
    { calls, writes }: { readonly calls: number; readonly writes: number },
    claiming?: string,
  ): void {
    this.doing = doing
    this.claiming = claiming
    this.claimed = undefined
    this.wrote = undefined
    this.hasMoved = false
    this.calls = 0
    this.unanswered = 0
    this.callsOfAll = calls
    this.wasUpToDate = this.upToDateAt === writes
  }

  end(): void {
    if (this.unanswered > 0) this.#isUnsure = true
    this.doing = 'nothing'
    this.claiming = undefined
  }

  note(act: Act): void {
    const isUnsure = this.#isUnsure && act.kind === 'get'
    this.#log.push(isUnsure ? { ...act, isUnsure } : act)
  }

  /** What its log builds upon, in the history of a record that it has written or wants to write. */
  groundOf({ states }: SessionHistory): Ground {
    return { states, from: this.#from, rules: this.#rules }
  }

  /** The session was found under `key`, in this state. */
  found(history: SessionHistory, index: number, key: string): void {
    this.key = this.#place = key
    this.history = history
    this.epoch = history.epoch
    this.#from = Math.max(index, 0)
  }

  /** From now on it may have seen everything that was stored before it was outrun. */
  mayHaveSeenAll(): void {
    this.#log.push({ kind: 'look', until: this.history.endOf(this.epoch) })
  }

  /** The record that it has created for a new session is there: it lives under `key`. */
  adopts(history: SessionHistory, key: string, log: Log): void {
    this.#log = this.#log.filter(({ kind }) => !isMark(kind))
    this.#from = 0
    this.epoch = history.epoch
    this.stored(history, key, log)
  }

  /** It has found the record that it had created without an answer. */
  finds(history: SessionHistory, key: string, log: Log): void {
    if (this.#place !== key) this.adopts(history, key, log)
    this.key = key
  }

  /** What it had done until `log` was stored: the session lives under `key` now, or has ended if that is `undefined`. */
  stored(history: SessionHistory, key: string | undefined, log: Log): void {
    this.wrote = history.end
    this.#place = key
    this.history = history
    const last = log.findLast((entry) => this.#log.includes(entry))
    const at = last === undefined ? 0 : this.#log.lastIndexOf(last) + 1
    this.#log.splice(at, 0, { kind: 'stored', at: history.end })
  }

  /** It was handed what it has claimed. */
  hasClaimed(key: string): void {
    if (this.wrote !== undefined) this.#log.push({ kind: 'claimed', key, at: this.wrote })
  }

  /** What it had done when it made the payload of a call, which it may send again later. */
  originOf({ verb, payload }: Call): Origin {
    const present = { log: [...this.#log], claiming: this.claiming }
    if (verb === 'destroy') this.#removal = present
    if (payload === undefined) return present
    // Only a removal without an answer is written: what it wanted to remove is replaced by nothing.
    const isRemoval = verb === 'replace' && this.claiming === undefined && holdsNothing(payload)
    const origin = this.#origins.get(versionOf(payload)) ?? (isRemoval ? this.#removal : present) ?? present
    this.#origins.set(versionOf(payload), origin)
    return origin
  }

  /** Its commit was acknowledged. */
  settle(): void {
    if (this.wrote === undefined && (hasPending(this.#log) || this.calls > 0)) {
      // It may have been rebased, and other requests of its process may have handed it what they stored, without a read.
      this.mayHaveSeenAll()
      this.#log.push({ kind: 'settled' })
    }
    this.key = this.#place
    this.moving = false
    this.#isUnsure = false
  }

  /** Its session has ended, and it begins another one. */
  reset(): void {
    this.history = new SessionHistory()
    this.epoch = 0
    this.key = this.#place = undefined
    this.#from = 0
    this.#log = []
    this.moving = false
  }
}

/** What a request did, without what became of it under another key. */
export function actsIn(log: Log): Log {
  return log.filter(({ kind }) => !isMark(kind))
}

function isMark(kind: Log[number]['kind']): boolean {
  return kind === 'look' || kind === 'stored' || kind === 'settled' || kind === 'claimed'
}

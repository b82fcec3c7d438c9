import type { PendingCall } from './gated-store.ts'
import { recordOf } from './records.ts'
import { keysOf, leaves, outcomes, REFUSED, type Ground, type Log } from './replay-model.ts'
import { actsIn, type RequestView } from './request-view.ts'
import { SessionHistory } from './session-history.ts'
import {
  agrees,
  cameFirst,
  describe,
  follow,
  isRepeated,
  predict,
  type Answer,
  type Row,
  type Step,
} from './store-model.ts'
import { stateOf, type State, type Value } from './values.ts'
import type { Invariant, Violations } from './violations.ts'
import { IDLE, type VirtualTime } from './virtual-time.ts'

/** A session's record, the request that wrote it, and what that had done until then. */
export interface SessionPage extends Row {
  readonly kind: 'session'
  readonly history: SessionHistory
  readonly view: RequestView
  readonly log: Log
}

/** What a key holds. */
type Page =
  | SessionPage
  | (Row &
      /** A record that a request has prepared, to move its session there, and what it had done until then. */
      (
        | { readonly kind: 'staged'; readonly view: RequestView; readonly log: Log }
        | { readonly kind: 'redirect'; readonly next: string; readonly opensUntil: number }
        | { readonly kind: 'trail'; readonly next: string }
        | { readonly kind: 'tombstone' }
      ))

/** A call that was carried out. */
export type Done = readonly [call: PendingCall, answer: Answer]

/** The most calls that ending a session may take, with a writer at every step and hops. An answer that is lost costs two more. */
const MOST_CALLS_OF_DESTROY = 14

/** Knows what really is in the store, call by call, and judges each answer and each write. */
export class Oracle {
  readonly pages: Map<string, Page> = new Map()
  /** How many calls were carried out. */
  calls = 0
  /** How many of them have changed something. */
  writes = 0
  /** For how long a redirect is kept at least, in ms. */
  readonly #redirectLife: number
  readonly #names = new Map<string, string>()
  /** Keys of IDs that a client was told. */
  readonly #told = new Set<string>()
  /** Keys of IDs that were given up by a regeneration that was acknowledged. */
  readonly #closed = new Set<string>()
  readonly #created = new Set<string>()
  readonly #violations: Violations
  readonly #time: VirtualTime

  constructor(violations: Violations, time: VirtualTime, redirectLife: number) {
    this.#violations = violations
    this.#time = time
    this.#redirectLife = redirectLife
  }

  /** What a key is called in reports. */
  nameOf(key: string): string {
    let name = this.#names.get(key)
    if (name === undefined) this.#names.set(key, (name = `ID ${this.#names.size + 1}`))
    return name
  }

  /** Every key that any request has asked for. */
  get keys(): readonly string[] {
    return [...this.#names.keys()]
  }

  /** The clock that the managers use. */
  clock(): number {
    return this.#time.clock()
  }

  /** Whether anything is stored under a key. */
  lives(key: string | undefined): boolean {
    const page = key === undefined ? undefined : this.pages.get(key)
    return page !== undefined && page.until > this.#time.now()
  }

  /** Whether a session is stored under a key. */
  opens(key: string | undefined): boolean {
    return key !== undefined && this.lives(key) && this.pages.get(key)?.kind === 'session'
  }

  /** The session that a key leads to, whether or not its ID opens it. */
  leadsTo(key: string): SessionHistory | undefined {
    const page = this.lives(key) ? this.pages.get(key) : undefined
    if (page?.kind === 'redirect') return this.leadsTo(page.next)
    return page?.kind === 'session' ? page.history : undefined
  }

  /** A client was told the ID that belongs to a key. */
  tell(key: string): void {
    this.#told.add(key)
  }

  isTold(key: string | undefined): boolean {
    return key !== undefined && this.#told.has(key)
  }

  /** The IDs that a session had before are given up: its regeneration was acknowledged. */
  closeOldIdsOf({ key, keys }: SessionHistory): void {
    for (const old of keys) if (old !== key) this.#closed.add(old)
  }

  isClosed(key: string): boolean {
    return this.#closed.has(key)
  }

  /** Takes note of calls that ran at the same time, in an order that explains their answers if there is one. */
  note(done: readonly Done[]): void {
    const [first, second] = done
    if (first !== undefined && second !== undefined && this.#areSwapped(first, second)) done = [second, first]
    for (const [pending, answer] of done) this.#noteOne(pending, answer)
  }

  #areSwapped([{ call: one }, answer]: Done, [{ call: other }, reply]: Done): boolean {
    if (one.key !== other.key) return false
    const steps = [
      { call: one, answer },
      { call: other, answer: reply },
    ] as const
    return cameFirst(steps, this.pages.get(one.key), this.#time.now(), (at) => this.#time.until(at))
  }

  #noteOne(pending: PendingCall, answer: Answer): void {
    const { call, view } = pending
    const step = { call, answer }
    const page = this.pages.get(call.key)
    const now = this.#time.now()
    const actual = describe(step)
    const name = this.nameOf(call.key)
    this.calls += 1
    this.#violations.tell(view.name, `${call.verb} ${name}${pending.orphaned ? ', late' : ''}: ${actual}`)
    if (!agrees(step, page, now)) {
      const detail = `${call.verb} of ${name} answers ${actual}, not ${predict(call, page, now)}`
      this.#violations.wrong('modelled', detail)
    }
    if (call.verb === 'read') this.#noteRead(pending, name, page, step)
    else if (actual.startsWith('written') && !isRepeated(call, page, now))
      this.#noteWrite(pending, name, page, step)
    else if (answer === 'ok') this.#noteOk(pending, name, page)
  }

  #noteRead(
    { view, doing, isAnswered }: PendingCall,
    name: string,
    page: Page | undefined,
    { call, answer }: Step,
  ): void {
    if (typeof answer !== 'object' || !('payload' in answer)) return
    if (!this.lives(call.key)) this.#violations.wrong('ended', `${name} is found`)
    if (page === undefined) return
    // The row lives at least that long: a read beside a touch may have come first.
    const until = Math.max(page.until, this.#time.until(answer.expiresAt))
    this.pages.set(call.key, { ...page, until })
    if (!isAnswered) return
    if (page.kind === 'redirect' && doing !== 'destroy') {
      view.hops += 1
      if (doing === 'find' && page.opensUntil <= this.#time.clock()) view.isShutOut = true
    }
    if (page.kind !== 'session') return
    if (doing === 'find') {
      view.found(page.history, page.history.indexOf(answer.payload), call.key)
      view.upToDateAt = this.writes
      if (page.history.endToldAt <= view.callsOfAll)
        this.#violations.wrong('ended', `${name} is found after its end was acknowledged`)
    } else if (view.key === undefined && page.view === view) {
      // It finds the record that it had tried to create.
      view.finds(page.history, call.key, page.log)
    }
  }

  #noteWrite(pending: PendingCall, name: string, page: Page | undefined, step: Step): void {
    const { call, view, log, believed } = pending
    const row = follow(step, page, (at) => this.#time.until(at))
    if (row === undefined) return
    this.writes += 1
    const { payload, until } = row
    const record = recordOf(payload)
    if (record.kind === 'tombstone' || record.kind === 'trail')
      this.pages.set(call.key, { ...record, payload, until })
    else if (record.kind === 'redirect') {
      this.pages.set(call.key, { ...record, payload, until })
      this.#noteMove(pending, name, page, record.next)
    } else if (call.verb === 'create') {
      if (this.#created.has(call.key)) this.#violations.wrong('ended', `${name} is created once more`)
      this.#created.add(call.key)
      if (believed === undefined) this.#noteBegin(pending, payload, until)
      else this.pages.set(call.key, { kind: 'staged', payload, until, view, log })
    } else if (page?.kind === 'staged') this.pages.set(call.key, { ...page, payload, until, log })
    else this.#noteReplace(pending, name, page, { payload, until })
  }

  #noteBegin({ call, view, log, isAnswered }: PendingCall, payload: string, until: number): void {
    const history = new SessionHistory()
    const state = stateOf(payload)
    const acts = actsIn(log)
    this.pages.set(call.key, { kind: 'session', payload, until, history, view, log: acts })
    this.#judge(acts, view.groundOf(history), state)
    history.moveTo(call.key)
    history.add(payload, state)
    // A record whose creation was not answered is the request's session only once the request finds it.
    if (isAnswered) view.adopts(history, call.key, acts)
    view.upToDateAt = this.writes
  }

  #noteReplace(pending: PendingCall, name: string, page: Page | undefined, row: Row): void {
    const { call, view, log, claiming } = pending
    if (!this.lives(call.key)) this.#violations.wrong('ended', `${name} is written to`)
    if (page !== undefined && page.kind !== 'session')
      this.#violations.wrong('single', `${name}, which is no session's ID any more, is written to`)
    const history = page?.kind === 'session' ? page.history : view.history
    this.pages.set(call.key, { kind: 'session', ...row, history, view, log })
    if (history.endToldAt <= view.callsOfAll)
      this.#violations.wrong('ended', `${name} is written to after its end was acknowledged`)
    this.#refuseOutrun(view, history, name)
    const state = stateOf(row.payload)
    if (claiming === undefined) this.#judge(log, view.groundOf(history), state)
    else this.#judgeClaim(view, claiming, history, state)
    history.add(row.payload, state)
    if (claiming === undefined) view.stored(history, call.key, log)
    else view.wrote = history.end
    view.upToDateAt = this.writes
  }

  /** A redirect has replaced a session's record: from now on the session is where the redirect leads. */
  #noteMove(pending: PendingCall, name: string, page: Page | undefined, successor: string): void {
    const { call, view, moving } = pending
    if (page?.kind !== 'session' || !(page.until > this.#time.now())) {
      this.#violations.wrong('ended', `${name} is made a redirect, and is no session`)
      return
    }
    const { history } = page
    this.#refuseOutrun(view, history, name)
    const next = this.pages.get(successor)
    if (next?.kind !== 'staged' || !this.lives(successor)) {
      // Whatever the store does, a rotation must not end a session.
      if (!view.troubled || !moving)
        this.#violations.wrong('preserved', `${name} is made a redirect that leads nowhere`)
      history.remove()
      return
    }
    const state = stateOf(next.payload)
    this.pages.set(successor, { ...next, kind: 'session', history })
    if (moving && view.isDisconnected)
      this.#violations.wrong('told', 'a client that has gone away is given a new ID')
    this.#judge(next.log, view.groundOf(history), state)
    if (moving) history.regenerate()
    history.add(next.payload, state)
    history.moveTo(successor)
    history.mover = view
    view.stored(history, successor, next.log)
    view.hasMoved = true
    view.upToDateAt = this.writes
    view.epoch = history.epoch
    this.#violations.tell(view.name, `${this.nameOf(call.key)} leads to ${this.nameOf(successor)}`)
  }

  /** A touch, or a destroy. */
  #noteOk({ call, view, log, doing, believed }: PendingCall, name: string, page: Page | undefined): void {
    if (page === undefined || !this.lives(call.key)) return
    if (call.verb === 'touch') {
      const until = Math.max(page.until, this.#time.until(call.expiresAt ?? 0))
      this.pages.set(call.key, { ...page, until })
      return
    }
    this.writes += 1
    this.pages.delete(call.key)
    if (page.kind !== 'session') return
    const { history } = page
    history.remove()
    if (doing === 'destroy') return
    // What a move has made is taken back, wherever it has gone since.
    const isWithdrawn = (view.hasMoved || history.mover === view) && call.key !== believed
    if (isWithdrawn && !view.troubled && !history.isEndAsked)
      this.#violations.wrong('preserved', `${name} is withdrawn, and no request wanted to end it`)
    if (isWithdrawn) return
    // The commit must have removed the last value.
    this.#refuseOutrun(view, history, name)
    if (call.base === undefined || doing !== 'commit' || view.history !== history)
      this.#violations.wrong('preserved', `${name} was destroyed by a ${doing}`)
    else this.#judge(log, view.groundOf(history), new Map())
    history.add('', new Map())
    view.stored(history, undefined, log)
  }

  /** A request that began before a regeneration must not write. */
  #refuseOutrun(view: RequestView, history: SessionHistory, name: string): void {
    if (view.history === history && view.isOutrun)
      this.#violations.wrong('fenced', `${name} is written to by a request that began before`)
  }

  /** Checks that a commit has made `state` from the newest state by replaying the log. */
  #judge(log: Log, ground: Ground, state: State): void {
    const end = ground.states.length - 1
    const before = ground.states[end] ?? new Map<string, Value>()
    const touched = new Set(keysOf(log, before))
    for (const key of new Set([...before.keys(), ...state.keys(), ...keysIn(log)])) {
      const all = outcomes(key, log, ground, end)
      const right = all.filter((each) => each !== REFUSED)
      const value = state.get(key)
      if (right.includes(value)) continue
      if (right.length === 0) {
        this.#violations.wrong('refused', `${key} is ${value ?? 'nothing'}, and the commit was to be refused`)
        continue
      }
      const detail = `${key} is ${value ?? 'nothing'}, not ${oneOf(right)}`
      this.#violations.wrong(invariantOf(key, touched.has(key), value, right), detail)
    }
  }

  /** Checks that a claim has removed its key and nothing else. */
  #judgeClaim(view: RequestView, key: string, history: SessionHistory, state: State): void {
    const before = history.newest
    view.claimed = { value: before.get(key) }
    if (!before.has(key)) this.#violations.wrong('claimed', `${key} was claimed although it was not there`)
    for (const other of new Set([...before.keys(), ...state.keys()])) {
      const right = other === key ? undefined : before.get(other)
      if (state.get(other) === right) continue
      const detail = `a claim makes ${other} ${state.get(other) ?? 'nothing'}, not ${right ?? 'nothing'}`
      this.#violations.wrong(invariantOf(other, other === key, state.get(other), [right]), detail)
    }
  }

  /** Whether the changes of a request may leave its session as it is. */
  comesToNothing(view: RequestView): boolean {
    const { history, log } = view
    const ground = view.groundOf(history)
    for (let end = ground.from; end <= history.endOf(view.epoch); end += 1)
      if (leaves(log, ground, end)) return true
    return false
  }

  /** Checks a commit that was acknowledged without a write: its changes must come to nothing. */
  judgeIdle(view: RequestView): void {
    const [key] = keysOf(view.log, view.history.newest)
    if (key === undefined || this.comesToNothing(view)) return
    this.#violations.wrong(
      key === 'n' || key === 'm' ? 'counted' : 'preserved',
      `a change of ${key} was acknowledged and never stored`,
    )
  }

  /** Whether so much time has passed for a request that a redirect or its session may have expired. */
  hasOutlived({ sureAt }: RequestView): boolean {
    return this.#time.clock() - sureAt >= Math.min(this.#redirectLife, IDLE)
  }

  /** Why the rules refuse what a request does, or `undefined` if they do not. */
  whyRefused(view: RequestView): string | undefined {
    const { history, doing, moving, key } = view
    if (this.hasOutlived(view) && !this.opens(key))
      return 'it is older than a redirect, or its session has expired'
    if (doing !== 'commit' && doing !== 'claim') return undefined
    if (view.isOutrun) return 'its session was regenerated'
    if (moving && (history.hasEnded || history.isEndAsked)) return 'its session was ended'
    if (view.troubled && history.hasEnded) return 'its session has ended, and it may not know how'
    if (moving && view.troubled && !this.opens(key)) return 'a redirect of its own came late'
    if (moving && view.isDisconnected) return 'its client has gone away'
    const ground = view.groundOf(history)
    const end = history.endOf(view.epoch)
    const keys = new Set([...keysIn(view.log), ...ground.states.flatMap((state) => [...state.keys()])])
    const changed = [...keys].find((each) => outcomes(each, view.log, ground, end).includes(REFUSED))
    return changed === undefined ? undefined : `another request changed ${changed}`
  }

  /** Checks how many calls an operation took. */
  judgeCalls(view: RequestView, isById: boolean, isRotating: boolean): void {
    const { doing, calls, unanswered, callsOfAll, moving, wasUpToDate, hops } = view
    const tell = (most: number): void => {
      if (calls > most) this.#violations.wrong('bounded', `a ${doing} took ${calls} calls, more than ${most}`)
    }
    if (doing === 'destroy') tell(MOST_CALLS_OF_DESTROY + 2 * unanswered)
    const isAlone = this.calls - callsOfAll === calls && (isById || wasUpToDate)
    if (view.troubled || !isAlone || doing === 'find' || doing === 'nothing') return
    if (isById) tell(2 + MAX_HOPS)
    else if (doing === 'commit' && !this.opens(view.history.key) && !view.history.hasEnded) return
    else if (doing === 'commit' && view.history.isEndAsked) return
    else if (doing === 'commit' && isRotating) tell(5 + hops) // the trail takes up to two more
    else if (doing === 'commit' && moving) tell(3 + hops)
    else tell(1)
  }
}

/** More redirects in a row than a simulation makes. */
const MAX_HOPS = 4

/** The keys that occur in a log. */
function keysIn(log: Log): readonly string[] {
  return log.flatMap((entry) => ('key' in entry ? [entry.key] : []))
}

/** Values in words. */
export function oneOf(values: readonly Value[]): string {
  return [...new Set(values)].map((value) => value ?? 'nothing').join(' or ')
}

/** The invariant that a wrong value of a key violates. */
function invariantOf(key: string, isTouched: boolean, value: Value, right: readonly Value[]): Invariant {
  const isBack = value !== undefined && right.every((each) => each === undefined)
  if (isBack) return key === 'token' ? 'claimed' : 'deleted'
  if (key === 'n' || key === 'm') return 'counted'
  return isTouched ? 'replayed' : 'preserved'
}

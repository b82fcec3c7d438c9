import type { PendingCall } from './gated-store.ts'
import { keysOf, leaves, outcomes, pendingOf, type Ground, type Log } from './replay-model.ts'
import { SessionHistory, type RequestView } from './request-view.ts'
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
import type { VirtualTime } from './virtual-time.ts'

/** What a key holds, and the session that it belongs to. */
interface Page extends Row {
  readonly history: SessionHistory
  /** Set while this is a record that a regeneration has prepared: its request, and what that had done until then. */
  readonly staged: { readonly view: RequestView; readonly log: Log } | undefined
}

/** A call that was carried out. */
export type Done = readonly [call: PendingCall, answer: Answer]

/** Knows what really is in the store, call by call, and judges each answer and each write. */
export class Oracle {
  readonly pages: Map<string, Page> = new Map()
  readonly #names = new Map<string, string>()
  readonly #violations: Violations
  readonly #time: VirtualTime

  constructor(violations: Violations, time: VirtualTime) {
    this.#violations = violations
    this.#time = time
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

  /** Whether a living session is stored under a key. */
  lives(key: string | undefined): boolean {
    const page = key === undefined ? undefined : this.pages.get(key)
    return page !== undefined && page.until > this.#time.now()
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
    this.#violations.tell(view.name, `${call.verb} ${name}${pending.orphaned ? ', late' : ''}: ${actual}`)
    if (!agrees(step, page, now)) {
      const detail = `${call.verb} of ${name} answers ${actual}, not ${predict(call, page, now)}`
      this.#violations.wrong('modelled', detail)
    }
    if (call.verb === 'read') this.#noteRead(view, name, page, step)
    else if (actual.startsWith('written') && !isRepeated(call, page, now))
      this.#noteWrite(pending, name, page, step)
    else if (answer === 'ok') this.#noteOk(pending, name, page)
  }

  #noteRead(view: RequestView, name: string, page: Page | undefined, { call, answer }: Step): void {
    if (typeof answer !== 'object' || !('payload' in answer)) return
    if (!this.lives(call.key)) this.#violations.wrong('ended', `${name} is found`)
    if (page === undefined) return
    // The row lives at least that long: a read beside a touch may have come first.
    const until = Math.max(page.until, this.#time.until(answer.expiresAt))
    this.pages.set(call.key, { ...page, until })
    view.saw()
    if (view.doing === 'find') view.found(page.history, page.history.indexOf(answer.payload), call.key)
  }

  #noteWrite(pending: PendingCall, name: string, page: Page | undefined, step: Step): void {
    const { call, view, log, claiming } = pending
    const row = follow(step, page, (at) => this.#time.until(at))
    if (row === undefined) return
    const { payload, until } = row
    if (call.verb === 'replace' && !this.lives(call.key))
      this.#violations.wrong('ended', `${name} is written to`)
    if (call.key === pending.successor) {
      this.pages.set(call.key, { payload, until, history: view.history, staged: { view, log } })
      return
    }
    const history = call.verb === 'create' ? new SessionHistory() : (page?.history ?? view.history)
    this.pages.set(call.key, { payload, until, history, staged: undefined })
    const state = stateOf(payload)
    if (call.verb === 'create') {
      // A second record of one request is a second session: the client was never told the ID of the first one.
      view.applied.clear()
      this.#judge(view, log, { states: history.states, from: 0, to: 0 }, state)
      history.key = call.key
    } else if (claiming === undefined) this.#judge(view, log, view.groundOf(history), state)
    else this.#judgeClaim(view, claiming, history, state)
    history.add(payload, state)
    view.stored(history, call.key, claiming === undefined ? log : [])
  }

  /** A touch, or a destroy. */
  #noteOk({ call, view, log, doing, successor }: PendingCall, name: string, page: Page | undefined): void {
    if (page === undefined || !this.lives(call.key)) return
    if (call.verb === 'touch') {
      const until = Math.max(page.until, this.#time.until(call.expiresAt ?? 0))
      this.pages.set(call.key, { ...page, until })
      return
    }
    const { history } = page
    this.pages.delete(call.key)
    if (page.staged !== undefined) return
    const key = call.base === undefined ? undefined : successor
    const next = key === undefined ? undefined : this.pages.get(key)
    if (key !== undefined && next?.staged !== undefined) {
      const state = stateOf(next.payload)
      this.#judge(view, next.staged.log, view.groundOf(history), state)
      this.pages.set(key, { ...next, history, staged: undefined })
      history.add(next.payload, state)
      history.key = key
      view.stored(history, key, next.staged.log)
      return
    }
    if (doing === 'commit' && !view.troubled) {
      // The commit must have removed the last value.
      if (call.base === undefined) this.#violations.wrong('preserved', `${name} was destroyed by a commit`)
      else this.#judge(view, log, view.groundOf(history), new Map())
    }
    if (doing === 'commit') view.stored(history, undefined, log)
    history.key = undefined
  }

  /** Checks that a commit has made `state` from the newest state by replaying the log. */
  #judge(view: RequestView, log: Log, ground: Ground, state: State): void {
    const before = ground.states.at(-1) ?? new Map<string, Value>()
    const end = ground.states.length - 1
    const pending = pendingOf(log, view.applied)
    const touched = new Set(keysOf(pending, before))
    for (const key of new Set([...before.keys(), ...state.keys(), ...touched])) {
      const right = touched.has(key) ? outcomes(key, pending, ground, end) : [before.get(key)]
      if (right.includes(state.get(key))) continue
      const detail = `${key} is ${state.get(key) ?? 'nothing'}, not ${oneOf(right)}`
      this.#violations.wrong(invariantOf(key, touched.has(key), before.has(key)), detail)
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
      this.#violations.wrong(invariantOf(other, other === key, before.has(other)), detail)
    }
  }

  /** Checks a commit that was acknowledged without a write: its changes must come to nothing. */
  judgeIdle(view: RequestView): void {
    const { history } = view
    const pending = pendingOf(view.log, view.applied)
    const [key] = keysOf(pending, history.newest)
    if (key === undefined) return
    const ground = view.groundOf(history)
    for (let end = ground.from; end <= history.end; end += 1) if (leaves(pending, ground, end)) return
    this.#violations.wrong(
      invariantOf(key, false, true),
      `a change of ${key} was acknowledged and never stored`,
    )
  }
}

/** Values in words. */
export function oneOf(values: readonly Value[]): string {
  return [...new Set(values)].map((value) => value ?? 'nothing').join(' or ')
}

/** The invariant that a wrong value of a key violates. */
function invariantOf(key: string, touched: boolean, there: boolean): Invariant {
  if (key === 'n' || key === 'm') return 'counted'
  if (!there) return key === 'token' ? 'claimed' : 'deleted'
  return touched ? 'replayed' : 'preserved'
}

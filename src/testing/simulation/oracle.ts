import type { Answer } from './gated-store.ts'
import type { PendingCall } from './pending-call.ts'
import { SessionHistory } from './session-history.ts'
import {
  agrees,
  cameFirst,
  describe,
  follow,
  isRepeated,
  predict,
  type Row,
  type Step,
} from './store-model.ts'
import { keysOf, leaves, outcomes, pendingOf, type Ground, type Log } from './replay-model.ts'
import type { VirtualTime } from './virtual-time.ts'
import { stateOf, type State } from './values.ts'
import type { Invariant, Violations } from './violations.ts'
import type { Actor } from './actor.ts'

/** What a key holds, whose it is, and who put it there without anybody else knowing of it yet. */
interface Page extends Row {
  readonly history: SessionHistory
  /** The successor that a regeneration has prepared, and what its request had done until then. */
  readonly staged: { readonly actor: Actor; readonly log: Log } | undefined
}

/** A verb that was carried out. */
export type Done = readonly [pendingCall: PendingCall, answer: Answer]

/** What really is in the store, verb by verb, and whether each was right. */
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

  /** Every key that was ever asked for. */
  get keys(): readonly string[] {
    return [...this.#names.keys()]
  }

  /** Whether somebody lives under a key. */
  lives(key: string | undefined): boolean {
    const page = key === undefined ? undefined : this.pages.get(key)
    return page !== undefined && page.until > this.#time.now()
  }

  /** Notes verbs that ran at the same time, in an order that explains their answers if there is one. */
  note(done: readonly Done[]): void {
    const [first, second] = done
    if (first !== undefined && second !== undefined && this.#swapped(first, second)) done = [second, first]
    for (const [pendingCall, answer] of done) this.#noteOne(pendingCall, answer)
  }

  #swapped([one, answer]: Done, [other, reply]: Done): boolean {
    const [call, also] = [one.call, other.call]
    if (call === undefined || also === undefined || call.key !== also.key) return false
    const steps = [
      { call, answer },
      { call: also, answer: reply },
    ] as const
    return cameFirst(steps, this.pages.get(call.key), this.#time.now(), (at) => this.#time.until(at))
  }

  #noteOne(pendingCall: PendingCall, answer: Answer): void {
    const { call, actor } = pendingCall
    if (call === undefined) return
    const step = { call, answer }
    const page = this.pages.get(call.key)
    const actual = describe(step)
    const name = this.nameOf(call.key)
    this.#violations.tell(
      actor.name,
      `${call.verb} ${name}${pendingCall.orphaned ? ', late' : ''}: ${actual}`,
    )
    if (!agrees(step, page, this.#time.now())) {
      this.#violations.wrong(
        'modelled',
        `${call.verb} of ${name} answers ${actual}, not ${predict(call, page, this.#time.now())}`,
      )
    }
    if (call.verb === 'read') this.#read(actor, name, page, step)
    else if (actual.startsWith('written') && !isRepeated(call, page, this.#time.now()))
      this.#written(pendingCall, name, page, step)
    else if (answer === 'ok') this.#ok(pendingCall, name, page, step)
  }

  #read(actor: Actor, name: string, page: Page | undefined, step: Step): void {
    const { call, answer } = step
    if (typeof answer !== 'object' || !('payload' in answer)) return
    if (!this.lives(call.key)) this.#violations.wrong('ended', `${name} is found`)
    if (page === undefined) return
    // It lives at least so long: beside a touch the read may have come first.
    const until = Math.max(page.until, this.#time.until(answer.expiresAt))
    this.pages.set(call.key, { ...page, until })
    actor.view.saw()
    if (actor.doing === 'find') {
      actor.view.found(page.history, page.history.indexOf(answer.payload), call.key)
    }
  }

  #written(pendingCall: PendingCall, name: string, page: Page | undefined, step: Step): void {
    const { actor, log } = pendingCall
    const { call } = step
    const row = follow(step, page, (at) => this.#time.until(at))
    if (row === undefined) return
    const { payload, until } = row
    if (call.verb === 'replace' && !this.lives(call.key))
      this.#violations.wrong('ended', `${name} is written to`)
    if (call.key === pendingCall.successor) {
      this.pages.set(call.key, { payload, until, history: actor.view.history, staged: { actor, log } })
      return
    }
    const history = call.verb === 'create' ? new SessionHistory() : (page?.history ?? actor.view.history)
    this.pages.set(call.key, { payload, until, history, staged: undefined })
    const state = stateOf(payload)
    if (call.verb === 'create') {
      // A second record of one request is a second session: the first one's ID was never told.
      actor.view.applied.clear()
      const ground = { states: history.states, from: 0, to: 0 }
      this.#judge(actor, log, ground, state)
      history.key = call.key
    } else if (pendingCall.claiming !== undefined)
      this.#judgeClaim(actor, pendingCall.claiming, history, state)
    else this.#judge(actor, log, actor.view.groundOf(history), state)
    history.add(payload, state)
    actor.view.stored(history, call.key, pendingCall.claiming === undefined ? log : [])
  }

  #ok(pendingCall: PendingCall, name: string, page: Page | undefined, step: Step): void {
    const { actor, log } = pendingCall
    const { call } = step
    if (page === undefined || !this.lives(call.key)) return
    if (call.verb === 'touch') {
      const until = Math.max(page.until, this.#time.until(call.expiresAt ?? 0))
      this.pages.set(call.key, { ...page, until })
      return
    }
    const { history } = page
    this.pages.delete(call.key)
    if (page.staged !== undefined) return
    const key = call.base === undefined ? undefined : pendingCall.successor
    const next = key === undefined ? undefined : this.pages.get(key)
    if (key !== undefined && next?.staged !== undefined) {
      const state = stateOf(next.payload)
      this.#judge(actor, next.staged.log, actor.view.groundOf(history), state)
      this.pages.set(key, { ...next, history, staged: undefined })
      history.add(next.payload, state)
      history.key = key
      actor.view.stored(history, key, next.staged.log)
      return
    }
    if (pendingCall.doing === 'commit' && !actor.troubled) {
      // Emptied, or so it must be.
      if (call.base === undefined) this.#violations.wrong('preserved', `${name} was destroyed by a commit`)
      else this.#judge(actor, log, actor.view.groundOf(history), new Map())
    }
    if (pendingCall.doing === 'commit') actor.view.stored(history, undefined, log)
    history.key = undefined
  }

  /** Whether a commit has made of the newest state what its log says. */
  #judge(actor: Actor, log: Log, ground: Ground, state: State): void {
    const before = ground.states.at(-1) ?? new Map()
    const end = ground.states.length - 1
    const pending = pendingOf(log, actor.view.applied)
    const touched = new Set(keysOf(pending, before))
    for (const key of new Set([...before.keys(), ...state.keys(), ...touched])) {
      const value = state.get(key)
      const right = touched.has(key) ? outcomes(key, pending, ground, end) : [before.get(key)]
      if (right.includes(value)) continue
      const detail = `${key} is ${value ?? 'nothing'}, not ${[...new Set(right)].map((each) => each ?? 'nothing').join(' or ')}`
      this.#violations.wrong(wrongOf(key, touched.has(key), before.has(key)), detail)
    }
  }

  #judgeClaim(actor: Actor, key: string, history: SessionHistory, state: State): void {
    const before = history.newest
    actor.claimed = { value: before.get(key) }
    if (!before.has(key)) this.#violations.wrong('claimed', `${key} was claimed although it was not there`)
    for (const other of new Set([...before.keys(), ...state.keys()])) {
      const right = other === key ? undefined : before.get(other)
      if (state.get(other) === right) continue
      const detail = `a claim makes ${other} ${state.get(other) ?? 'nothing'}, not ${right ?? 'nothing'}`
      this.#violations.wrong(wrongOf(other, other === key, before.has(other)), detail)
    }
  }

  /** Whether a commit that was acknowledged without a write could do without. */
  judgeIdle(actor: Actor): void {
    const { history } = actor.view
    const pending = pendingOf(actor.view.log, actor.view.applied)
    if (keysOf(pending, actor.view.history.newest).length === 0) return
    const ground = actor.view.groundOf(history)
    for (let end = ground.from; end <= history.end; end += 1) if (leaves(pending, ground, end)) return
    const [key = ''] = keysOf(pending, history.newest)
    this.#violations.wrong(wrongOf(key, true, true), `a change of ${key} was acknowledged and never stored`)
  }
}

/** What it means that a key is not what it should be. */
function wrongOf(key: string, touched: boolean, there: boolean): Invariant {
  if (key === 'n' || key === 'm') return 'counted'
  if (!there) return key === 'token' ? 'claimed' : 'deleted'
  return touched ? 'replayed' : 'preserved'
}

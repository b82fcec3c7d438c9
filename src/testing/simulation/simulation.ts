import { setTimeout as delay } from 'node:timers/promises'
import { SessionError } from '../../errors.ts'
import { SessionManager } from '../../session/manager.ts'
import type { Store } from '../../store.ts'
import { MINUTE } from '../trial.ts'
import { Actor, type Action, type World } from './actor.ts'
import { GatedStore, PendingCall } from './gated-store.ts'
import { Oracle, type SessionPage } from './oracle.ts'
import type { Isolation, Rules } from './replay-model.ts'
import { registry } from './values.ts'
import { Violations } from './violations.ts'
import { IDLE, type VirtualTime } from './virtual-time.ts'

/** Decides which of several things comes next. */
export interface Choices {
  /** A whole number from 0 to below `count`. */
  pick(count: number): number
}

/** What happens in a simulation besides the requests. */
export interface Conditions {
  /** One call in this many fails, before or after it was carried out; 0 for none. */
  readonly faults: number
  /** One call in this many runs together with another one, and the backend decides the order; 0 for none. */
  readonly overlaps: number
  /** The steps before which time passes; twice where a step is named twice. */
  readonly pauses: readonly number[]
}

/** How the managers of a simulation are set up. */
export interface SimulationSettings {
  /** How many processes there are, each with a manager of its own. Requests that share one rebase one after the other. */
  readonly processes: number
  /** Default: `'snapshot'` for all keys. */
  readonly isolation?: Isolation
  /** The isolation of single keys, where it is another one. */
  readonly keys?: Readonly<Record<string, Isolation>>
  /** After how many ms IDs are rotated, and for how many more the old ones open. Default: never. */
  readonly rotation?: { readonly after: number; readonly grace: number }
}

/** More steps than any simulation needs: a request that still waits then would wait forever. */
const MAX_STEPS = 5_000

/** Longer than any call is held back, so that no deadline of the library expires. */
const PATIENCE: number = 10 * MINUTE

/** For how long the managers keep a redirect, so that requests under way find out about it. In ms. */
const REDIRECT_LIFE: number = 2 * PATIENCE

/** With more failures in a row the library's circuit breaker would open, and no call would reach the store. */
const MAX_FAULTS = 3

/**
 * Requests on one session, each an {@link Actor}. They act through real `SessionManager`s, one for each process. Every call
 * of the store waits in a {@link GatedStore} until it is let through: one call at a time, in the order that `choices` decides.
 * After each call the {@link Oracle} knows what is stored, and judges whether that is right.
 */
export class Simulation {
  readonly violations: Violations = new Violations()
  readonly oracle: Oracle
  readonly #stores: readonly Store[]
  readonly #time: VirtualTime
  readonly #choices: Choices
  readonly #managers: readonly SessionManager[]
  readonly #world: World
  /** Requests that have yet to begin, and calls that have yet to be carried out. */
  readonly #waiting: (PendingCall | (() => void))[] = []
  #conditions: Conditions = { faults: 0, overlaps: 0, pauses: [] }
  #steps = 0
  /** Failures in a row, in each process. */
  readonly #faults = new Map<Store, number>()

  /** How often time is to pass as soon as no request waits for an answer of the store. */
  #timesDue = 0

  /** Of the processes, each has one of `stores`. */
  constructor(stores: readonly Store[], time: VirtualTime, choices: Choices, settings: SimulationSettings) {
    this.#stores = stores
    this.#time = time
    this.#choices = choices
    const { processes, isolation = 'snapshot', keys = {}, rotation } = settings
    const rules: Rules = {
      isolationOf: (key) => keys[key] ?? isolation,
      isMerged: (key) => key === 'bag',
    }
    this.violations.tell(
      '-',
      `isolation: ${[isolation, ...Object.entries(keys).map((pair) => pair.join(' '))].join(', ')}`,
    )
    this.oracle = new Oracle(this.violations, time, REDIRECT_LIFE)
    this.#world = {
      violations: this.violations,
      oracle: this.oracle,
      rules,
      isRotating: rotation !== undefined,
      told: [],
      rest: async () =>
        new Promise((resolve) => {
          this.#waiting.push(resolve)
        }),
    }
    const rotating =
      rotation === undefined ? {} : { rotateAfter: rotation.after, rotateGrace: rotation.grace }
    this.#managers = Array.from({ length: processes }, (_, at) => {
      const store = new GatedStore(stores[at % stores.length] ?? this.#store, (call) => {
        this.oracle.nameOf(call.call.key)
        this.#waiting.push(call)
      })
      const pause = async (): Promise<void> => {}
      return new SessionManager({
        store,
        registry,
        isolation,
        keys: Object.fromEntries(Object.entries(keys).map(([key, each]) => [key, { isolation: each }])),
        ...rotating,
        idleTimeout: IDLE,
        openTimeout: PATIENCE,
        commitTimeout: PATIENCE,
        sweepInterval: 0,
        now: time.clock,
        pause,
      })
    })
  }

  /** The IDs that clients were told, in order, and by which request. */
  get told(): World['told'] {
    return this.#world.told
  }

  /** How many steps were taken: the number of the next one. */
  get steps(): number {
    return this.#steps
  }

  /** Runs requests to their end. `idOf` gives each one the ID that it comes with, when its turn to begin has come. */
  async go(
    requests: readonly (readonly Action[])[],
    idOf: () => string | undefined,
    conditions: Partial<Conditions> = {},
  ): Promise<void> {
    this.#conditions = { ...this.#conditions, ...conditions }
    let running = requests.length
    for (const [at, actions] of requests.entries()) {
      const manager = this.#managers[at % this.#managers.length]
      if (manager === undefined) throw new Error('a simulation needs a process')
      const name = requests.length === 1 ? '-' : String.fromCharCode(97 + at)
      const actor = new Actor(name, this.#world, manager)
      this.#waiting.push(() => void this.#run(actor, idOf(), actions).then(() => (running -= 1)))
    }
    for (const until = this.#steps + MAX_STEPS; this.#steps < until; this.#steps += 1) {
      if (this.#waiting.length === 0) {
        if (running === 0) return
        await delay(1)
        continue
      }
      this.#timesDue += this.#conditions.pauses.filter((step) => step === this.#steps).length
      while (this.#timesDue > 0 && this.#isQuiet()) await this.#pass()
      await this.#step()
      await quiet()
    }
    this.violations.wrong('served', 'a request never came to its end')
  }

  /** Lets so much time pass that every session expires. */
  async outlive(): Promise<void> {
    await this.#pass()
    await this.#pass()
  }

  /** Checks everything that is left in the store, and removes it. */
  async end(): Promise<void> {
    for (const key of this.oracle.keys) {
      const entry = await this.#store.read(key)
      const name = this.oracle.nameOf(key)
      const page = this.oracle.pages.get(key)
      if (entry === undefined) {
        if (this.oracle.lives(key)) this.violations.wrong('preserved', `${name} is not there any more`)
        continue
      }
      await this.#store.destroy(key)
      if (page === undefined || !this.oracle.lives(key)) {
        this.violations.wrong('ended', `${name} is there at the end`)
        continue
      }
      if (entry.payload !== page.payload)
        this.violations.wrong('preserved', `${name} does not hold what was written last`)
      if (page.kind === 'staged' && !page.view.troubled) this.violations.wrong('single', `${name} is left`)
      if (page.kind === 'session') this.#judgeLeft(key, name, page)
    }
  }

  #judgeLeft(key: string, name: string, { history, view }: SessionPage): void {
    const isUnknown = (history.mover ?? view).troubled && !this.oracle.isTold(key)
    if (isUnknown) return
    if (history.key !== key || !this.oracle.isTold(key))
      this.violations.wrong('single', `${name} is left, and is no session's ID`)
    if (history.endToldAt < Infinity)
      this.violations.wrong('ended', `${name} is there, and its end was acknowledged`)
    if (history.isGoneTold) this.violations.wrong('told', `${name} is there, and was reported as gone`)
  }

  get #store(): Store {
    const [store] = this.#stores
    if (store === undefined) throw new Error('a simulation needs a store')
    return store
  }

  async #run(actor: Actor, id: string | undefined, actions: readonly Action[]): Promise<void> {
    try {
      await actor.run(id, actions)
    } catch (error) {
      this.violations.wrong('served', error instanceof Error ? error.message : 'a request failed')
    }
  }

  /**
   * Whether no operation is under way. Time passes only then: an operation that lasts as long as a record lives has failed
   * long before, by its deadline. A call whose request has given it up may arrive at any time.
   */
  #isQuiet(): boolean {
    return this.#waiting.every((each) => typeof each === 'function' || each.orphaned)
  }

  async #pass(): Promise<void> {
    this.#timesDue = Math.max(0, this.#timesDue - 1)
    this.violations.tell('-', 'time passes')
    await this.#time.pass()
  }

  /** Begins a request, fails a call, or carries out one call or two. */
  async #step(): Promise<void> {
    const next = this.#next()
    if (typeof next === 'function') return next()
    const { faults, overlaps } = this.#conditions
    const mayFail = faults > 0 && !next.orphaned && (this.#faults.get(next.store) ?? 0) < MAX_FAULTS
    if (mayFail && this.#choices.pick(faults) === 0) return this.#fail(next)
    const together = [next]
    const others = this.#waiting
      .filter((each) => typeof each === 'object')
      .filter(({ view }) => view !== next.view)
    if (overlaps > 0 && others.length > 0 && this.#choices.pick(overlaps) === 0) {
      const other = this.#take(others)
      this.#waiting.splice(this.#waiting.indexOf(other), 1)
      this.violations.tell('-', 'two at once')
      together.push(other)
    }
    await this.#carryOut(together)
  }

  /** Tells the request that the call failed. It was not carried out, or it is carried out now or later. */
  async #fail(pending: PendingCall): Promise<void> {
    const { call, view } = pending
    const how = this.#choices.pick(call.verb === 'read' ? 2 : 3)
    const fault = ['not carried out', 'carried out, the answer is lost', 'still on its way'][how]
    // Every other call that is not carried out is refused by the store, and the others are met with silence.
    const answered = how === 0 && view.calls % 2 === 0
    const name = this.oracle.nameOf(call.key)
    this.violations.tell(view.name, `${call.verb} ${name}: ${answered ? 'refused' : `fails, ${fault}`}`)
    view.troubled = true
    view.unanswered += 1
    this.#faults.set(pending.store, (this.#faults.get(pending.store) ?? 0) + 1)
    if (how === 2) this.#waiting.push(pending)
    pending.lost = true
    if (how === 1) this.oracle.note([[pending, await pending.perform()]])
    const text = answered ? 'the store refused' : 'the store did not answer'
    pending.fail(new SessionError('ERR_SESSION_STORE', text, { answered }))
  }

  async #carryOut(together: readonly PendingCall[]): Promise<void> {
    const outcomes = await Promise.allSettled(together.map(async (pending) => pending.perform()))
    const done = together.flatMap((pending, at) => {
      const outcome = outcomes[at]
      return outcome?.status === 'fulfilled' ? [[pending, outcome.value] as const] : []
    })
    this.oracle.note(done)
    for (const { store, orphaned } of together) if (!orphaned) this.#faults.delete(store)
    for (const [pending, answer] of done) pending.answer(answer)
    for (const [at, outcome] of outcomes.entries()) {
      const pending = together[at]
      if (outcome.status === 'fulfilled' || pending === undefined) continue
      this.violations.wrong('modelled', `${pending.call.verb} fails by itself`)
      pending.view.troubled = true
      pending.fail(outcome.reason)
    }
  }

  /** What comes next. While time is due, requests come to the end of what they are doing. */
  #next(): PendingCall | (() => void) {
    if (this.#timesDue === 0 || this.#isQuiet()) return this.#take(this.#waiting)
    const calls = this.#waiting.filter((each) => typeof each === 'object' && !each.orphaned)
    const next = this.#take(calls)
    this.#waiting.splice(this.#waiting.indexOf(next), 1)
    return next
  }

  #take<T>(from: T[]): T {
    const [taken] = from.splice(this.#choices.pick(from.length), 1)
    if (taken === undefined) throw new Error('there is nothing to choose from')
    return taken
  }
}

/** Waits until everything has happened that needs no further answer of the store. */
async function quiet(): Promise<void> {
  await new Promise(setImmediate)
}

import { setTimeout as delay } from 'node:timers/promises'
import { SessionError } from '../../errors.ts'
import { SessionManager } from '../../session/manager.ts'
import type { Store } from '../../store.ts'
import type { Choices } from './choices.ts'
import { GatedStore, type Answer, type Call } from './gated-store.ts'
import { PendingCall } from './pending-call.ts'
import { Oracle } from './oracle.ts'
import { MINUTE } from '../trial.ts'
import { IDLE, type VirtualTime } from './virtual-time.ts'
import { registry } from './values.ts'
import { Violations } from './violations.ts'
import type { Action } from './actions.ts'
import { Actor, type World } from './actor.ts'

/** What befalls a run besides the order of its verbs. */
export interface Conditions {
  /** How many processes serve the requests: those of one rebase one after another. */
  readonly processes: number
  /** One verb in so many fails, before or after it was carried out; 0 for none. */
  readonly faults: number
  /** One verb in so many runs together with another one, and the backend decides; 0 for none. */
  readonly overlaps: number
  /** Before which steps time passes. */
  readonly pauses: readonly number[]
}

/** So many steps are more than any run needs: whoever waits then waits for ever. */
const MAX_STEPS = 5_000

/** A verb that waits for its turn must not come too late. */
const PATIENCE: number = 10 * MINUTE

/** So many verbs may fail in a row before the library takes the store to be down, and asks it no more for a while. */
const MAX_FAULTS = 3

/** One run: requests on one session, their verbs let through one by one in the order that `choices` decides. */
export class Simulation {
  readonly violations: Violations = new Violations()
  readonly oracle: Oracle
  readonly #stores: readonly Store[]
  readonly #time: VirtualTime
  readonly #choices: Choices
  readonly #managers: readonly SessionManager[]
  readonly #world: World
  readonly #pendingCalls: PendingCall[] = []
  #conditions: Conditions = { processes: 1, faults: 0, overlaps: 0, pauses: [] }
  #steps = 0
  #faults = 0

  constructor(stores: readonly Store[], time: VirtualTime, choices: Choices, processes: number) {
    this.#stores = stores
    this.#time = time
    this.#choices = choices
    this.oracle = new Oracle(this.violations, time)
    this.#world = { violations: this.violations, oracle: this.oracle, ids: [] }
    this.#managers = Array.from({ length: processes }, (_, at) => {
      const store = new GatedStore(stores[at % stores.length] ?? this.#first, this.#hold)
      const pause = async (): Promise<void> => {}
      return new SessionManager({
        store,
        registry,
        idleTimeout: IDLE,
        openTimeout: PATIENCE,
        commitTimeout: PATIENCE,
        sweepInterval: 0,
        now: time.clock,
        pause,
      })
    })
  }

  /** The IDs that clients were told. */
  get ids(): readonly string[] {
    return this.#world.ids
  }

  /**
   * Lets requests go through all they do. Each is given its ID when its turn to begin has come.
   */
  async go(
    requests: readonly (readonly Action[])[],
    idOf: () => string | undefined,
    conditions: Partial<Conditions> = {},
  ): Promise<void> {
    this.#conditions = { ...this.#conditions, ...conditions }
    let running = requests.length
    for (const [at, actions] of requests.entries()) {
      const manager = this.#managers[at % this.#managers.length]
      if (manager === undefined) throw new Error('a run needs a process')
      const name = String.fromCharCode(97 + at)
      const actor = new Actor(requests.length === 1 ? '-' : name, this.#world, manager)
      const begin = async (): Promise<undefined> => {
        void this.#see(actor.run(idOf(), actions)).then(() => (running -= 1))
        return undefined
      }
      this.#pendingCalls.push(new PendingCall(actor, undefined, begin, { resolve: noop, reject: noop }))
    }
    for (const until = this.#steps + MAX_STEPS; this.#steps < until; this.#steps += 1) {
      if (this.#pendingCalls.length === 0) {
        if (running === 0) return
        await delay(1)
        continue
      }
      if (this.#conditions.pauses.includes(this.#steps)) await this.#pass()
      await this.#step()
      await quiet()
    }
    this.violations.wrong('served', 'a request never came to its end')
  }

  /** Lets so much time pass that no session is left. */
  async outlive(): Promise<void> {
    await this.#pass()
    await this.#pass()
  }

  /** Looks at everything that is left, and removes it. */
  async end(): Promise<void> {
    for (const key of this.oracle.keys) {
      const entry = await this.#first.read(key)
      const name = this.oracle.nameOf(key)
      const page = this.oracle.pages.get(key)
      if (entry === undefined) {
        if (this.oracle.lives(key)) this.violations.wrong('preserved', `${name} is not there any more`)
        continue
      }
      await this.#first.destroy(key)
      if (page === undefined || !this.oracle.lives(key)) {
        this.violations.wrong('ended', `${name} is there at the end`)
        continue
      }
      if (entry.payload !== page.payload)
        this.violations.wrong('preserved', `${name} does not hold what was written last`)
      const { history, staged } = page
      const forgotten = staged === undefined ? history.key !== key : !staged.actor.troubled
      if (forgotten) this.violations.wrong('single', `${name} is left, and is nobody's`)
    }
  }

  get #first(): Store {
    const [store] = this.#stores
    if (store === undefined) throw new Error('a run needs a store')
    return store
  }

  readonly #hold = async <A extends Answer>(
    actor: Actor,
    call: Call,
    perform: () => Promise<A>,
  ): Promise<A> =>
    new Promise<A>((resolve, reject) => {
      this.oracle.nameOf(call.key)
      // What is resolved is what `perform` returned.
      this.#pendingCalls.push(
        new PendingCall(actor, call, perform, { resolve: resolve as (answer: Answer) => void, reject }),
      )
    })

  /** A request may fail in the end, not in between. */
  async #see(actor: Promise<void>): Promise<void> {
    try {
      await actor
    } catch (error) {
      this.violations.wrong('served', error instanceof Error ? error.message : 'a request failed')
    }
  }

  async #pass(): Promise<void> {
    this.violations.tell('-', 'time passes')
    await this.#time.pass()
  }

  async #step(): Promise<void> {
    const pendingCall = this.#take(this.#pendingCalls)
    if (pendingCall.call === undefined) return void (await pendingCall.perform())
    const { faults, overlaps } = this.#conditions
    const mayFail = faults > 0 && !pendingCall.orphaned && this.#faults < MAX_FAULTS
    if (mayFail && this.#choices.pick(faults) === 0) return this.#fail(pendingCall)
    this.#faults = 0
    const others = this.#pendingCalls.filter(
      (each) => each.call !== undefined && each.actor !== pendingCall.actor,
    )
    const together = [pendingCall]
    if (overlaps > 0 && others.length > 0 && this.#choices.pick(overlaps) === 0) {
      const other = this.#take(others)
      this.#pendingCalls.splice(this.#pendingCalls.indexOf(other), 1)
      this.violations.tell('-', 'two at once')
      together.push(other)
    }
    await this.#carryOut(together)
  }

  /** The request is told that the store has failed, and the verb is carried out now, later, or not at all. */
  async #fail(pendingCall: PendingCall): Promise<void> {
    const { actor, call } = pendingCall
    const how = this.#choices.pick(call?.verb === 'read' ? 2 : 3)
    const fault = ['unheard', 'unanswered', 'on its way'][how] ?? ''
    this.violations.tell(actor.name, `${call?.verb} ${this.oracle.nameOf(call?.key ?? '')}: fails, ${fault}`)
    actor.troubled = true
    this.#faults += 1
    const lost = new SessionError('ERR_SESSION_STORE', 'the store did not answer')
    if (how === 2) this.#pendingCalls.push(pendingCall)
    if (how === 1) {
      const answer = await pendingCall.perform()
      this.oracle.note([[pendingCall, answer]])
    }
    pendingCall.fail(lost)
  }

  async #carryOut(together: readonly PendingCall[]): Promise<void> {
    const outcomes = await Promise.allSettled(together.map(async (pendingCall) => pendingCall.perform()))
    const done = together.flatMap((pendingCall, at) => {
      const outcome = outcomes[at]
      return outcome?.status === 'fulfilled' ? [[pendingCall, outcome.value] as const] : []
    })
    this.oracle.note(done)
    for (const [pendingCall, answer] of done) pendingCall.answer(answer)
    for (const [at, outcome] of outcomes.entries()) {
      const pendingCall = together[at]
      if (outcome.status === 'fulfilled' || pendingCall === undefined) continue
      this.violations.wrong('modelled', `${pendingCall.call?.verb} fails by itself`)
      pendingCall.actor.troubled = true
      pendingCall.fail(outcome.reason)
    }
  }

  #take<T>(from: T[]): T {
    const [taken] = from.splice(this.#choices.pick(from.length), 1)
    if (taken === undefined) throw new Error('there is nothing to choose from')
    return taken
  }
}

/** Everything that can go on without the store has gone on. */
async function quiet(): Promise<void> {
  await new Promise(setImmediate)
}

function noop(): void {}

import { setTimeout as delay } from 'node:timers/promises'
import { SessionError } from '../../errors.ts'
import { SessionManager } from '../../session/manager.ts'
import type { Store } from '../../store.ts'
import type { Choices } from './choices.ts'
import { Gate, type Answer, type Call } from './gated-store.ts'
import { Held } from './pending-call.ts'
import { Ledger } from './oracle.ts'
import { MINUTE } from '../trial.ts'
import { IDLE, type Time } from './virtual-time.ts'
import { registry } from './values.ts'
import { Verdict } from './violations.ts'
import type { Act } from './actions.ts'
import { Visit, type World } from './actor.ts'

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
export class Run {
  readonly verdict: Verdict = new Verdict()
  readonly ledger: Ledger
  readonly #stores: readonly Store[]
  readonly #time: Time
  readonly #choices: Choices
  readonly #managers: readonly SessionManager[]
  readonly #world: World
  readonly #held: Held[] = []
  #conditions: Conditions = { processes: 1, faults: 0, overlaps: 0, pauses: [] }
  #steps = 0
  #faults = 0

  constructor(stores: readonly Store[], time: Time, choices: Choices, processes: number) {
    this.#stores = stores
    this.#time = time
    this.#choices = choices
    this.ledger = new Ledger(this.verdict, time)
    this.#world = { verdict: this.verdict, ledger: this.ledger, ids: [] }
    this.#managers = Array.from({ length: processes }, (_, at) => {
      const store = new Gate(stores[at % stores.length] ?? this.#first, this.#hold)
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
    requests: readonly (readonly Act[])[],
    idOf: () => string | undefined,
    conditions: Partial<Conditions> = {},
  ): Promise<void> {
    this.#conditions = { ...this.#conditions, ...conditions }
    let running = requests.length
    for (const [at, acts] of requests.entries()) {
      const manager = this.#managers[at % this.#managers.length]
      if (manager === undefined) throw new Error('a run needs a process')
      const name = String.fromCharCode(97 + at)
      const visit = new Visit(requests.length === 1 ? '-' : name, this.#world, manager)
      const begin = async (): Promise<undefined> => {
        void this.#see(visit.run(idOf(), acts)).then(() => (running -= 1))
        return undefined
      }
      this.#held.push(new Held(visit, undefined, begin, { resolve: noop, reject: noop }))
    }
    for (const until = this.#steps + MAX_STEPS; this.#steps < until; this.#steps += 1) {
      if (this.#held.length === 0) {
        if (running === 0) return
        await delay(1)
        continue
      }
      if (this.#conditions.pauses.includes(this.#steps)) await this.#pass()
      await this.#step()
      await quiet()
    }
    this.verdict.wrong('served', 'a request never came to its end')
  }

  /** Lets so much time pass that no session is left. */
  async outlive(): Promise<void> {
    await this.#pass()
    await this.#pass()
  }

  /** Looks at everything that is left, and removes it. */
  async end(): Promise<void> {
    for (const key of this.ledger.keys) {
      const entry = await this.#first.read(key)
      const name = this.ledger.nameOf(key)
      const page = this.ledger.pages.get(key)
      if (entry === undefined) {
        if (this.ledger.lives(key)) this.verdict.wrong('kept', `${name} is not there any more`)
        continue
      }
      await this.#first.destroy(key)
      if (page === undefined || !this.ledger.lives(key)) {
        this.verdict.wrong('ended', `${name} is there at the end`)
        continue
      }
      if (entry.payload !== page.payload)
        this.verdict.wrong('kept', `${name} does not hold what was written last`)
      const { history, staged } = page
      const forgotten = staged === undefined ? history.key !== key : !staged.visit.troubled
      if (forgotten) this.verdict.wrong('single', `${name} is left, and is nobody's`)
    }
  }

  get #first(): Store {
    const [store] = this.#stores
    if (store === undefined) throw new Error('a run needs a store')
    return store
  }

  readonly #hold = async <A extends Answer>(visit: Visit, call: Call, act: () => Promise<A>): Promise<A> =>
    new Promise<A>((resolve, reject) => {
      this.ledger.nameOf(call.key)
      // What is resolved is what `act` returned.
      this.#held.push(new Held(visit, call, act, { resolve: resolve as (answer: Answer) => void, reject }))
    })

  /** A request may fail in the end, not in between. */
  async #see(visit: Promise<void>): Promise<void> {
    try {
      await visit
    } catch (error) {
      this.verdict.wrong('served', error instanceof Error ? error.message : 'a request failed')
    }
  }

  async #pass(): Promise<void> {
    this.verdict.tell('-', 'time passes')
    await this.#time.pass()
  }

  async #step(): Promise<void> {
    const held = this.#take(this.#held)
    if (held.call === undefined) return void (await held.act())
    const { faults, overlaps } = this.#conditions
    const mayFail = faults > 0 && !held.orphaned && this.#faults < MAX_FAULTS
    if (mayFail && this.#choices.pick(faults) === 0) return this.#fail(held)
    this.#faults = 0
    const others = this.#held.filter((each) => each.call !== undefined && each.visit !== held.visit)
    const together = [held]
    if (overlaps > 0 && others.length > 0 && this.#choices.pick(overlaps) === 0) {
      const other = this.#take(others)
      this.#held.splice(this.#held.indexOf(other), 1)
      this.verdict.tell('-', 'two at once')
      together.push(other)
    }
    await this.#carryOut(together)
  }

  /** The request is told that the store has failed, and the verb is carried out now, later, or not at all. */
  async #fail(held: Held): Promise<void> {
    const { visit, call } = held
    const how = this.#choices.pick(call?.verb === 'read' ? 2 : 3)
    const fault = ['unheard', 'unanswered', 'on its way'][how] ?? ''
    this.verdict.tell(visit.name, `${call?.verb} ${this.ledger.nameOf(call?.key ?? '')}: fails, ${fault}`)
    visit.troubled = true
    this.#faults += 1
    const lost = new SessionError('ERR_SESSION_STORE', 'the store did not answer')
    if (how === 2) this.#held.push(held)
    if (how === 1) {
      const answer = await held.act()
      this.ledger.note([[held, answer]])
    }
    held.fail(lost)
  }

  async #carryOut(together: readonly Held[]): Promise<void> {
    const outcomes = await Promise.allSettled(together.map(async (held) => held.act()))
    const done = together.flatMap((held, at) => {
      const outcome = outcomes[at]
      return outcome?.status === 'fulfilled' ? [[held, outcome.value] as const] : []
    })
    this.ledger.note(done)
    for (const [held, answer] of done) held.answer(answer)
    for (const [at, outcome] of outcomes.entries()) {
      const held = together[at]
      if (outcome.status === 'fulfilled' || held === undefined) continue
      this.verdict.wrong('modelled', `${held.call?.verb} fails by itself`)
      held.visit.troubled = true
      held.fail(outcome.reason)
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

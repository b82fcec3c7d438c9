import { AsyncLocalStorage } from 'node:async_hooks'
import { SessionError } from '../../errors.ts'
import { hashId } from '../../session/id.ts'
import { SessionManager } from '../../session/manager.ts'
import { OwnerRecord } from '../../session/owners/owner-record.ts'
import { ownerKey } from '../../session/owners/owner.ts'
import type { OwnerSessions } from '../../session/owners/owner-sessions.ts'
import type { Session } from '../../session/session.ts'
import type { Store } from '../../store.ts'
import { MINUTE } from '../trial.ts'
import { InterceptedStore } from './intercepted-store.ts'
import { recordOf } from './records.ts'
import type { Choices } from './simulation.ts'
import type { Answer, Call } from './store-model.ts'
import type { VirtualTime } from './virtual-time.ts'

/** The owner of all sessions in a simulation. */
const OWNER = 'ann'
/** Longer than any call is held back, in ms. */
const PATIENCE = 10 * MINUTE
/** As many sessions as no simulation has. */
export const UNCAPPED = 100
/** More steps than any simulation needs. */
const MAX_STEPS = 5_000
/** With more failures in a row the circuit breaker of a process would open. */
const MAX_FAULTS = 3

/** What a process does, one thing after another. */
export type OwnerAction = (actor: OwnerActor) => Promise<void>

/** How an owner simulation is set up. */
export interface OwnerConditions {
  /** One call in this many fails, before or after it was carried out; 0 for none. */
  readonly faults: number
  /** The process that crashes, and at which of its calls. */
  readonly crash: { readonly actor: number; readonly call: number } | undefined
  /** How many sessions an owner may have. */
  readonly max: number
  /**
   * Makes the store of the process with this number, the first of which is 0. Each call of a store that went through `stepped`
   * waits until the simulation lets it through. Default: the store of the simulation.
   */
  readonly open?: (process: number, stepped: (store: Store) => Store) => Store
}

/** A session whose client was told that it is signed in. */
interface Told {
  readonly handle: string
  id: string
  /** When its sign-in began, when its fence was taken, and when it was acknowledged: in steps. */
  readonly beganAt: number
  readonly fencedAt: number
  readonly toldAt: number
  /** Some operation may have ended it, or may have given it an ID that no client was told. */
  mayEnd: boolean
  /** An operation that ends it was acknowledged. */
  mustEnd: string | undefined
  /** It was seen to have ended. */
  hasEnded: boolean
}

/** A call to end all sessions, or all but one. */
interface Ending {
  readonly startedAt: number
  readonly except: string | undefined
  acknowledgedAt: number
}

interface Pending {
  readonly actor: OwnerActor
  readonly name: string
  readonly perform: () => Promise<unknown>
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

const current = new AsyncLocalStorage<OwnerActor>()

/** The store of one process: each call waits until the simulation lets it through. */
class SteppedStore extends InterceptedStore {
  readonly #enqueue: (pending: Pending) => void

  constructor(store: Store, enqueue: (pending: Pending) => void) {
    super(store)
    this.#enqueue = enqueue
  }

  override async intercept<A extends Answer>({ verb, key }: Call, perform: () => Promise<A>): Promise<A> {
    const actor = current.getStore()
    if (actor === undefined) throw new Error(`the verb ${verb} was called outside of any process`)
    return new Promise<A>((resolve, reject) => {
      const name = `${verb} ${actor.simulation.nameOf(key)}`
      // What `perform` resolves with is an A.
      this.#enqueue({ actor, name, perform, resolve: resolve as (answer: unknown) => void, reject })
    })
  }
}

/** One process, which has a manager of its own. */
export class OwnerActor {
  readonly simulation: OwnerSimulation
  readonly name: string
  readonly manager: SessionManager
  calls = 0
  hasCrashed = false
  /** It has done everything, or has crashed. */
  isOver = false
  /** A call of its has failed, so it may be told that an operation failed which was carried out. */
  isTroubled = false

  constructor(simulation: OwnerSimulation, name: string, manager: SessionManager) {
    this.simulation = simulation
    this.name = name
    this.manager = manager
  }

  get sessions(): OwnerSessions {
    return this.manager.sessionsOf(OWNER)
  }

  /** Does what may fail. `undefined` if it did; what the rules refuse is no failure. */
  async attempt<T>(what: string, perform: () => Promise<T>): Promise<T | undefined> {
    const { simulation } = this
    try {
      const result = await perform()
      simulation.tell(this.name, `${what}: done`)
      return result
    } catch (error) {
      simulation.tell(this.name, `${what}: ${error instanceof Error ? error.message : 'failed'}`)
      const isRefused =
        error instanceof SessionError && (error.status === 409 || error.code === 'ERR_SESSION_STATE')
      if (!isRefused && !this.isTroubled) simulation.wrong(`${what} failed though the store did not`)
      return undefined
    }
  }
}

/** Processes that sign an owner in and end its sessions, each call of which the simulation lets through one at a time. */
export class OwnerSimulation {
  readonly broken: string[] = []
  readonly told: Told[] = []
  /** The ID of a session that belongs to no owner yet. */
  anonymousId = ''
  step = 0
  readonly #store: Store
  readonly #time: VirtualTime
  readonly #choices: Choices
  readonly #conditions: OwnerConditions
  readonly #story: string[] = []
  readonly #names = new Map<string, string>()
  readonly #waiting: (Pending | (() => void))[] = []
  readonly #endings: Ending[] = []
  #running = 0
  #mustLook = false
  #faults = 0

  constructor(store: Store, time: VirtualTime, choices: Choices, conditions: OwnerConditions) {
    this.#store = store
    this.#time = time
    this.#choices = choices
    this.#conditions = conditions
  }

  /** What happens next, to the same sessions and under other conditions. */
  next(conditions: OwnerConditions): OwnerSimulation {
    const next = new OwnerSimulation(this.#store, this.#time, this.#choices, conditions)
    next.told.push(...this.told)
    next.broken.push(...this.broken)
    next.#story.push(...this.#story)
    for (const [key, name] of this.#names) next.#names.set(key, name)
    return next
  }

  /** Begins the session that belongs to no owner yet. */
  async begin(): Promise<void> {
    const session = this.#managerOf(this.#store).begin().set('cart', 1)
    await session.commit()
    this.anonymousId = session.id
  }

  nameOf(key: string): string {
    if (key === ownerKey({ id: OWNER }, 'sha256')) return 'the owner'
    const name = this.#names.get(key) ?? `ID ${this.#names.size + 1}`
    this.#names.set(key, name)
    return name
  }

  tell(who: string, what: string): void {
    this.#story.push(`${String(this.step).padStart(4)}  ${who}  ${what}`)
  }

  wrong(what: string): void {
    this.tell('!', what)
    this.broken.push(what)
  }

  report(): string {
    return [...this.broken, ...this.#story].join('\n')
  }

  /** A client is told that its session is signed in. */
  signedIn(session: Session, beganAt: number, fencedAt: number): void {
    const { handle, id } = session
    const mayEnd = this.#endings.some(
      ({ acknowledgedAt, except }) => acknowledgedAt >= beganAt && except !== handle,
    )
    const told = { handle, id, beganAt, fencedAt, toldAt: this.step }
    this.told.push({ ...told, mayEnd, mustEnd: undefined, hasEnded: false })
    for (const ending of this.#endings) this.#judgeEnding(ending)
    this.#mustLook = true
  }

  /** A session to do something with. */
  pickTold(): Told | undefined {
    return this.told[this.#choices.pick(Math.max(1, this.told.length))]
  }

  /** A session has an ID that its client was told, and the one from before opens nothing. */
  moved(told: Told, id: string): void {
    told.id = id
    told.hasEnded = false // that was its old ID
    this.#mustLook = true
  }

  /** An operation may end these sessions from now on. */
  mayEnd(told: readonly Told[]): void {
    for (const each of told) each.mayEnd = true
  }

  /** A client was told that its session has ended. */
  mustEnd(told: Told, why: string): void {
    told.mustEnd ??= why
    this.#mustLook = true
  }

  /** All sessions but one are being ended; the function that is returned says that this was acknowledged. */
  endingAll(except: string | undefined): () => void {
    const ending: Ending = { startedAt: this.step, except, acknowledgedAt: Infinity }
    this.#endings.push(ending)
    this.mayEnd(this.told.filter(({ handle }) => handle !== except))
    return () => {
      ending.acknowledgedAt = this.step
      this.#judgeEnding(ending)
      this.#mustLook = true
    }
  }

  /** Whether a call to end all sessions covers this one, and was not acknowledged. */
  isBeingEnded({ handle }: { readonly handle: string }): boolean {
    return this.#endings.some(
      ({ acknowledgedAt, except }) => acknowledgedAt === Infinity && except !== handle,
    )
  }

  /** Whether a session is usable now. */
  async isUsable({ id }: { readonly id: string }): Promise<boolean> {
    const entry = await this.#store.read(hashId(id))
    return entry !== undefined && recordOf(entry.payload).kind === 'session'
  }

  /** Whether a session knows that its owner's rights have changed. */
  async isOutdated({ id }: { readonly id: string }): Promise<boolean> {
    return (await this.#managerOf(this.#store).find(id))?.isOutdated === true
  }

  /** The sessions that are usable now. */
  async usable(): Promise<Told[]> {
    const usable: Told[] = []
    for (const each of this.told) if (await this.isUsable(each)) usable.push(each)
    return usable
  }

  /** Runs the processes to their end, or to their crash. */
  async go(scripts: readonly (readonly OwnerAction[])[]): Promise<void> {
    const { crash } = this.#conditions
    for (const [at, actions] of scripts.entries()) {
      const actor = this.#actor(at)
      this.#running += 1
      this.#waiting.push(() => {
        void current.run(actor, async () => {
          for (const action of actions) {
            if (actor.hasCrashed) return // its last call has run into the deadline, minutes later
            await action(actor)
          }
          this.#over(actor)
        })
      })
    }
    for (const until = this.step + MAX_STEPS; this.step < until; this.step += 1) {
      if (this.#mustLook) await this.look()
      if (this.#waiting.length === 0) {
        await quiet()
        if (this.#waiting.length > 0) continue
        if (this.#running === 0) return
        this.wrong('a process waits forever')
        return
      }
      const [next] = this.#waiting.splice(this.#choices.pick(this.#waiting.length), 1)
      if (typeof next === 'function') next()
      else if (next !== undefined) await this.#carryOut(next, crash)
      await quiet()
    }
    this.wrong('the processes never come to their end')
  }

  /** Compares what is stored with what was acknowledged. */
  async look(): Promise<void> {
    this.#mustLook = false
    const { max } = this.#conditions
    let usable = 0
    for (const told of this.told) {
      const isUsable = await this.isUsable(told)
      if (isUsable) usable += 1
      const name = this.nameOf(hashId(told.id))
      if (isUsable && told.mustEnd !== undefined) this.wrong(`${name} is usable after ${told.mustEnd}`)
      if (isUsable && told.hasEnded) this.wrong(`${name} had ended, and is usable again`)
      // Where few are allowed, each sign-in may end another session.
      const isCapped = max < UNCAPPED
      if (!isUsable && !told.mayEnd && !isCapped) this.wrong(`${name} has ended without a cause`)
      told.hasEnded ||= !isUsable
    }
    if (usable > max) this.wrong(`${usable} sessions are usable, and ${max} are allowed`)
  }

  /** After all: one list leaves nothing to do, and knows each session that is usable. */
  async end(): Promise<void> {
    await this.look()
    const manager = this.#managerOf(this.#store)
    await manager.sessionsOf(OWNER).list()
    const entry = await this.#store.read(ownerKey({ id: OWNER }, 'sha256'))
    const record = entry === undefined ? undefined : OwnerRecord.parse(entry.payload)
    if (record !== undefined && record.ending().length > 0)
      this.wrong('something is still to be ended after a list')
    await this.look()
    for (const told of this.told) {
      if (!(await this.isUsable(told))) continue
      const key = hashId(told.id)
      if (record?.isListed(told.handle, key) !== true)
        this.wrong(`${this.nameOf(key)} is usable and not listed`)
    }
    const list = await manager.sessionsOf(OWNER).list()
    if (new Set(list.map(({ handle }) => handle)).size !== list.length)
      this.wrong('a session is listed twice')
  }

  #actor(at: number): OwnerActor {
    const stepped = (store: Store): Store => new SteppedStore(store, (pending) => this.#waiting.push(pending))
    const store = this.#conditions.open?.(at, stepped) ?? stepped(this.#store)
    return new OwnerActor(this, String.fromCharCode(97 + at), this.#managerOf(store))
  }

  #managerOf(store: Store): SessionManager {
    return new SessionManager({
      store,
      openTimeout: PATIENCE,
      commitTimeout: PATIENCE,
      sweepInterval: 0,
      now: this.#time.clock,
      pause: async () => {},
      owners: { max: this.#conditions.max },
    })
  }

  /** What signed in before, or with a fence from before, must have ended. */
  #judgeEnding({ startedAt, acknowledgedAt, except }: Ending): void {
    if (acknowledgedAt === Infinity) return
    for (const told of this.told) {
      const isCovered = told.toldAt < startedAt || told.fencedAt < startedAt
      if (isCovered && told.handle !== except) this.mustEnd(told, `endAll at step ${startedAt}`)
    }
  }

  async #carryOut(pending: Pending, crash: OwnerConditions['crash']): Promise<void> {
    const { actor, name } = pending
    actor.calls += 1
    const hasCrashed = crash !== undefined && actor.name === String.fromCharCode(97 + crash.actor)
    if (hasCrashed && actor.calls >= crash.call) return this.#crash(pending)
    const { faults } = this.#conditions
    if (faults > 0 && this.#faults < MAX_FAULTS && this.#choices.pick(faults) === 0)
      return this.#fail(pending)
    this.#faults = 0
    const answer = await pending.perform()
    this.tell(actor.name, `${name}: ${describe(answer)}`)
    pending.resolve(answer)
  }

  #over(actor: OwnerActor): void {
    if (!actor.isOver) this.#running -= 1
    actor.isOver = true
  }

  /** The process is gone: the call may have been carried out, and no other one follows. */
  async #crash(pending: Pending): Promise<void> {
    const { actor, name } = pending
    this.#over(actor)
    const isDone = !actor.hasCrashed && this.#choices.pick(2) === 0
    actor.hasCrashed = true
    this.tell(actor.name, `${name}: crashes${isDone ? ' after it' : ''}`)
    if (isDone) await pending.perform()
    this.#mustLook = true
  }

  /** The call fails: it was not carried out, or it is carried out now, or later. */
  async #fail(pending: Pending): Promise<void> {
    const { actor, name } = pending
    this.#faults += 1
    actor.isTroubled = true
    const how = this.#choices.pick(name.startsWith('read') ? 2 : 3)
    this.tell(actor.name, `${name}: fails, ${['not carried out', 'carried out', 'still on its way'][how]}`)
    if (how === 1) await pending.perform()
    if (how === 2) {
      this.#waiting.push(() => {
        void pending.perform().then((answer) => this.tell(actor.name, `${name}, late: ${describe(answer)}`))
        this.#mustLook = true
      })
    }
    pending.reject(new SessionError('ERR_SESSION_STORE', 'the store did not answer'))
  }
}

function describe(answer: unknown): string {
  if (typeof answer === 'string') return answer
  if (answer === undefined) return 'absent'
  return 'written' in Object(answer) || 'entry' in Object(answer) ? 'written' : 'found'
}

/** Waits until everything has happened that needs no further answer of the store. */
async function quiet(): Promise<void> {
  await new Promise(setImmediate)
}

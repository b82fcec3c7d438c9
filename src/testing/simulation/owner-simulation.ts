import { AsyncLocalStorage } from 'node:async_hooks'
import { SessionError } from '../../errors.ts'
import { createHandle } from '../../session/handle.ts'
import { hashId } from '../../session/id.ts'
import { SessionManager } from '../../session/manager.ts'
import { OwnerRecord } from '../../session/owners/owner-record.ts'
import { ownerKey } from '../../session/owners/owner.ts'
import type { OwnerSessions } from '../../session/owners/owner-sessions.ts'
import { handleOf } from '../../session/redirect.ts'
import type { Session } from '../../session/session.ts'
import type { Store } from '../../store.ts'
import { MINUTE } from '../trial.ts'
import { InterceptedStore } from './intercepted-store.ts'
import { broken, type OwnerInvariant } from './owner-invariants.ts'
import { recordOf } from './records.ts'
import type { Choices } from './simulation.ts'
import type { Answer, Call } from './store-model.ts'
import type { VirtualTime } from './virtual-time.ts'

/** Longer than any call is held back, in ms. */
const PATIENCE = 10 * MINUTE
/** As many sessions as no simulation has. */
export const UNCAPPED = 100
/** More steps than any simulation needs. */
const MAX_STEPS = 5_000
/** The age at which IDs are rotated, where they are, and for how long the old ones open; in ms. */
const ROTATE_AFTER = 2 * MINUTE
const ROTATE_GRACE = MINUTE
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
  /** After one step in this many a record is evicted, the owner's or a session's; 0 for none. Default: 0. */
  readonly evictions?: number
}

/** A session whose client was told that it is signed in. */
export interface Told {
  readonly handle: string
  id: string
  /** It was anonymous before its client signed in. */
  readonly wasAnonymous: boolean
  /** When its sign-in began, when its fence was taken, and when it was acknowledged: in steps. */
  readonly beganAt: number
  readonly fencedAt: number
  readonly toldAt: number
  /** Some operation may have ended it, or may have given it an ID that no client was told. */
  mayEnd: boolean
  /** An operation that ends it was acknowledged, and which invariant says that it has ended. */
  mustEnd: string | undefined
  mustEndBy: OwnerInvariant
  /** It was seen to have ended. */
  hasEnded: boolean
  /** It was seen in the record of its owner. */
  wasListed: boolean
  /** When the last refresh began that was acknowledged, and when a request was last about to read its rights: in steps. */
  refreshedAt: number
  readsRightsAt: number
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
    if (key === actor.simulation.ownerKey) actor.ownerCalls.push(verb)
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
  /** The session that it is giving another ID, which it may not live to tell. */
  moving: Told | undefined = undefined
  /** Its calls with the key of the owner's record. */
  readonly ownerCalls: string[] = []
  readonly #managers: (rotationsBefore?: number) => SessionManager

  constructor(
    simulation: OwnerSimulation,
    name: string,
    managers: (rotationsBefore?: number) => SessionManager,
  ) {
    this.simulation = simulation
    this.name = name
    this.#managers = managers
    this.manager = managers()
  }

  /** A manager for which every ID is old enough to be rotated. */
  get rotating(): SessionManager {
    this.simulation.rotations += 1
    return this.#managers(this.simulation.rotations)
  }

  get sessions(): OwnerSessions {
    return this.manager.sessionsOf(this.simulation.owner)
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
      if (!isRefused && !this.isTroubled && !simulation.isEvicting)
        simulation.wrong(15, `${what} failed though the store did not`)
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
  /** How many requests were about to rotate an ID. */
  rotations = 0
  /** How many sign-ins to the anonymous session were carried out, or may have been, or may be yet. */
  takers = 0
  /** Some record was evicted, and that of the owner. */
  isEvicting = false
  isOwnerLost = false
  /** The owner of all sessions, another one in each simulation: a store may keep those of others. */
  readonly owner: string
  readonly ownerKey: string
  readonly #store: Store
  readonly #time: VirtualTime
  readonly #choices: Choices
  readonly #conditions: OwnerConditions
  readonly #story: string[] = []
  readonly #names = new Map<string, string>()
  readonly #waiting: (Pending | (() => void))[] = []
  readonly #endings: Ending[] = []
  readonly #actors: OwnerActor[] = []
  #running = 0
  #crashes = 0
  #mustLook = false
  #faults = 0
  #failures = 0

  constructor(
    store: Store,
    time: VirtualTime,
    choices: Choices,
    conditions: OwnerConditions,
    owner: string = createHandle(),
  ) {
    this.owner = owner
    this.ownerKey = ownerKey({ id: owner }, 'sha256')
    this.#store = store
    this.#time = time
    this.#choices = choices
    this.#conditions = conditions
  }

  /** What happens next, to the same sessions and under other conditions. */
  next(conditions: OwnerConditions): OwnerSimulation {
    const next = new OwnerSimulation(this.#store, this.#time, this.#choices, conditions, this.owner)
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
    if (key === this.ownerKey) return 'the owner'
    const name = this.#names.get(key) ?? `ID ${this.#names.size + 1}`
    this.#names.set(key, name)
    return name
  }

  tell(who: string, what: string): void {
    this.#story.push(`${String(this.step).padStart(4)}  ${who}  ${what}`)
  }

  wrong(invariant: OwnerInvariant, detail: string): void {
    const what = broken(invariant, detail)
    this.tell('!', what)
    this.broken.push(what)
  }

  report(): string {
    return [...this.broken, ...this.#story].join('\n')
  }

  /** A client is told that its session is signed in. */
  signedIn(session: Session, beganAt: number, fencedAt: number, wasAnonymous: boolean): void {
    const { handle, id } = session
    if (wasAnonymous && this.told.some((told) => told.wasAnonymous))
      this.wrong(13, 'two sign-ins to one anonymous session have succeeded')
    const mayEnd = this.#endings.some(
      ({ acknowledgedAt, except }) => acknowledgedAt >= beganAt && except !== handle,
    )
    this.told.push({
      handle,
      id,
      wasAnonymous,
      beganAt,
      fencedAt,
      toldAt: this.step,
      mayEnd: mayEnd || this.isEvicting,
      mustEnd: undefined,
      mustEndBy: 5,
      hasEnded: false,
      wasListed: false,
      refreshedAt: -1,
      readsRightsAt: -1,
    })
    for (const ending of this.#endings) this.#judgeEnding(ending)
    this.#mustLook = true
  }

  /** A session to do something with. */
  pickTold(): Told | undefined {
    return this.told[this.#choices.pick(Math.max(1, this.told.length))]
  }

  /** A session has an ID that its client was told, and the one from before opens nothing. */
  async moved(told: Told, id: string): Promise<void> {
    // Which of two answers reaches a client last is not decided by servers: it keeps the ID that opens its session.
    if ((await this.isUsable(told)) && !(await this.isUsable({ id }))) return
    told.id = id
    told.hasEnded = false // that was its old ID
    this.#mustLook = true
  }

  /** An operation may end these sessions from now on. */
  mayEnd(told: readonly Told[]): void {
    for (const each of told) each.mayEnd = true
  }

  /** A client was told that its session has ended. */
  mustEnd(told: Told, why: string, by: OwnerInvariant = 5): void {
    if (told.mustEnd === undefined) {
      told.mustEnd = why
      told.mustEndBy = by
    }
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
    return (await this.#keyOf(id)) !== undefined
  }

  /** The key of the session that an ID opens. */
  async #keyOf(id: string): Promise<string | undefined> {
    let key = hashId(id)
    for (let hops = 0; hops < MAX_STEPS; hops += 1) {
      const entry = await this.#store.read(key)
      if (entry === undefined) return undefined
      const record = recordOf(entry.payload)
      if (record.kind === 'session') return key
      if (record.kind !== 'redirect' || record.opensUntil <= this.#time.clock()) return undefined
      key = record.next
    }
    return undefined
  }

  /** The anonymous session, as its client has it. */
  async anonymous(): Promise<Session | undefined> {
    return this.#managerOf(this.#store).find(this.anonymousId)
  }

  /** 6: what is listed, or stored, opens nothing. */
  async mustOpenNothing(texts: Iterable<string>): Promise<void> {
    const manager = this.#managerOf(this.#store)
    for (const text of texts)
      if ((await manager.find(text)) !== undefined) this.wrong(6, 'a text that is listed opens a session')
  }

  /** 12: the calls of an ordinary request with the record of its owner. */
  judgeRequest(calls: readonly string[]): void {
    // A store that is made of others may make several calls for one.
    if (this.#conditions.open !== undefined) return
    if (calls.length > 1 || calls.some((verb) => verb !== 'read'))
      this.wrong(12, `an ordinary request calls: ${calls.join(', ')}`)
  }

  /** A request reads the rights of its session's owner, after it has opened it. */
  readsRights(told: Told): void {
    told.readsRightsAt = this.step
  }

  /** A refresh that began at this step was acknowledged. */
  refreshed(told: readonly Told[], startedAt: number): void {
    for (const each of told) each.refreshedAt = Math.max(each.refreshedAt, startedAt)
    this.#mustLook = true
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
        this.wrong(15, 'a process waits forever')
        return
      }
      const [next] = this.#waiting.splice(this.#choices.pick(this.#waiting.length), 1)
      if (typeof next === 'function') next()
      else if (next !== undefined) await this.#carryOut(next, crash)
      await quiet()
      await this.#mayEvict()
    }
    this.wrong(15, 'the processes never come to their end')
  }

  /** Compares what is stored with what was acknowledged. */
  async look(): Promise<void> {
    this.#mustLook = false
    const { max } = this.#conditions
    const record = await this.#record()
    let usable = 0
    for (const told of this.told) {
      const key = await this.#keyOf(told.id)
      const isUsable = key !== undefined
      if (isUsable) usable += 1
      const name = this.nameOf(hashId(told.id))
      // After the owner's record is lost, endAll holds from the next look at a session on: see `end`.
      const mustHaveEnded = told.mustEnd !== undefined && !this.isOwnerLost
      if (isUsable && mustHaveEnded) this.wrong(told.mustEndBy, `${name} is usable after ${told.mustEnd}`)
      if (isUsable && told.hasEnded) this.wrong(5, `${name} had ended, and is usable again`)
      // Where few are allowed, each sign-in may end another session.
      const isExpected = told.mayEnd || max < UNCAPPED || this.#actors.some(({ moving }) => moving === told)
      if (!isUsable && !isExpected) this.wrong(2, `${name} has ended without a cause`)
      told.hasEnded ||= !isUsable
      if (!isUsable || this.isOwnerLost) continue
      const isListed = record?.entries.get(told.handle)?.keys.includes(key) === true
      if (!isListed) this.wrong(told.wasListed ? 8 : 3, `${name} is usable and not listed`)
      told.wasListed ||= isListed
      await this.#judgeRights(told, name)
    }
    if (usable > max && !this.isOwnerLost)
      this.wrong(4, `${usable} sessions are usable, and ${max} are allowed`)
    const keys = [...(record?.entries.values() ?? [])].flatMap((entry) => entry.keys)
    if (new Set(keys).size !== keys.length) this.wrong(8, 'a session stands twice in the record')
  }

  /** After all: one list leaves nothing to do, and knows each session that is usable. */
  async end(): Promise<void> {
    await this.look()
    const manager = this.#managerOf(this.#store)
    const list = await manager.sessionsOf(this.owner).list()
    const record = await this.#record()
    if (record !== undefined && record.ending().length > 0)
      this.wrong(9, 'something is still to be ended after a list')
    await this.look()
    const handles = list.map(({ handle }) => handle)
    if (new Set(handles).size !== list.length) this.wrong(8, 'a session is listed twice')
    const keys = [...(record?.entries.values() ?? [])].flatMap((entry) => entry.keys)
    await this.mustOpenNothing([...handles, ...keys, this.ownerKey])
    if (this.isOwnerLost) await this.#lookAtEach()
    for (const told of this.told) {
      const key = await this.#keyOf(told.id)
      if (key === undefined) continue
      const name = this.nameOf(hashId(told.id))
      if (record?.isListed(told.handle, key) !== true)
        this.wrong(this.isOwnerLost ? 10 : 3, `${name} is usable and not listed`)
      if (this.isOwnerLost && told.mustEnd !== undefined)
        this.wrong(10, `${name} is usable after ${told.mustEnd}`)
    }
    if (this.#failures + this.#crashes === 0 && !this.isEvicting) await this.#judgeRecords()
  }

  /** Opens each session as a process does that looks whether it is listed with each request. */
  async #lookAtEach(): Promise<void> {
    const manager = this.#managerOf(this.#store, { verifyEvery: 0 })
    for (const { id } of this.told) await manager.find(id)
  }

  /** 7: where no process has failed, each session has one record, and redirects. */
  async #judgeRecords(): Promise<void> {
    const seen = new Set<string>()
    for (const key of this.#names.keys()) {
      const entry = await this.#store.read(key)
      if (entry === undefined || recordOf(entry.payload).kind !== 'session') continue
      const handle = handleOf(entry.payload) ?? ''
      if (seen.has(handle)) this.wrong(7, `${this.nameOf(key)} is the second record of a session`)
      seen.add(handle)
    }
  }

  /** 14: what an acknowledged refresh covers knows of it, unless it has read its rights since. */
  async #judgeRights(told: Told, name: string): Promise<void> {
    if (told.refreshedAt < 0 || told.readsRightsAt >= told.refreshedAt) return
    if (!(await this.isOutdated(told))) this.wrong(14, `${name} does not know that the rights have changed`)
  }

  async #record(): Promise<OwnerRecord | undefined> {
    const entry = await this.#store.read(this.ownerKey)
    return entry === undefined ? undefined : OwnerRecord.parse(entry.payload)
  }

  #actor(at: number): OwnerActor {
    const stepped = (store: Store): Store => new SteppedStore(store, (pending) => this.#waiting.push(pending))
    const store = this.#conditions.open?.(at, stepped) ?? stepped(this.#store)
    const managers = (rotationsBefore?: number): SessionManager => this.#managerOf(store, { rotationsBefore })
    const actor = new OwnerActor(this, String.fromCharCode(97 + at), managers)
    this.#actors.push(actor)
    return actor
  }

  /** @param rotationsBefore rotates IDs: to its clock each one is too old that was issued before */
  #managerOf(
    store: Store,
    {
      rotationsBefore,
      verifyEvery = 5 * MINUTE,
    }: { rotationsBefore?: number | undefined; verifyEvery?: number } = {},
  ): SessionManager {
    const ahead = (rotationsBefore ?? 0) * ROTATE_AFTER
    return new SessionManager({
      store,
      ...(rotationsBefore !== undefined && { rotateAfter: ROTATE_AFTER, rotateGrace: ROTATE_GRACE }),
      openTimeout: PATIENCE,
      commitTimeout: PATIENCE,
      sweepInterval: 0,
      now: () => this.#time.clock() + ahead,
      pause: async () => {},
      owners: { max: this.#conditions.max, verifyEvery },
    })
  }

  /** What signed in before, or with a fence from before, must have ended. */
  #judgeEnding({ startedAt, acknowledgedAt, except }: Ending): void {
    if (acknowledgedAt === Infinity) return
    for (const told of this.told) {
      const isCovered = told.toldAt < startedAt || told.fencedAt < startedAt
      if (isCovered && told.handle !== except) this.mustEnd(told, `endAll at step ${startedAt}`, 1)
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

  /** A record is lost, as a store loses it that makes room: the owner's, or a session's. */
  async #mayEvict(): Promise<void> {
    const { evictions = 0 } = this.#conditions
    if (evictions === 0 || this.#choices.pick(evictions) !== 0) return
    const told = this.#choices.pick(2) === 0 ? undefined : this.pickTold()
    const key = told === undefined ? this.ownerKey : await this.#keyOf(told.id)
    if (key === undefined) return
    this.isEvicting = true
    this.isOwnerLost ||= key === this.ownerKey
    this.mayEnd(this.told)
    this.tell('*', `${this.nameOf(key)} is evicted`)
    await this.#store.destroy(key)
    this.#mustLook = true
  }

  #over(actor: OwnerActor): void {
    if (!actor.isOver) this.#running -= 1
    actor.isOver = true
  }

  /** The process is gone: the call may have been carried out, and no other one follows. */
  async #crash(pending: Pending): Promise<void> {
    const { actor, name } = pending
    this.#over(actor)
    this.#crashes += 1
    if (actor.moving !== undefined) actor.moving.mayEnd = true
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
    this.#failures += 1
    actor.isTroubled = true
    if (actor.moving !== undefined) actor.moving.mayEnd = true
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

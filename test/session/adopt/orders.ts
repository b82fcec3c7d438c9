// Requests in processes of their own that come with one old cookie, in every order in which their calls of the two stores can follow each other.
import { SessionError, type Importer, type OldSession, type Session } from '../../../src/index.ts'
import { SessionManager } from '../../../src/session/manager.ts'
import type { OpenOptions } from '../../../src/session/options.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'
import { Branches } from '../../../src/testing/simulation/branches.ts'
import { InterceptedStore } from '../../../src/testing/simulation/intercepted-store.ts'
import { Seeded } from '../../../src/testing/simulation/seeded.ts'
import type { Choices } from '../../../src/testing/simulation/simulation.ts'
import type { Answer, Call } from '../../../src/testing/simulation/store-model.ts'

/** What a request does with the session that its old cookie opened, if it opened one. */
export type Script =
  | 'looks'
  | 'sets'
  | 'logs out'
  | 'logs out of another session'
  | 'regenerates'
  | 'ends by ID'
  | 'empties'

/**
 * What goes wrong at one call of a process. It stops before it, after it without the answer, or so that the call arrives when all else is over; or the
 * process goes on with an error, of a call that was not applied, was applied, or is applied when all else is over.
 */
export interface Fault {
  readonly actor: number
  readonly call: number
  readonly mode: (typeof modes)[number]
}

const modes = ['crash before', 'crash after', 'crash and late', 'failed', 'lost', 'late'] as const

interface PendingCall {
  readonly actor: Actor
  readonly perform: () => Promise<void>
}

const OLD_ID = 'the old ID'
const END = 1_000_000
const FOREVER = 1_000_000_000

/** The old store, the new one, and the requests on them. */
class Race {
  readonly choices: Choices
  readonly fault: Fault | undefined
  readonly store = new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity, now: () => 1_000 })
  readonly old = new Map<string, OldSession>([[OLD_ID, { values: { user: 'ann' }, expiresAt: END }]])
  pending: PendingCall[] = []
  readonly late: (() => Promise<void>)[] = []
  readonly trace: string[] = []

  constructor(choices: Choices, fault?: Fault) {
    this.choices = choices
    this.fault = fault
  }

  async go(scripts: readonly Script[]): Promise<readonly Actor[]> {
    const actors = scripts.map((script, at) => new Actor(this, script, at))
    for (const actor of actors) void actor.run()
    for (;;) {
      await quiet()
      if (this.pending.length === 0) break
      // The actors are in a fixed order, so that the same choices make the same order.
      this.pending.sort((one, other) => one.actor.number - other.actor.number)
      const [next] = this.pending.splice(this.choices.pick(this.pending.length), 1)
      await next?.perform()
    }
    for (const perform of this.late) await perform()
    return actors
  }

  /** A request that comes when all others are over. */
  async later(script: Script): Promise<Actor> {
    const [actor] = await new Race2(this).go([script])
    if (actor === undefined) throw new Error('no actor')
    return actor
  }
}

/** The stores of a race, without its fault. */
class Race2 extends Race {
  override readonly store: MemoryStore
  override readonly old: Map<string, OldSession>

  constructor(race: Race) {
    super({ pick: () => 0 })
    this.store = race.store
    this.old = race.old
  }
}

/** One request, in a process of its own. */
export class Actor {
  readonly race: Race
  readonly script: Script
  readonly number: number
  /** The ID of the session that was opened. */
  id: string | undefined
  isOver = false
  /** What it did was acknowledged. */
  isDone = false
  error: unknown
  #calls = 0
  #isCrashed = false

  constructor(race: Race, script: Script, number: number) {
    this.race = race
    this.script = script
    this.number = number
  }

  async run(): Promise<void> {
    try {
      await this.#act()
      this.isDone = true
    } catch (error) {
      this.error = error
    }
    this.isOver = true
  }

  /** Lets a call through when it is its turn. */
  async call<T>(what: string, perform: () => Promise<T>): Promise<T> {
    this.#calls += 1
    const { fault, pending, late, trace } = this.race
    const mode = fault?.actor === this.number && fault.call === this.#calls ? fault.mode : undefined
    return new Promise<T>((resolve, reject) => {
      if (this.#isCrashed) return
      const act = async (): Promise<void> => {
        trace.push(`${this.number} ${this.script}: ${what}${mode === undefined ? '' : ` (${mode})`}`)
        this.#isCrashed = mode?.startsWith('crash') === true
        if (mode === 'crash and late' || mode === 'late')
          late.push(async () => void (await perform().catch(() => {})))
        const isApplied = mode === undefined || mode === 'crash after' || mode === 'lost'
        try {
          const result = isApplied ? await perform() : undefined
          if (this.#isCrashed) return
          if (mode === undefined) resolve(result as T) // it was applied
          else reject(new SessionError('ERR_SESSION_STORE', 'no answer'))
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      }
      pending.push({ actor: this, perform: act })
    })
  }

  async #act(): Promise<void> {
    const importer = this.#importer()
    const credential = { importer, id: OLD_ID }
    const manager = new SessionManager({
      store: new ActorStore(this.race.store, this),
      openTimeout: FOREVER,
      commitTimeout: FOREVER,
      now: () => 1_000,
      pause: async () => {},
    })
    const options: OpenOptions = { old: [credential] }
    const isOther = this.script === 'logs out of another session'
    const session = isOther ? undefined : await manager.adopt(credential, options, manager.openDeadline())
    this.id = session?.id
    if (session !== undefined && session.get('user') !== 'ann')
      throw new Error('the values are not those of the old session')
    await this.#use(manager, session ?? manager.begin(options), session !== undefined)
  }

  async #use(manager: SessionManager, session: Session, isOpen: boolean): Promise<void> {
    if (isLogout(this.script)) await session.destroy()
    if (!isOpen) return
    switch (this.script) {
      case 'sets':
        session.set(`by ${this.number}`, true)
        if ((await session.commit()) === 'gone') this.id = undefined
        break
      case 'regenerates':
        session.regenerate()
        await session.commit()
        break
      case 'ends by ID':
        await manager.destroy(session.id)
        break
      case 'empties':
        session.clear()
        await session.commit()
        break
      case 'looks':
      case 'logs out':
      case 'logs out of another session':
    }
  }

  #importer(): Importer {
    const { old } = this.race
    return {
      name: 'old',
      cookies: [{ name: 'old' }],
      find: () => [OLD_ID],
      read: async (id) => this.call('read old', async () => old.get(id)),
      destroy: async (id) => this.call('destroy old', async () => old.delete(id)),
    }
  }
}

class ActorStore extends InterceptedStore {
  readonly #actor: Actor

  constructor(store: MemoryStore, actor: Actor) {
    super(store)
    this.#actor = actor
  }

  override async intercept<A extends Answer>(call: Call, perform: () => Promise<A>): Promise<A> {
    // A record under an ID that no other request can know: when it is created makes no difference to them.
    const isPrivate = call.verb === 'create' && !/^[^\n]* (?:adopted|ended)=/.test(call.payload ?? '')
    if (isPrivate) return perform()
    return this.#actor.call(`${call.verb} ${call.key.slice(0, 4)}`, perform)
  }
}

/** What is wrong when all requests are over, if anything is. */
async function verify(race: Race, actors: readonly Actor[], hasFault: boolean): Promise<string | undefined> {
  const failed = actors.find(({ error }) => error !== undefined && !isRefused(error, hasFault))
  if (failed !== undefined) return `${failed.script} failed: ${String(failed.error)}`
  const ids = new Set(actors.flatMap(({ id }) => id ?? []))
  if (ids.size > 1) return 'two sessions were made of one'
  const ending = actors.filter(({ script }) => script !== 'looks' && script !== 'sets')
  const isEnded = ending.some(({ isDone, id, script }) => isDone && (id !== undefined || isLogout(script)))
  const after = await race.later('looks')
  if (isEnded && after.id !== undefined) return 'the old cookie opens a session that was ended'
  if (ending.length === 0 && after.id === undefined) return 'the user was logged out'
  if (after.id !== undefined && ids.size === 1 && !ids.has(after.id))
    return 'the old cookie opens another session'
  const mayRemove = actors.some(({ script }) => isLogout(script))
  if (!mayRemove && !race.old.has(OLD_ID)) return 'the old record is gone'
  if (actors.some(({ script, isDone }) => isLogout(script) && isDone) && race.old.has(OLD_ID))
    return 'the old record is still there'
  if (ending.length === 0) {
    const manager = new SessionManager({ store: race.store, now: () => 1_000 })
    const session = await manager.find(after.id)
    for (const { number, script, isDone } of actors)
      if (script === 'sets' && isDone && session?.get(`by ${number}`) !== true)
        return `what ${number} has set is lost`
    // The marker and the session. A fault may leave a record that no client knows.
    const count = await race.store.count()
    if (!hasFault && count !== 2) return `there are ${count} records`
  }
  return undefined
}

function isLogout(script: Script): boolean {
  return script.startsWith('logs out')
}

function isRefused(error: unknown, hasFault: boolean): boolean {
  const { code }: { readonly code?: unknown } = Object(error)
  return code === 'ERR_SESSION_CONFLICT' || (hasFault && code === 'ERR_SESSION_STORE')
}

async function order(
  scripts: readonly Script[],
  choices: Choices,
  fault?: Fault,
): Promise<string | undefined> {
  const race = new Race(choices, fault)
  const actors = await race.go(scripts)
  const wrong = await verify(race, actors, fault !== undefined)
  return wrong === undefined ? undefined : [wrong, ...race.trace].join('\n')
}

/** Every order, and what is wrong in the first bad one. */
export async function everyOrder(
  scripts: readonly Script[],
): Promise<{ readonly orders: number; readonly wrong: string | undefined }> {
  const branches = new Branches()
  let orders = 0
  do {
    orders += 1
    const wrong = await order(scripts, branches)
    if (wrong !== undefined) return { orders, wrong }
  } while (branches.next())
  return { orders, wrong: undefined }
}

/** So many orders by chance, most of them with a fault at a call by chance, and what is wrong in the first bad one. */
export async function someOrders(scripts: readonly Script[], count: number): Promise<string | undefined> {
  for (let seed = 1; seed <= count; seed += 1) {
    const choices = new Seeded(seed)
    const mode = modes[choices.pick(modes.length)] ?? 'lost'
    const fault = { actor: choices.pick(scripts.length), call: 1 + choices.pick(10), mode }
    const wrong = await order(scripts, choices, choices.pick(4) === 0 ? undefined : fault)
    if (wrong !== undefined) return `seed ${seed}: ${wrong}`
  }
  return undefined
}

async function quiet(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

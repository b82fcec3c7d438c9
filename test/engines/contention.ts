import { setImmediate as request } from 'node:timers/promises'
import { SessionError, SessionManager, type ManagerOptions, type Session } from '../../src/index.ts'
import type { Store } from '../../src/store.ts'
import { caller, HookedStore } from '../support/hooked-store.ts'
import { PATIENCE } from './stores.ts'

/** What is done to a session that other requests keep writing to. */
export const ENDS = ['session.destroy()', 'manager.destroy(id)', 'regenerate()'] as const
export type End = (typeof ENDS)[number]

interface Contention {
  readonly end: End
  /** How far the store is, in ms each way. */
  readonly latency: number
  /** How many connections write, half of them to another process. */
  readonly writers: number
  /** How long the operation and the writes may take, in ms, where they may be given up. Default: as long as they need. */
  readonly commitTimeout?: number
}

/** What came of it: what was wrong, if anything, and how many calls the operation made. */
interface Contended {
  readonly problem: string | undefined
  readonly calls: number
}

/** Of so many turns of one connection one regenerates the session, and all go on under the new ID. */
const TURNS_PER_MOVE = 2

/** Connections that keep writing to one session, from two processes. */
class Writers {
  readonly #managers: readonly SessionManager[]
  readonly #moves: boolean
  readonly #mayGiveUp: boolean
  #isOver = false
  #id: string
  /** How many increments were acknowledged. */
  counted = 0
  /** How many were given up when their time was over: they may be stored or not. */
  uncertain = 0
  problem: string | undefined
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = []
  readonly ids: Set<string> = new Set()

  /**
   * @param moves whether one of them regenerates the session again and again
   * @param mayGiveUp whether a write may fail because its time is over
   */
  constructor(managers: readonly SessionManager[], id: string, moves: boolean, mayGiveUp: boolean) {
    this.#managers = managers
    this.#id = id
    this.ids.add(id)
    this.#moves = moves
    this.#mayGiveUp = mayGiveUp
  }

  get id(): string {
    return this.#id
  }

  start(howMany: number): Promise<unknown> {
    return Promise.all(
      Array.from({ length: howMany }, async (_, n) => {
        const manager = this.#managers[n % this.#managers.length]
        if (manager === undefined) return
        for (let turn = 1; !this.#isOver; turn += 1) {
          const isMove = this.#moves && n === 1 && turn % TURNS_PER_MOVE === 0
          await this.write(manager, isMove)
        }
      }),
    )
  }

  /** Until so many increments were acknowledged. */
  async reach(count: number): Promise<void> {
    if (this.counted < count) await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }))
  }

  stop(): void {
    this.#isOver = true
  }

  /** One request that adds to the counter, and perhaps regenerates the session. */
  async write(manager: SessionManager, isMove: boolean): Promise<void> {
    await request() // as each request comes by the event loop
    const session = await manager.find(this.#id)
    if (session === undefined) return
    session.update('n', (n = 0) => n + 1)
    if (isMove) session.regenerate()
    try {
      if ((await manager.commit(session)) === 'gone') return
    } catch (error) {
      if (this.#mayGiveUp && isLate(error)) this.uncertain += 1
      else if (!isConflict(error)) this.problem = `a write failed: ${String(error)}`
      return
    }
    this.counted += 1
    if (isMove) this.#follow(session)
    for (const { count, resolve } of this.#waiting) if (this.counted >= count) resolve()
  }

  #follow(session: Session): void {
    this.#id = session.id
    this.ids.add(session.id)
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof SessionError && error.code === 'ERR_SESSION_CONFLICT'
}

/** Whether the time was over. */
function isLate(error: unknown): boolean {
  return error instanceof SessionError && error.code === 'ERR_SESSION_STORE'
}

/** Ends or regenerates a session that other requests keep writing to, and looks at what is left. */
export async function contend(
  inner: Store,
  { end, latency, writers: howMany, commitTimeout = PATIENCE }: Contention,
): Promise<Contended> {
  const stores = [new HookedStore(inner), new HookedStore(inner)] as const
  // Not always the same, or all requests would go in step.
  for (const store of stores) store.latency = () => latency * (0.5 + Math.random())
  const options: Omit<ManagerOptions, 'store'> = {
    openTimeout: PATIENCE,
    commitTimeout,
    sweepInterval: 0,
  }
  const [near, far] = stores.map((store) => new SessionManager({ ...options, store }))
  if (near === undefined || far === undefined) throw new Error('no managers')
  const mayGiveUp = commitTimeout < PATIENCE
  const begun = near.begin().set('mark', 'kept').set('n', 0)
  await near.commit(begun)
  const writers = new Writers([near, far], begun.id, end !== 'regenerate()', mayGiveUp)
  const working = writers.start(howMany)
  await writers.reach(2 * howMany)

  const { id } = writers
  let newId: string | undefined
  let problem: string | undefined
  try {
    if (end === 'manager.destroy(id)') await caller.run('end', async () => near.destroy(id))
    else {
      const session = await near.open(id)
      if (end === 'session.destroy()') await caller.run('end', async () => session.destroy())
      else {
        await caller.run('end', async () => near.regenerate(session))
        newId = session.id
      }
    }
  } catch (error) {
    const isGivenUp = isConflict(error) || (mayGiveUp && isLate(error))
    if (end !== 'regenerate()' || !isGivenUp) problem = `${end} failed: ${String(error)}`
  }
  writers.stop()
  await working
  const judge = new SessionManager({ store: new HookedStore(inner) })
  problem ??= writers.problem ?? (await left(judge, stores, writers, end, newId))
  return { problem, calls: stores.flatMap((store) => store.verbs('end')).length }
}

/** What is wrong with what is stored in the end. */
async function left(
  manager: SessionManager,
  stores: readonly HookedStore[],
  { ids, id, counted, uncertain }: Writers,
  end: End,
  newId: string | undefined,
): Promise<string | undefined> {
  if (end !== 'regenerate()') {
    for (const each of ids) if ((await manager.find(each)) !== undefined) return 'the session lives'
    const payloads = (await Promise.all(stores.map(async (store) => store.payloads()))).flat()
    return payloads.some((payload) => payload.includes('kept')) ? 'its data is stored' : undefined
  }
  const found = await manager.find(newId ?? id)
  if (newId !== undefined && (await manager.find(id)) !== undefined) return 'the old ID opens the session'
  const n: number = found?.get('n')
  return n >= counted && n <= counted + uncertain
    ? undefined
    : `${n} of ${counted} acknowledged increments are there`
}

/** What another request does, to its end, just before a call of the operation. */
export type Rival = 'writes before each write of it' | 'regenerates before each of its first three calls'

/** Ends or regenerates a session while another process always gets ahead of it. */
export async function outrun(
  inner: Store,
  end: End,
  rival: Rival,
): Promise<Contended & { readonly error: unknown }> {
  const stores = [new HookedStore(inner), new HookedStore(inner)] as const
  const [near, far] = stores.map(
    (store) =>
      new SessionManager({ store, openTimeout: PATIENCE, commitTimeout: PATIENCE, pause: async () => {} }),
  )
  if (near === undefined || far === undefined) throw new Error('no managers')
  const begun = near.begin().set('mark', 'kept').set('n', 0)
  await near.commit(begun)
  const writers = new Writers([far], begun.id, true, false)
  let moves = 0
  stores[0].before = async ({ verb, caller }) => {
    if (caller === undefined) return
    if (rival === 'writes before each write of it') {
      if (verb === 'replace' || verb === 'destroy') await writers.write(far, false)
    } else if (moves < 3) {
      moves += 1
      await writers.write(far, true)
    }
  }
  const session = await near.open(begun.id)
  let error: unknown
  let newId: string | undefined
  try {
    await caller.run('end', async () => {
      if (end === 'regenerate()') await near.regenerate(session)
      else await near.destroy(end === 'manager.destroy(id)' ? begun.id : session)
    })
    if (end === 'regenerate()') newId = session.id
  } catch (failure) {
    error = failure
  }
  const problem = writers.problem ?? (await left(far, stores, writers, end, newId))
  return { problem, error, calls: stores[0].verbs('end').length }
}

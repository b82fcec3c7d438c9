import { setImmediate as request } from 'node:timers/promises'
import { SessionError, SessionManager } from '../../src/index.ts'
import type { Store } from '../../src/store.ts'
import { caller, HookedStore } from '../support/hooked-store.ts'
import { PATIENCE } from './stores.ts'

/** What is done to a session that other requests keep writing to. */
export const ENDS = ['session.destroy()', 'manager.destroy(id)', 'regenerate()'] as const
export type End = (typeof ENDS)[number]

/** What came of an operation. */
interface Contended {
  /** What is wrong with what is stored or was answered, if anything. */
  readonly problem: string | undefined
  /** What the operation was rejected with, if it was. */
  readonly error: unknown
  /** How many calls of the store it made. */
  readonly calls: number
}

const patience = { openTimeout: PATIENCE, commitTimeout: PATIENCE, sweepInterval: 0 }

/** Of so many turns of one connection one regenerates the session, and all go on under the new ID. */
const TURNS_PER_MOVE = 2

/** Requests that add to a counter in one session, under the ID that it has at the time. */
class Writers {
  id: string
  readonly ids: Set<string>
  /** How many increments were acknowledged. */
  counted = 0
  /** How many were given up when their time was over: they may be stored or not. */
  uncertain = 0
  problem: string | undefined
  #isOver = false
  #awaited = 0
  #reached: () => void = () => {}

  constructor(id: string) {
    this.id = id
    this.ids = new Set([id])
  }

  /** Connections that keep writing, to these processes in turn; with `isMoving` one regenerates the session again and again. */
  async work(managers: readonly SessionManager[], howMany: number, isMoving: boolean): Promise<void> {
    const connections = Array.from({ length: howMany }, async (_, n) => {
      const manager = managers[n % managers.length]
      if (manager === undefined) return
      for (let turn = 1; !this.#isOver; turn += 1) {
        await request() // as each request comes by the event loop
        await this.write(manager, isMoving && n === 1 && turn % TURNS_PER_MOVE === 0)
      }
    })
    await Promise.all(connections)
  }

  /** Until so many increments were acknowledged. */
  async reach(count: number): Promise<void> {
    this.#awaited = count
    if (this.counted < count) await new Promise<void>((resolve) => (this.#reached = resolve))
  }

  stop(): void {
    this.#isOver = true
  }

  /** One request that adds to the counter, and perhaps regenerates the session. */
  async write(manager: SessionManager, isMove: boolean): Promise<void> {
    const session = await manager.find(this.id)
    if (session === undefined) return
    session.update('n', (n = 0) => n + 1)
    if (isMove) session.regenerate()
    try {
      if ((await manager.commit(session)) === 'gone') return
    } catch (error) {
      if (isLate(error)) this.uncertain += 1
      else if (!isConflict(error)) this.problem = `a write failed: ${String(error)}`
      return
    }
    this.counted += 1
    if (isMove) {
      this.id = session.id
      this.ids.add(session.id)
    }
    if (this.counted >= this.#awaited) this.#reached()
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof SessionError && error.code === 'ERR_SESSION_CONFLICT'
}

/** Whether the time of an operation was over. */
function isLate(error: unknown): boolean {
  return error instanceof SessionError && error.code === 'ERR_SESSION_STORE'
}

/** A process with the shared store, and its own view of it. */
interface Process {
  readonly store: HookedStore
  readonly manager: SessionManager
}

function openProcess(inner: Store, options: { readonly commitTimeout?: number } = {}): Process {
  const store = new HookedStore(inner)
  return { store, manager: new SessionManager({ store, ...patience, ...options }) }
}

async function begin({ manager }: Process): Promise<string> {
  const begun = manager.begin().set('mark', 'kept').set('n', 0)
  await manager.commit(begun)
  return begun.id
}

/** Does it, and tells which ID the session has then, if it is a new one. */
async function perform(end: End, manager: SessionManager, id: string): Promise<string | undefined> {
  if (end === 'manager.destroy(id)') {
    await caller.run('end', async () => manager.destroy(id))
    return undefined
  }
  const session = await manager.open(id)
  if (end === 'session.destroy()') {
    await caller.run('end', async () => session.destroy())
    return undefined
  }
  await caller.run('end', async () => manager.regenerate(session))
  return session.id
}

/**
 * Ends or regenerates a session that so many connections keep writing to, in this and in another process. The store is
 * `latency` ms away.
 */
export async function contend(
  inner: Store,
  end: End,
  { latency, howMany }: { readonly latency: number; readonly howMany: number },
): Promise<Contended> {
  const judge = openProcess(inner)
  // A regeneration may lose to all of them, and is given up then.
  const options = end === 'regenerate()' ? { commitTimeout: 800 } : {}
  const [near, far] = [openProcess(inner, options), openProcess(inner, options)]
  // Not always the same, or all requests would go in step.
  for (const { store } of [near, far]) store.latency = () => latency * (0.5 + Math.random())
  const writers = new Writers(await begin(judge))
  const working = writers.work([near.manager, far.manager], howMany, end !== 'regenerate()')
  await writers.reach(2 * howMany)
  const { id } = writers
  const outcome = await perform(end, near.manager, id).then(
    (newId) => ({ newId, error: undefined }),
    (error: unknown) => ({ newId: undefined, error }),
  )
  writers.stop()
  await working
  const calls = near.store.verbs('end').length
  const { error, newId } = outcome
  if (end !== 'regenerate()') return { error, calls, problem: await remains(judge, writers, [near, far]) }
  const isKnown = error === undefined || isConflict(error)
  if (!isKnown && !isLate(error)) return { error, calls, problem: 'it failed' }
  return { error, calls, problem: await missing(judge, writers, newId, isKnown) }
}

/** What another request does, to its end, just before a call of the operation. */
export const RIVALS = [
  'writes before each write of it',
  'regenerates before each of its first three calls',
] as const
export type Rival = (typeof RIVALS)[number]

/** Ends or regenerates a session while another process always gets ahead of it. */
export async function outrun(inner: Store, end: End, rival: Rival): Promise<Contended> {
  const [near, far] = [openProcess(inner), openProcess(inner)]
  const writers = new Writers(await begin(far))
  let moves = 0
  near.store.before = async ({ verb, caller }) => {
    if (caller === undefined) return
    if (rival === 'writes before each write of it') {
      if (verb === 'replace' || verb === 'destroy') await writers.write(far.manager, false)
    } else if (moves < 3) {
      moves += 1
      await writers.write(far.manager, true)
    }
  }
  const { id } = writers
  const { newId, error } = await perform(end, near.manager, id).then(
    (newId) => ({ newId, error: undefined }),
    (error: unknown) => ({ newId: undefined, error }),
  )
  const problem =
    end === 'regenerate()'
      ? await missing(far, writers, newId, true)
      : await remains(far, writers, [near, far])
  return { error, problem, calls: near.store.verbs('end').length }
}

/** What remains of a session that was ended. */
async function remains(
  { manager }: Process,
  { ids, problem }: Writers,
  processes: readonly Process[],
): Promise<string | undefined> {
  if (problem !== undefined) return problem
  for (const id of ids) if ((await manager.find(id)) !== undefined) return 'the session lives'
  const payloads = await Promise.all(processes.map(async ({ store }) => store.payloads()))
  return payloads.flat().some((payload) => payload.includes('kept')) ? 'its data is stored' : undefined
}

/** What is missing in a session that was to be regenerated. With an unknown outcome its old ID may open nothing. */
async function missing(
  { manager }: Process,
  { id, counted, uncertain, problem }: Writers,
  newId: string | undefined,
  isKnown: boolean,
): Promise<string | undefined> {
  if (problem !== undefined) return problem
  const found = await manager.find(newId ?? id)
  if (found === undefined && !isKnown) return undefined
  if (newId !== undefined && (await manager.find(id)) !== undefined) return 'the old ID opens the session'
  const n: number = found?.get('n')
  const isThere = found?.get('mark') === 'kept' && n >= counted && n <= counted + uncertain
  return isThere ? undefined : `${n} of ${counted} acknowledged increments are there`
}

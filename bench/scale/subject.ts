// Requests without HTTP: what grows is looked at, not what a server costs.
import { SessionManager } from 'koa-typed-session'
import { MemoryStore } from 'koa-typed-session/stores/memory'

/** The manager and the IDs of its sessions. */
export interface Subject {
  readonly manager: SessionManager
  readonly ids: readonly string[]
}

const limits = { keys: 2_000, bytes: 8_388_608, keyBytes: 4_194_304 }

/** As many sessions, each with `user`, `keys` further keys and `bytes` of text in all. */
export async function fill(sessions: number, keys: number, bytes: number): Promise<Subject> {
  const manager = new SessionManager({
    store: new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity }),
    limits,
    sweepInterval: 0,
  })
  const ids: string[] = []
  for (let index = 0; index < sessions; index += 1) {
    const session = manager.begin().set('user', 'ann')
    for (let key = 0; key < keys; key += 1) session.set(`key${key}`, textOf(bytes / keys, index))
    await manager.commit(session)
    ids.push(session.id)
  }
  return { manager, ids }
}

/** Of its own for each session, as a store would hold it. */
export function textOf(length: number, seed: number): string {
  return `${seed} `.padEnd(Math.max(1, Math.round(length)), 'text that is kept ')
}

export async function untouched({ manager, ids }: Subject, requests: number): Promise<void> {
  for (let index = 0; index < requests; index += 1) await manager.commit(await manager.open(idAt(ids, index)))
}

export async function read({ manager, ids }: Subject, requests: number): Promise<void> {
  for (let index = 0; index < requests; index += 1) {
    const session = await manager.open(idAt(ids, index))
    if (session.get('user') === undefined) throw new Error('nobody is there')
    await manager.commit(session)
  }
}

let writes = 0

export async function write({ manager, ids }: Subject, requests: number): Promise<void> {
  for (let index = 0; index < requests; index += 1) {
    const session = await manager.open(idAt(ids, index))
    session.set('user', `user ${(writes += 1)}`)
    if ((await manager.commit(session)) !== 'ok') throw new Error('it was not kept')
  }
}

/** `crowd` at once on one session, each with a key of its own, `times` over. The check tells that none was lost. */
export async function writeTogether(
  { manager, ids }: Subject,
  crowd: number,
  times: number,
): Promise<() => Promise<void>> {
  const id = idAt(ids, 0)
  const value = (writes += 1)
  for (let time = 0; time < times; time += 1) {
    await Promise.all(
      Array.from({ length: crowd }, async (_, index) => {
        const session = await manager.open(id)
        session.set(`key${index}`, value + time)
        if ((await manager.commit(session)) !== 'ok') throw new Error('it was not kept')
      }),
    )
  }
  return async () => {
    const session = await manager.open(id)
    for (let index = 0; index < crowd; index += 1) {
      if (session.get(`key${index}`) !== value + times - 1) throw new Error('a change was lost')
    }
  }
}

/** Spread over all of them, and not in the order in which they were made. */
function idAt(ids: readonly string[], index: number): string {
  return ids[(index * 7919) % ids.length] ?? ''
}

import type { ExecutionContext } from 'ava'
import { SessionError, type Session, type SessionManager } from '../../src/index.ts'
import { OwnerRecord } from '../../src/session/owners/owner-record.ts'
import { ownerKey } from '../../src/session/owners/owner.ts'
import type { Store } from '../../src/store.ts'

/** One owner with two sessions, and a process that is about to do something with them. */
export interface OwnerScene {
  readonly owner: string
  readonly ids: readonly [string, string]
  readonly handles: readonly [string, string]
  readonly since: string
  /** The process whose store is in trouble. */
  readonly manager: SessionManager
  /** Another one, which looks afterwards. */
  readonly witness: SessionManager
}

/** Does one thing to the owner's sessions. Resolves, once it is acknowledged, with a check that it holds. */
type Act = (scene: OwnerScene, t: ExecutionContext) => Promise<() => Promise<unknown>>

/** Everything that is done to an owner's sessions. */
export const ownerActs: Readonly<Record<string, Act>> = {
  'signs in': async ({ manager, witness, owner, since }, t) => {
    const session = manager.begin().set('user', owner)
    session.signIn(owner, { since })
    await session.commit()
    return async () => {
      t.is((await witness.find(session.id))?.owner?.id, owner)
      t.true(await isListed(witness, owner, session.handle))
    }
  },
  'ends all': async ({ manager, witness, owner, ids }, t) => {
    await manager.sessionsOf(owner).endAll()
    return async () => t.deepEqual(await usable(witness, ids), [])
  },
  'ends one': async ({ manager, witness, owner, ids, handles }, t) => {
    await manager.sessionsOf(owner).end(handles[0])
    return async () => t.deepEqual(await usable(witness, ids), [ids[1]])
  },
  refreshes: async ({ manager, witness, owner, ids }, t) => {
    await manager.sessionsOf(owner).refresh()
    return async () => {
      for (const id of ids) t.true((await witness.find(id))?.isOutdated)
    }
  },
  lists: async ({ manager, owner, handles }, t) => {
    const list = await manager.sessionsOf(owner).list()
    return async () => t.deepEqual(list.map(({ handle }) => handle).toSorted(), handles.toSorted())
  },
}

/** The sessions that an act may end, and those that it must not. */
const mayEnd: Readonly<Record<string, readonly number[]>> = { 'ends all': [0, 1], 'ends one': [0] }

/** A new owner with two sessions. */
export async function ownerScene(
  manager: SessionManager,
  witness: SessionManager,
  owner: string,
): Promise<OwnerScene> {
  const since = await witness.sessionsOf(owner).since()
  const [one, other] = [await signedIn(witness, owner), await signedIn(witness, owner)]
  return {
    owner,
    ids: [one.id, other.id],
    handles: [one.handle, other.handle],
    since,
    manager,
    witness,
  }
}

/** Does one thing while its store fails. Returns how it can be seen that what was acknowledged holds. */
export async function attempt(
  t: ExecutionContext,
  name: string,
  scene: OwnerScene,
): Promise<{ readonly isDone: boolean; readonly holds: () => Promise<unknown> }> {
  try {
    const holds = await ownerActs[name]?.(scene, t)
    return { isDone: true, holds: holds ?? (async () => t.fail(`nothing is called ${name}`)) }
  } catch (error) {
    t.true(error instanceof SessionError && [409, 503].includes(error.status), String(error))
    return { isDone: false, holds: async () => {} }
  }
}

/**
 * Looks at what there is when the store is well again: what was acknowledged holds, nothing has ended without a cause, and
 * one list leaves nothing to be ended. `isLate`: calls from before may arrive still.
 */
export async function judge(
  t: ExecutionContext,
  name: string,
  scene: OwnerScene,
  holds: () => Promise<unknown>,
  store: Store,
  isLate: boolean,
): Promise<void> {
  const { witness, owner, ids, handles } = scene
  await holds()
  const listed = new Set((await witness.sessionsOf(owner).list()).map(({ handle }) => handle))
  for (let tries = 1; ; tries += 1) {
    const entry = await store.read(ownerKey({ id: owner }, 'sha256'))
    const ending = entry === undefined ? [] : OwnerRecord.parse(entry.payload).ending()
    if (isLate && ending.length > 0 && tries < 10) await witness.sessionsOf(owner).list()
    else {
      t.deepEqual(ending, [], `${name}: what is to be ended`)
      break
    }
  }
  const left = await usable(witness, ids)
  for (const at of [0, 1] as const) {
    const isUsable = left.includes(ids[at])
    if (mayEnd[name]?.includes(at) !== true)
      t.true(isUsable, `${name}: session ${at} has ended without a cause`)
    if (isUsable) t.true(listed.has(handles[at]), `${name}: session ${at} is usable and not listed`)
  }
  await holds()
  await witness.sessionsOf(owner).endAll()
  t.deepEqual(await usable(witness, ids), [])
}

async function signedIn(manager: SessionManager, owner: string): Promise<Session> {
  const session = manager.begin().set('user', owner)
  session.signIn(owner)
  await session.commit()
  return session
}

async function usable(manager: SessionManager, ids: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(ids.map(async (id) => manager.find(id)))
  return ids.filter((_, at) => found[at]?.owner !== undefined)
}

async function isListed(manager: SessionManager, owner: string, handle: string): Promise<boolean> {
  return (await manager.sessionsOf(owner).list()).some((session) => session.handle === handle)
}

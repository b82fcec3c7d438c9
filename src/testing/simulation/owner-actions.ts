import { stateOf } from '../../session/session.ts'
import type { OwnerAction, OwnerActor } from './owner-simulation.ts'

/** Signs in: to a new session, or to the anonymous one that others sign in to as well. */
function signIn(from: 'new' | 'anonymous', isFenced: boolean): OwnerAction {
  return async (actor) => {
    const { simulation, manager } = actor
    const beganAt = simulation.step
    const since = isFenced ? await actor.attempt('since', async () => actor.sessions.since()) : undefined
    if (isFenced && since === undefined) return
    // Without a fence the sign-in counts from its commit.
    const fencedAt = isFenced ? simulation.step : Infinity
    const opened = await actor.attempt('open', async () =>
      from === 'new' ? manager.begin() : manager.open(simulation.anonymousId),
    )
    if (opened === undefined) return
    if (opened.owner !== undefined) return
    const { handle } = opened
    const isAnonymous = from === 'anonymous' && !opened.isNew
    opened.signIn(simulation.owner, since === undefined ? {} : { since })
    if (isAnonymous) simulation.takers += 1
    const outcome = await actor.attempt('sign in', async () => opened.commit())
    if (outcome === 'ok')
      simulation.signedIn(opened, beganAt, fencedAt, isAnonymous && opened.handle === handle)
    else if (outcome !== undefined) simulation.wrong(15, `a sign-in comes to ${outcome}`)
    else if (isAnonymous && !actor.isTroubled && !actor.hasCrashed && !simulation.isEvicting) {
      simulation.takers -= 1
      const isOnlyOne = simulation.takers === 0
      if (isOnlyOne && (await simulation.anonymous())?.get('cart') !== 1)
        simulation.wrong(11, 'the client of a sign-in that was refused has lost its anonymous session')
      if (opened.owner !== undefined)
        simulation.wrong(11, 'a session has an owner though its sign-in was refused')
    }
  }
}

/** Gives a session a new ID. */
function move(how: 'regenerate' | 'confirm'): OwnerAction {
  return async (actor) => {
    const told = actor.simulation.pickTold()
    if (told === undefined) return
    const session = await actor.attempt('open', async () => actor.manager.find(told.id))
    if (session === undefined) return
    actor.moving = told
    if (actor.isTroubled) told.mayEnd = true
    if (how === 'regenerate') session.regenerate()
    else session.confirm('otp')
    const outcome = await actor.attempt(how, async () => session.commit())
    if (outcome === 'ok') await actor.simulation.moved(told, session.id)
    if (!actor.hasCrashed) actor.moving = undefined
  }
}

/** A request whose session's ID is old enough to be rotated. */
async function rotate(actor: OwnerActor): Promise<void> {
  const told = actor.simulation.pickTold()
  if (told === undefined) return
  const { rotating } = actor
  const session = await actor.attempt('open', async () => rotating.find(told.id))
  if (session === undefined) return
  stateOf(session).respondBy({
    update: () => {},
    canRotate: () => true,
    repeats: () => false,
    isDisconnected: () => false,
  })
  const outcome = await actor.attempt('rotate', async () => session.set('b', actor.name).commit())
  if (outcome === 'ok' && session.id !== told.id) await actor.simulation.moved(told, session.id)
}

async function write(actor: OwnerActor): Promise<void> {
  const told = actor.simulation.pickTold()
  if (told === undefined) return
  const before = actor.ownerCalls.length
  const session = await actor.attempt('open', async () => actor.manager.find(told.id))
  if (session === undefined) return
  await actor.attempt('write', async () => session.set('a', actor.name).commit())
  actor.simulation.judgeRequest(actor.ownerCalls.slice(before))
}

/** A request that reads the rights of its owner again. */
async function catchUp(actor: OwnerActor): Promise<void> {
  const told = actor.simulation.pickTold()
  if (told === undefined) return
  const session = await actor.attempt('open', async () => actor.manager.find(told.id))
  if (session?.isOutdated !== true) return
  actor.simulation.readsRights(told)
  session.refreshed()
  await actor.attempt('catch up', async () => session.commit())
}

async function logOut(actor: OwnerActor): Promise<void> {
  const told = actor.simulation.pickTold()
  if (told === undefined) return
  actor.simulation.mayEnd([told])
  const { id } = told
  const done = await actor.attempt('log out', async () => actor.manager.destroy(id))
  if (done !== undefined) actor.simulation.mustEnd(told, 'a logout')
}

async function endOne(actor: OwnerActor): Promise<void> {
  const told = actor.simulation.pickTold()
  if (told === undefined) return
  actor.simulation.mayEnd([told])
  const done = await actor.attempt('end one', async () => actor.sessions.end(told.handle))
  if (done !== undefined) actor.simulation.mustEnd(told, 'end(handle)')
}

async function endAll(actor: OwnerActor): Promise<void> {
  const acknowledged = actor.simulation.endingAll(undefined)
  const done = await actor.attempt('end all', async () => actor.sessions.endAll())
  if (done !== undefined) acknowledged()
}

async function endOthers(actor: OwnerActor): Promise<void> {
  const told = actor.simulation.pickTold()
  if (told === undefined) return
  const session = await actor.attempt('open', async () => actor.manager.find(told.id))
  if (session?.owner === undefined) return
  const acknowledged = actor.simulation.endingAll(told.handle)
  const done = await actor.attempt('end others', async () => actor.sessions.endAll({ except: session }))
  if (done !== undefined) acknowledged()
}

/** Lists the sessions: whatever is usable before and after is there. */
async function list(actor: OwnerActor): Promise<void> {
  const { simulation } = actor
  const before = await simulation.usable()
  const sessions = await actor.attempt('list', async () => actor.sessions.list())
  if (sessions === undefined) return
  const after = new Set(await simulation.usable())
  for (const told of before) {
    const isListed = sessions.some(({ handle }) => handle === told.handle)
    const isUsable = after.has(told) && !simulation.isBeingEnded(told)
    if (isUsable && !isListed && !simulation.isOwnerLost)
      simulation.wrong(6, 'a session that is usable throughout is not listed')
  }
  await simulation.mustOpenNothing(sessions.map(({ handle }) => handle))
}

async function refresh(actor: OwnerActor): Promise<void> {
  const { simulation } = actor
  const startedAt = simulation.step
  const before = [...simulation.told]
  const done = await actor.attempt('refresh', async () => {
    await actor.sessions.refresh()
    return true
  })
  if (done !== undefined) simulation.refreshed(before, startedAt)
}

/** What a process can do, by name. */
export const ownerActions: Readonly<Record<string, OwnerAction>> = {
  'signs in': signIn('new', true),
  'signs in without a fence': signIn('new', false),
  'signs in to an anonymous session': signIn('anonymous', true),
  'gives it a new ID': move('regenerate'),
  'proves who it is': move('confirm'),
  'has an old ID': rotate,
  writes: write,
  'reads its rights again': catchUp,
  'logs out': logOut,
  'ends one': endOne,
  'ends all': endAll,
  'ends all others': endOthers,
  lists: list,
  'refreshes the rights': refresh,
}

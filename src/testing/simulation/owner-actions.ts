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
    opened.signIn('ann', since === undefined ? {} : { since })
    const outcome = await actor.attempt('sign in', async () => opened.commit())
    if (outcome === 'ok') simulation.signedIn(opened, beganAt, fencedAt)
    else if (outcome !== undefined) simulation.wrong(`a sign-in comes to ${outcome}`)
  }
}

/** Gives a session a new ID. */
function move(how: 'regenerate' | 'confirm'): OwnerAction {
  return async (actor) => {
    const told = actor.simulation.pickTold()
    if (told === undefined) return
    const session = await actor.attempt('open', async () => actor.manager.find(told.id))
    if (session === undefined) return
    actor.simulation.mayEnd([told])
    if (how === 'regenerate') session.regenerate()
    else session.confirm('otp')
    const outcome = await actor.attempt(how, async () => session.commit())
    if (outcome === 'ok') actor.simulation.moved(told, session.id)
  }
}

async function write(actor: OwnerActor): Promise<void> {
  const told = actor.simulation.pickTold()
  if (told === undefined) return
  const session = await actor.attempt('open', async () => actor.manager.find(told.id))
  if (session !== undefined) await actor.attempt('write', async () => session.set('a', actor.name).commit())
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
    if (isUsable && !isListed) simulation.wrong('a session that is usable throughout is not listed')
  }
}

async function refresh(actor: OwnerActor): Promise<void> {
  const { simulation } = actor
  const before = await simulation.usable()
  const done = await actor.attempt('refresh', async () => {
    await actor.sessions.refresh()
    return true
  })
  if (done === undefined) return
  for (const told of before) {
    if (!(await simulation.isUsable(told))) continue
    if (!(await simulation.isOutdated(told)))
      simulation.wrong('a session does not know that the rights have changed')
  }
}

/** What a process can do, by name. */
export const ownerActions: Readonly<Record<string, OwnerAction>> = {
  'signs in': signIn('new', true),
  'signs in without a fence': signIn('new', false),
  'signs in to an anonymous session': signIn('anonymous', true),
  'gives it a new ID': move('regenerate'),
  'proves who it is': move('confirm'),
  writes: write,
  'logs out': logOut,
  'ends one': endOne,
  'ends all': endAll,
  'ends all others': endOthers,
  lists: list,
  'refreshes the rights': refresh,
}

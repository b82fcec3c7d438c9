import { randomBytes } from 'node:crypto'
import test from 'ava'
import { SessionError, SessionManager, type ManagerOptions } from '../../src/index.ts'
import { stateOf, type Session } from '../../src/session/session.ts'
import type { Store } from '../../src/store.ts'
import { Backend, HonestStore } from '../testing/honest-store.ts'
import { engines } from './engine.ts'
import { allowLongRun } from '../support/long-run.ts'

/** `KTS_RACES=1000` for the long run. */
const RACES = Number(process.env['KTS_RACES'] ?? 10)
const [FEWEST, MOST] = [2, 20]
const MAX = 5

interface Place {
  readonly options: ManagerOptions<undefined>
  stop(): Promise<void>
}

/** A store as a stranger writes one: the six verbs, and nothing else. */
function sixVerbs(): Store {
  const store = new HonestStore(new Backend())
  return {
    traits: store.traits,
    read: async (key) => store.read(key),
    create: async (...args) => store.create(...args),
    replace: async (...args) => store.replace(...args),
    touch: async (...args) => store.touch(...args),
    destroy: async (key, base) => store.destroy(key, base),
    close: async () => {},
  }
}

async function on(provider: string): Promise<Place> {
  const engine = await engines[provider]?.()
  if (engine === undefined) throw new Error(`no engine ${provider}`)
  return { options: { provider, providerConfig: engine.config }, stop: async () => engine.stop() }
}

const places: Readonly<Record<string, () => Promise<Place>>> = {
  ...Object.fromEntries(Object.keys(engines).map((provider) => [provider, async () => on(provider)])),
  'a sealed store': async () => {
    const { options, stop } = await on('redis')
    return { options: { ...options, seal: { keys: [randomBytes(32)] } }, stop }
  },
  'a store of six verbs': async () => ({
    options: { store: sixVerbs(), now: () => 1_750_000_000_000 },
    stop: async () => {},
  }),
}

async function signIn(manager: SessionManager, owner: string, since?: string): Promise<string> {
  const session = manager.begin().set('user', owner)
  session.signIn(owner, since === undefined ? {} : { since })
  await session.commit()
  return session.id
}

/** A request whose response can give its client another ID. */
async function opened(manager: SessionManager, id: string): Promise<Session> {
  const session = await manager.open(id)
  stateOf(session).respondBy({
    update: () => {},
    canRotate: () => true,
    repeats: () => false,
    isDisconnected: () => false,
  })
  return session
}

/** Resolves when so many of these have succeeded. */
async function reached(promises: readonly Promise<unknown>[], count: number): Promise<void> {
  if (count === 0) return
  let left = count
  const counted = promises.map(async (each) => {
    await each
    left -= 1
    if (left > 0) await new Promise(() => {})
  })
  await Promise.race(counted)
}

for (const [name, start] of Object.entries(places)) {
  test.serial(
    `security 25, 26, 27: ${name}: sessions of an owner are listed and ended from another process, and neither a log-in nor a new ID outlives "log out everywhere"`,
    async (t) => {
      allowLongRun(t, 3_600_000)
      const { options: own, stop } = await start()
      const options = { ...own, openTimeout: 60_000, commitTimeout: 60_000, owners: { verifyEvery: 300_000 } }
      const { now = Date.now } = options
      // To its clock every ID is old enough to be rotated.
      const rotating = { ...options, rotateAfter: 60_000, now: () => now() + 120_000 }
      const [one, two, three] = [
        new SessionManager(options),
        new SessionManager(options),
        new SessionManager(rotating),
      ]
      t.teardown(async () => {
        for (const manager of [one, two, three]) await manager.close()
        await stop()
      })

      const ids = [await signIn(one, 'ann'), await signIn(two, 'ann'), await signIn(one, 'ann')]
      const anns = two.sessionsOf('ann')
      const list = await anns.list()
      t.is(list.length, 3)
      const kept = await one.open(ids[1])
      t.true(list.some(({ handle }) => handle === kept.handle))
      t.is(await anns.endAll({ except: kept }), 2)
      t.is(await one.find(ids[0]), undefined)
      t.is((await two.open(ids[1])).owner?.id, 'ann')
      await one.regenerate(kept)
      t.true(await anns.end(kept.handle))
      t.is(await two.find(kept.id), undefined)

      const seen = { refused: 0, signedIn: 0, regenerated: 0, rotated: 0 }
      for (let race = 0; race < RACES; race += 1) {
        const owner = `user ${race % 7}`
        const theirs = two.sessionsOf(owner)
        const since = await theirs.since()
        const early = [await signIn(one, owner, since), await signIn(two, owner, since)] as const
        const [moving, aging] = [await one.open(early[0]), await opened(three, early[1])]
        moving.regenerate()
        aging.set('seen', race)
        const logins = Array.from({ length: FEWEST + (race % (MOST - FEWEST + 1)) }, async (_, at) =>
          signIn(at % 2 === 0 ? one : three, owner, since),
        )
        const settling = Promise.allSettled(logins)
        const moves = Promise.allSettled([moving.commit(), aging.commit()])
        // Some have succeeded by then, and the others are under way.
        await reached(logins, Math.floor((Math.random() * logins.length) / 2))
        await theirs.endAll()
        const [moved, aged] = await moves
        const mayLive = [...early, moving.id, aging.id]
        for (const login of await settling) {
          if (login.status === 'fulfilled') mayLive.push(login.value)
          else t.true(login.reason instanceof SessionError && login.reason.code === 'ERR_SESSION_CONFLICT')
          seen[login.status === 'fulfilled' ? 'signedIn' : 'refused'] += 1
        }
        if (moved.status === 'fulfilled' && moved.value === 'ok') seen.regenerated += 1
        if (aged.status === 'fulfilled' && aging.id !== early[1]) seen.rotated += 1
        const living = await Promise.all(mayLive.map(async (id) => one.find(id)))
        t.deepEqual(
          living.filter((session) => session !== undefined).map(({ handle }) => handle),
          [],
          `race ${race}: what began before the fence`,
        )
      }
      t.log(RACES, 'races', seen)
    },
  )

  test.serial(
    `security 26: ${name}: of 20 log-ins at once with a max of ${MAX} never more than ${MAX} are usable, and the others are ended or refused`,
    async (t) => {
      allowLongRun(t, 300_000)
      const { options, stop } = await start()
      t.teardown(stop)
      for (const whenFull of ['unused', 'refuse'] as const) {
        const managers = Array.from(
          { length: 2 },
          () =>
            new SessionManager({
              ...options,
              openTimeout: 60_000,
              commitTimeout: 60_000,
              owners: { max: MAX, whenFull, verifyEvery: 300_000 },
            }),
        )
        const [one, two] = managers
        if (one === undefined || two === undefined) return t.fail()
        const told: string[] = []
        const usable = async (): Promise<number> => {
          // What was told before and is found is usable now, so it was when the first of them is looked at.
          const found = await Promise.all(told.map(async (id) => two.find(id)))
          return found.filter((session) => session !== undefined).length
        }
        const logins = await Promise.allSettled(
          Array.from({ length: 20 }, async (_, at) => {
            told.push(await signIn(managers[at % 2] ?? one, `user with ${whenFull}`))
            t.true((await usable()) <= MAX)
          }),
        )
        const refused = logins.flatMap((login) => (login.status === 'rejected' ? [login.reason] : []))
        t.is(refused.length, whenFull === 'refuse' ? 20 - MAX : 0, String(refused[0]))
        for (const error of refused)
          t.true(error instanceof SessionError && error.code === 'ERR_SESSION_LIMIT' && error.status === 409)
        t.is(await usable(), MAX)
        t.is((await two.sessionsOf(`user with ${whenFull}`).list()).length, MAX)
        for (const manager of managers) await manager.close()
      }
    },
  )
}

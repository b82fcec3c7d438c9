import test from 'ava'
import { SessionError, SessionManager, type ManagerOptions } from '../../src/index.ts'
import { engines } from './engine.ts'

const RACES = Number(process.env['KTS_RACES'] ?? 60)

async function signIn(manager: SessionManager, owner: string, since?: string): Promise<string> {
  const session = manager.begin().set('user', owner)
  session.signIn(owner, since === undefined ? {} : { since })
  await session.commit()
  return session.id
}

for (const [provider, start] of Object.entries(engines)) {
  test.serial(
    `security 25, 26, 27: ${provider}: sessions of an owner are listed and ended from another process, and a log-in never outlives "log out everywhere"`,
    async (t) => {
      t.timeout(300_000)
      const engine = await start()
      const options: ManagerOptions<undefined> = {
        provider,
        providerConfig: engine.config,
        openTimeout: 60_000,
        commitTimeout: 60_000,
      }
      const [one, two] = [new SessionManager(options), new SessionManager(options)]
      t.teardown(async () => {
        await one.close()
        await two.close()
        await engine.stop()
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

      let refused = 0
      for (let race = 0; race < RACES; race += 1) {
        const owner = `user ${race % 7}`
        const theirs = two.sessionsOf(owner)
        const since = await theirs.since()
        const early = await signIn(one, owner, since)
        const moving = await one.open(early)
        const [late] = await Promise.allSettled([
          signIn(one, owner, since),
          theirs.endAll(),
          one.regenerate(moving),
        ])
        if (late.status === 'rejected') {
          refused += 1
          t.true(late.reason instanceof SessionError && late.reason.code === 'ERR_SESSION_CONFLICT')
        } else t.is(await one.find(late.value), undefined, 'it began before the fence')
        t.is(await one.find(early), undefined)
        t.is(await one.find(moving.id), undefined, 'it was given a new ID')
      }
      t.log(`${refused} of ${RACES} sign-ins were refused, the others ended`)
    },
  )
}

import { randomBytes } from 'node:crypto'
import test from 'ava'
import { SessionManager } from '../../../src/index.ts'
import { CookieStore } from '../../../src/stores/cookie.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'

function managerOf(revocations?: MemoryStore): SessionManager {
  const keys = [randomBytes(32)]
  const store = new CookieStore(revocations === undefined ? { keys } : { keys, revocations })
  return new SessionManager({ store, sweepInterval: 0, owners: { max: 3 } })
}

async function login(manager: SessionManager): Promise<string> {
  const session = manager.begin().set('user', 'ann')
  session.signIn('ann')
  await session.commit()
  return manager.credential(session)
}

test('security 25: cookie: with revocations the sessions of an owner are listed, ended and limited', async (t) => {
  const manager = managerOf(new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity }))
  const anns = manager.sessionsOf('ann')
  const cookies = [await login(manager), await login(manager)]
  const usable = async (): Promise<boolean[]> =>
    Promise.all(cookies.map(async (cookie) => (await manager.find(cookie))?.owner?.id === 'ann'))
  t.deepEqual(await usable(), [true, true])
  const list = await anns.list()
  t.is(list.length, 2)
  const kept = await manager.open(cookies[1])
  t.is(await anns.endAll({ except: kept }), 1)
  t.deepEqual(await usable(), [false, true])

  await manager.regenerate(kept)
  cookies.push(manager.credential(kept))
  t.deepEqual(await usable(), [false, false, true])
  t.is((await anns.list()).length, 1)
  t.true(await anns.end(kept.handle))
  t.deepEqual(await usable(), [false, false, false])

  for (let more = 0; more < 5; more += 1) cookies.push(await login(manager))
  t.is((await usable()).filter(Boolean).length, 3)
  await t.throwsAsync(anns.refresh(), { code: 'ERR_SESSION_STATE' })
})

test('security 25: cookie: a sign-in whose fence is older than an endAll is refused', async (t) => {
  const manager = managerOf(new MemoryStore({ maxEntries: Infinity, maxBytes: Infinity }))
  const since = await manager.sessionsOf('ann').since()
  await manager.sessionsOf('ann').endAll()
  const session = manager.begin()
  session.signIn('ann', { since })
  await t.throwsAsync(session.commit(), { code: 'ERR_SESSION_CONFLICT' })
})

test('cookie: without revocations a sign-in says what is missing', async (t) => {
  const session = managerOf().begin()
  session.signIn('ann')
  await t.throwsAsync(session.commit(), { code: 'ERR_SESSION_STATE', message: /revocations/ })
})

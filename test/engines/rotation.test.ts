import test from 'ava'
import type { SessionEvent } from '../../src/index.ts'
import { engines } from './engine.ts'
import { openSite, type Route, type Site } from './site.ts'

const MINUTE = 60_000
const GRACE = 30_000
const AT_ONCE = 20

const routes: Readonly<Record<string, Route>> = {
  login: ({ session }) => void session.set('user', 'ann').set('n', 0),
  write: ({ session }, key) => {
    session.set(key, true).update('n', (n = 0) => n + 1)
    return session.get('user') ?? null
  },
  look: ({ session }) => [session.get('user') ?? null, session.get('n') ?? 0, session.size],
  logout: async ({ session }) => session.destroy(),
}

for (const provider of ['file', 'sqlite', 'redis', 'postgres']) {
  test.serial(
    `security 15: ${provider}: two processes rotate an ID in a burst of requests, and no client is logged out`,
    async (t) => {
      const engine = await engines[provider]?.()
      if (engine === undefined) return t.fail()
      let turned = 0
      const events: SessionEvent[] = []
      const open = async (): Promise<Site> =>
        openSite(
          {
            provider,
            providerConfig: engine.config,
            rotateAfter: 10 * MINUTE,
            idleTimeout: 600 * MINUTE,
            openTimeout: MINUTE,
            commitTimeout: MINUTE,
            now: () => Date.now() + turned,
            onEvent: (event) => events.push(event),
          },
          routes,
        )
      const sites = [await open(), await open()] as const
      t.teardown(async () => {
        for (const site of sites) await site.close()
        await engine.stop()
      })
      const told = (type: SessionEvent['type']): number =>
        events.filter((event) => event.type === type).length

      let id = (await sites[0].ask('/login')).cookie ?? ''
      const ids = [id]
      for (let round = 1; round <= 3; round += 1) {
        turned += 11 * MINUTE
        const answers = await Promise.all(
          Array.from({ length: AT_ONCE }, async (_, n) =>
            sites[n % 2 === 0 ? 0 : 1].ask(`/write/${round}-${n}`, id),
          ),
        )
        t.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)), new Set(['200 "ann"']))
        const cookies = answers.flatMap(({ cookie }) => cookie ?? [])
        t.is(cookies.length, 1)
        t.is(told('rotated'), round)
        id = cookies[0] ?? ''
        ids.push(id)
        t.deepEqual(JSON.parse((await sites[0].ask('/look', ids.at(-2))).text), [
          'ann',
          AT_ONCE * round,
          2 + AT_ONCE * round,
        ])
        t.is(told('retired-id'), 0)
      }
      turned += GRACE + 1
      for (const old of ids.slice(0, -1)) t.is((await sites[1].ask('/look', old)).text, '[null,0,0]')
      t.is(told('retired-id'), 3)

      turned += 11 * MINUTE
      const [renewed] = await Promise.all([sites[0].ask('/write/last', id), sites[1].ask('/logout', id)])
      for (const each of ids) t.is((await sites[0].ask('/look', each)).text, '[null,0,0]')
      // Where the logout was faster, the other request came without a session, and has begun one that belongs to no user.
      const [user] = JSON.parse((await sites[0].ask('/look', renewed.cookie ?? '')).text)
      t.is(user, null)
    },
  )
}

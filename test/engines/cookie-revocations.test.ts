import { randomBytes } from 'node:crypto'
import test from 'ava'
import { SessionManager } from '../../src/index.ts'
import { openProvider } from '../../src/session/providers.ts'
import { CookieStore } from '../../src/stores/cookie.ts'
import { engines } from './engine.ts'

const keys = [randomBytes(32)]

for (const provider of ['redis', 'file', 'sqlite'] as const) {
  test.serial(
    `security 23 and 24: with a list in ${provider}, a session that one process ends is ended in the other one`,
    async (t) => {
      const engine = await engines[provider]?.()
      if (engine === undefined) throw new Error(`no engine ${provider}`)
      const open = (): SessionManager => {
        const revocations = openProvider(provider, engine.config, { now: Date.now })
        return new SessionManager({ store: new CookieStore({ keys, revocations }) })
      }
      const [one, other] = [open(), open()]
      t.teardown(async () => {
        await Promise.all([one.close(), other.close()])
        await engine.stop()
      })
      await one.ready()
      for (const end of ['destroy', 'regenerate'] as const) {
        const ann = one.begin().set('n', 1)
        await one.commit(ann)
        const first = one.credential(ann)
        // A copy of the cookie, which lives on by itself.
        const copy = await other.open(first)
        copy.set('n', 2)
        await other.commit(copy)
        const second = other.credential(copy)
        const slow = await other.open(second)
        await one[end](ann)
        for (const credential of [first, second]) t.is(await other.find(credential), undefined)
        slow.set('n', 3)
        t.is(await other.commit(slow), 'gone')
        if (end === 'regenerate') t.is((await other.open(one.credential(ann))).get('n'), 1)
      }
    },
  )

  test.serial(
    `of 20 regenerations at once of one cookie one succeeds, with a list in ${provider}`,
    async (t) => {
      const engine = await engines[provider]?.()
      if (engine === undefined) throw new Error(`no engine ${provider}`)
      const revocations = openProvider(provider, engine.config, { now: Date.now })
      const manager = new SessionManager({ store: new CookieStore({ keys, revocations }) })
      t.teardown(async () => {
        await manager.close()
        await engine.stop()
      })
      const ann = manager.begin().set('n', 1)
      await manager.commit(ann)
      const copies = await Promise.all(
        Array.from({ length: 20 }, async () => manager.open(manager.credential(ann))),
      )
      const outcomes = await Promise.allSettled(copies.map(async (copy) => manager.regenerate(copy)))
      t.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
      const credentials = new Set(copies.map((copy) => manager.credential(copy)))
      const living = await Promise.all([...credentials].map(async (credential) => manager.find(credential)))
      t.is(living.filter((found) => found !== undefined).length, 1)
    },
  )
}

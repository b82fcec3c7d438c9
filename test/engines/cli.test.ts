// Each command of `koa-typed-session` on each engine, by the binary that is built.
import test from 'ava'
import { SessionManager } from '../../src/index.ts'
import { koaTypedSession, type Ran } from '../cli/command.ts'
import { engines } from './engine.ts'

/** Engines that cannot count: their backend keeps no list of what it has. */
const uncounted: ReadonlySet<string> = new Set(['memcache', 'couchbase'])

for (const [provider, start] of Object.entries(engines)) {
  test.serial(
    `${provider}: sessions are shown, listed, counted, swept and ended by the command`,
    async (t) => {
      const { config, stop } = await start()
      t.teardown(stop)
      const manager = new SessionManager({
        provider,
        providerConfig: config,
        owners: { verifyEvery: 60_000 },
      })
      t.teardown(async () => manager.close())
      const command = async (args: readonly string[], input = ''): Promise<Ran> =>
        koaTypedSession([...args, '--provider', provider, '--json'], {
          env: { SESSION_PROVIDER_CONFIG: config },
          input,
        })
      const sessions = []
      for (const label of ['phone', 'desk', 'train']) {
        const session = manager.begin().set('cart', [label])
        session.signIn('ann', { label })
        await session.commit()
        sessions.push(session)
      }
      const [phone, desk] = sessions
      if (phone === undefined || desk === undefined) throw new Error('no sessions')

      const shown = await command(['inspect', '--values'], phone.id)
      t.is(shown.code, 0, shown.out + shown.err)
      t.like(shown.json, { command: 'inspect', ok: true, found: true, handle: phone.handle })
      t.deepEqual(shown.json['keys'], [{ name: 'cart', bytes: 11, value: 'J ["phone"]' }])
      const byHandle = await command(['inspect', '--owner', 'ann', '--handle', desk.handle])
      t.like(byHandle.json, { found: true, handle: desk.handle, keys: [{ name: 'cart' }] })
      const absent = await command(['inspect'], 'x'.repeat(43))
      t.is(absent.code, 1)
      t.deepEqual(absent.json, { command: 'inspect', ok: false, found: false })

      const listed = await command(['list', '--owner', 'ann'])
      t.is(listed.code, 0, listed.out)
      const list = listed.json['sessions'] as readonly { handle: string; label: string }[]
      t.deepEqual(list.map(({ label }) => label).toSorted(), ['desk', 'phone', 'train'])

      const counted = await command(['count'])
      if (uncounted.has(provider)) {
        t.is(counted.code, 1)
        t.regex(String(counted.json['error']), /cannot count/)
      } else t.true(Number(counted.json['count']) >= 3)
      const swept = await command(['sweep'])
      t.deepEqual(swept.json, { command: 'sweep', ok: true, removed: 0 })

      const one = await command(['end', '--owner', 'ann', '--handle', phone.handle, '--yes'])
      t.deepEqual(one.json, { command: 'end', ok: true, ended: 1, sessions: 3 })
      t.is(await manager.find(phone.id), undefined)
      t.truthy(await manager.find(desk.id))
      const all = await command(['end', '--owner', 'ann', '--all', '--yes'])
      t.deepEqual(all.json, { command: 'end', ok: true, ended: 2, sessions: 2 })
      t.is(await manager.find(desk.id), undefined)
    },
  )
}

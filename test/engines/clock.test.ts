import test from 'ava'
import { SessionManager, type Session } from '../../src/index.ts'
import { engines } from './engine.ts'

const HOUR = 3_600_000
const SLACK = 60_000 // as long as this test may take

/** These engines decide by their server's clock when a session expires; the clocks of the processes may be wrong. */
for (const provider of ['redis', 'mysql', 'postgres']) {
  test.serial(
    `F16: ${provider}: processes whose clocks are an hour off share sessions, and none lives too long`,
    async (t) => {
      const engine = await engines[provider]?.()
      if (engine === undefined) return t.fail()
      const offsets = { right: 0, ahead: HOUR, behind: -HOUR, jumping: 0 }
      const nodes = Object.entries(offsets).map(([name]) => {
        const now = (): number => Date.now() + Reflect.get(offsets, name)
        const manager = new SessionManager({ provider, providerConfig: engine.config, now, sweepInterval: 0 })
        return { name, now, manager }
      })
      t.teardown(async () => {
        for (const { manager } of nodes) await manager.close()
        await engine.stop()
      })

      async function everywhere(id: string, title: string): Promise<void> {
        for (const { name, now, manager } of nodes) {
          for (offsets.jumping of name === 'jumping' ? [HOUR, -HOUR, 0] : [0]) {
            const found: Session | undefined = await manager.find(id)
            t.is(found?.get('user'), 'ann', `${title}, found by ${name}`)
            if (found === undefined) continue
            const left = found.expiresAt - now()
            t.true(left <= HOUR && left > HOUR - SLACK, `${title}, ${name} says ${left} ms`)
            t.is(await manager.commit(found), 'ok')
          }
        }
      }

      let id = ''
      for (const writer of nodes) {
        const begun = writer.manager.begin().set('user', 'ann')
        await writer.manager.commit(begun)
        ;({ id } = begun)
        await everywhere(id, `begun by ${writer.name}`)
      }
      for (const writer of nodes) {
        const changed = await writer.manager.open(id)
        changed.set('by', writer.name)
        t.is(await writer.manager.commit(changed), 'ok')
        await everywhere(id, `changed by ${writer.name}`)
      }
      t.is(await nodes[0]?.manager.count(), nodes.length)
    },
  )
}

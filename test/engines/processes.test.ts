import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { SessionManager } from '../../src/index.ts'
import { engines } from './engine.ts'

/** `KTS_PROCESSES=8 KTS_INCREMENTS=500` for the long run. */
const processes = Number(process.env['KTS_PROCESSES'] ?? 3)
const increments = Number(process.env['KTS_INCREMENTS'] ?? 60)
const script = path.resolve('test/engines/incrementer.ts')

for (const [provider, start] of Object.entries(engines)) {
  test.serial(
    `${provider}: ${processes} processes that count in one session lose no increment`,
    async (t) => {
      const { config, stop } = await start()
      const manager = new SessionManager({ provider, providerConfig: config })
      t.teardown(async () => {
        await manager.close()
        await stop()
      })
      const session = manager.begin().set('n', 0)
      await manager.commit(session)
      const args = ['--import=tsx', script, provider, config, session.id, String(increments)]
      await Promise.all(
        Array.from({ length: processes }, async () => promisify(execFile)(process.execPath, args)),
      )
      t.is((await manager.open(session.id)).get('n'), processes * increments)
    },
  )
}

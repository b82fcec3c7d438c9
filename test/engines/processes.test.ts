import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { SessionManager } from '../../src/index.ts'
import { engines } from './engine.ts'
import { patient } from './stores.ts'

/** `KTS_PROCESSES=8 KTS_INCREMENTS=500` for the long run. */
const processes = Number(process.env['KTS_PROCESSES'] ?? 3)
const increments = Number(process.env['KTS_INCREMENTS'] ?? 40)
const script = path.resolve('test/engines/incrementer.ts')

/** How the first processes count, and in how many workers each; all others count in the process itself. */
const kinds: Readonly<Record<string, ReadonlyArray<readonly [kind: string, places: number]>>> = {
  file: [
    ['threads', 2],
    ['cluster', 2],
  ],
  sqlite: [
    ['threads', 2],
    ['cluster', 2],
  ],
  redis: [
    ['threads', 2],
    ['cluster', 2],
  ],
}

for (const [provider, start] of Object.entries(engines)) {
  test.serial(
    `F26: ${provider}: ${processes} processes${provider in kinds ? ', threads and cluster workers among them,' : ''} that count in one session lose no increment`,
    async (t) => {
      const { config, stop } = await start()
      const manager = new SessionManager(patient(provider, config))
      t.teardown(async () => {
        await manager.close()
        await stop()
      })
      const session = manager.begin().set('n', 0)
      await manager.commit(session)
      let places = 0
      await Promise.all(
        Array.from({ length: processes }, async (_, at) => {
          const [kind, howMany] = kinds[provider]?.[at] ?? ['process', 1]
          places += howMany
          const args = ['--import=tsx', script, kind, provider, config, session.id, String(increments)]
          await promisify(execFile)(process.execPath, args)
        }),
      )
      t.is((await manager.open(session.id)).get('n'), places * increments)
    },
  )
}

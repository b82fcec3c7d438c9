import test from 'ava'
import { SessionManager, type ManagerOptions } from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { runCommand } from '../support/cleanup.ts'

/** The codes of the warnings of programs that run one after another: each stores two sessions. */
async function warningsOf(
  t: { teardown(task: () => void): void },
  ...programs: readonly ManagerOptions[]
): Promise<unknown[]> {
  const codes: unknown[] = []
  const note = (warning: Error): void => void codes.push('code' in warning ? warning.code : warning.message)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  for (const options of programs) {
    const manager = new SessionManager(options)
    await manager.commit(manager.begin().set('a', 1))
    await manager.commit(manager.begin().set('a', 2))
    await manager.close()
  }
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', note)
  return codes
}

test.serial(
  'a memory store that was chosen, or that keeps nothing, is no warning in production',
  async (t) => {
    process.env['NODE_ENV'] = 'production'
    t.teardown(() => (process.env['NODE_ENV'] = 'test'))
    await new SessionManager().close()
    t.deepEqual(await warningsOf(t, { provider: 'memory' }, { store: new MemoryStore() }), [])
  },
)

test.serial('the default store is a warning in production, once in the process', async (t) => {
  process.env['NODE_ENV'] = 'production'
  t.teardown(() => (process.env['NODE_ENV'] = 'test'))
  t.deepEqual(await warningsOf(t, {}, {}), ['KTS_MEMORY_DEFAULT'])
})

for (const [options, expected] of [
  [
    {},
    /^KTS_MEMORY_DEFAULT Sessions are kept in the memory of one worker, and the other workers do not see them: [^\n]*\n$/,
  ],
  [{ provider: 'memory' }, /^$/],
] as const) {
  test(`the default store in a worker of a cluster is a warning, unless it was chosen: ${JSON.stringify(options)}`, async (t) => {
    const worker = ['--import=tsx', 'test/session/cluster-worker.ts', JSON.stringify(options)]
    const said = await runCommand(process.execPath, worker, {
      env: { ...process.env, NODE_ENV: 'development' },
    })
    t.regex(said, expected)
  })
}

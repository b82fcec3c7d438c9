import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { freePort, listens } from './servers/server.ts'
import { Client } from './support/client.ts'
import { programsOf } from './support/markdown.ts'
import { startProcess, temporaryFolder } from './support/cleanup.ts'

interface Running {
  readonly visitor: Client
  /** Sends SIGTERM, and tells how the process ended. */
  end(): Promise<readonly [code: number | null, signal: string | null]>
}

async function run(t: ExecutionContext, folder: string): Promise<Running> {
  const programs = await programsOf('docs/operations.md')
  const recipe = programs.find(({ code }) => code.includes('SIGTERM'))
  const port = await freePort()
  await writeFile(path.join(folder, 'program.mts'), (recipe?.code ?? '').replaceAll('3000', String(port)))
  const child = startProcess(process.execPath, ['--import=tsx', 'program.mts'], {
    cwd: folder,
    stdio: 'inherit',
  })
  const ended = new Promise<readonly [number | null, string | null]>((resolve) =>
    child.once('exit', (code, signal) => resolve([code, signal])),
  )
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  while (
    !(await listens(port).then(
      () => true,
      () => false,
    ))
  );
  // An idle connection holds nothing up.
  const idle = connect(port, '127.0.0.1').on('error', () => {})
  t.teardown(() => void idle.destroy())
  await once(idle, 'connect')
  return {
    visitor: new Client(`http://127.0.0.1:${port}`),
    async end() {
      child.kill('SIGTERM')
      return ended
    },
  }
}

test('F21: the recipe for readiness and shutdown ends a process by itself, and what it acknowledged is there afterwards', async (t) => {
  await mkdir('.cache', { recursive: true })
  const folder = await temporaryFolder('operations-', path.resolve('.cache'))
  const first = await run(t, folder)
  const ready = await first.visitor.get('/ready')
  t.is(ready.status, 200)
  t.like(JSON.parse(ready.text), { ok: true, store: 'file', breaker: 'closed' })
  t.is((await first.visitor.get('/')).text, 'visit 1\n')
  t.deepEqual(await first.end(), [0, null])

  const second = await run(t, folder)
  for (const [name, value] of first.visitor.cookies) second.visitor.cookies.set(name, value)
  t.is((await second.visitor.get('/')).text, 'visit 2\n')
  t.deepEqual(await second.end(), [0, null])
})

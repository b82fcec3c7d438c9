import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { connect } from 'node:net'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { freePort, listens } from './servers/server.ts'
import { Client } from './support/client.ts'
import { programsOf } from './support/markdown.ts'
import { startProcess, temporaryFolder } from './support/cleanup.ts'

interface Running {
  readonly visitor: Client
  readonly port: number
  /** Sends a signal, or closes the channel to the parent, and tells how the process ended. */
  end(
    how?: 'SIGTERM' | 'SIGINT' | 'disconnect',
  ): Promise<readonly [code: number | null, signal: string | null]>
}

async function run(t: ExecutionContext, folder: string): Promise<Running> {
  const programs = await programsOf('docs/operations.md')
  const recipe = programs.find(({ code }) => code.includes('SIGTERM'))
  const port = await freePort()
  await writeFile(
    path.join(folder, 'program.mts'),
    (recipe?.code ?? '').replaceAll('3000', String(port)).replace('delay(2_000)', 'delay(300)'),
  )
  const child = startProcess(process.execPath, ['--import=tsx', 'program.mts'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
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
    port,
    async end(how = 'SIGTERM') {
      if (how === 'disconnect') child.disconnect()
      else child.kill(how)
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
  t.deepEqual(await second.end('SIGINT'), [0, null])

  const third = await run(t, folder)
  t.deepEqual(await third.end('disconnect'), [0, null])
})

test('F21: at a shutdown under load no request is cut, and each connection serves one more at most', async (t) => {
  const folder = await temporaryFolder('operations-', path.resolve('.cache'))
  const { port, end } = await run(t, folder)
  let isEnding = false
  const cut: string[] = []
  let after = 0
  const visitors = Array.from({ length: 20 }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    /** How many answers the connection in use has brought since the signal. */
    const answers = new WeakMap<object, number>()
    try {
      for (;;) {
        const { status, socket, isReused, error } = await ask(port, agent)
        // Once the server listens no more, its clients are refused, and ask elsewhere.
        if (error !== undefined && (error === 'ECONNREFUSED' || !isReused)) return
        if (error !== undefined) return void cut.push(error)
        t.is(status, 200)
        if (!isEnding || socket === undefined) continue
        after += 1
        answers.set(socket, (answers.get(socket) ?? 0) + 1)
        t.true((answers.get(socket) ?? 0) <= 2)
      }
    } finally {
      agent.destroy()
    }
  })
  await delay(300)
  isEnding = true
  t.deepEqual(await end(), [0, null])
  await Promise.all(visitors)
  t.deepEqual(cut, [])
  t.true(after > 0)
})

interface Asked {
  readonly status?: number | undefined
  readonly socket?: object | undefined
  readonly isReused: boolean
  /** The code of the error, where there was no answer. */
  readonly error?: string
}

/** One request, on a connection that is kept. */
async function ask(port: number, agent: Agent): Promise<Asked> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/', agent }, (response) => {
      const { statusCode: status, socket } = response
      const { reusedSocket: isReused } = request
      response.resume()
      response.once('end', () => resolve({ status, socket, isReused }))
      response.once('error', () => resolve({ isReused, error: 'cut' }))
    })
    request.once('error', (error: Error & { code?: string }) =>
      resolve({ isReused: request.reusedSocket, error: error.code ?? error.message }),
    )
  })
}

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

/** Runs the recipe. `pause` is how long it serves on after the signal, in ms. */
async function run(t: ExecutionContext, folder: string, pause = 300): Promise<Running> {
  const programs = await programsOf('docs/operations.md')
  const recipe = programs.find(({ code }) => code.includes('SIGTERM'))
  const port = await freePort()
  await writeFile(
    path.join(folder, 'program.mts'),
    (recipe?.code ?? '')
      .replaceAll('3000', String(port))
      .replace('2_000', String(pause))
      .replace('10_000', '1_000'),
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

test('F21: at a shutdown under load no request is cut, and each answer closes its connection', async (t) => {
  const folder = await temporaryFolder('operations-', path.resolve('.cache'))
  const { port, end } = await run(t, folder, 2_000)
  let isClosing = false
  const cut: string[] = []
  const visitors = Array.from({ length: 20 }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    try {
      for (;;) {
        const mustClose = isClosing
        const { status, closes, isReused, error } = await ask(port, agent)
        if (error === undefined) {
          t.is(status, 200)
          if (mustClose) t.true(closes)
          isClosing ||= closes
          continue
        }
        // Once the server listens no more, its clients are refused, and ask elsewhere.
        if (isReused) cut.push(error)
        return
      }
    } finally {
      agent.destroy()
    }
  })
  await delay(300)
  t.false(isClosing)
  t.deepEqual(await end(), [0, null])
  await Promise.all(visitors)
  t.true(isClosing)
  t.deepEqual(cut, [])
})

interface Asked {
  readonly status: number | undefined
  /** Whether the answer says that the connection ends with it. */
  readonly closes: boolean
  readonly isReused: boolean
  /** The code of the error, where there was no answer. */
  readonly error?: string
}

/** One request, on a connection that is kept. */
async function ask(port: number, agent: Agent): Promise<Asked> {
  return new Promise((resolve) => {
    const failed = (error: string): void =>
      resolve({ status: undefined, closes: false, isReused: request.reusedSocket, error })
    const request = get({ host: '127.0.0.1', port, path: '/', agent }, (response) => {
      const { statusCode: status, headers } = response
      response.resume()
      response.once('error', () => failed('cut'))
      response.once('end', () =>
        resolve({ status, closes: headers.connection === 'close', isReused: request.reusedSocket }),
      )
    })
    request.once('error', (error: Error & { code?: string }) => failed(error.code ?? error.message))
  })
}

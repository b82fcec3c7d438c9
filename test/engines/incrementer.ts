// Counts in one session: `incrementer.ts <kind> <provider> <config> <id> <times>`. As `process` once, as `threads` in two
// worker threads, as `cluster` in two workers of a cluster.
import cluster from 'node:cluster'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const [kind, ...rest] = process.argv.slice(2)
const script = process.argv[1] ?? ''

if (kind === 'process') await count(rest)
else if (kind === 'threads') {
  // Node 20 has no hooks for the first module of a thread, so that is one in JavaScript.
  const first = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(script)})))`
  const threads = [1, 2].map(() => new Worker(first, { eval: true, argv: ['process', ...rest] }))
  for (const [code] of await Promise.all(threads.map(async (thread) => once(thread, 'exit'))))
    expectNone(code)
} else {
  cluster.setupPrimary({ exec: script, args: ['process', ...rest] })
  const workers = [1, 2].map(() => cluster.fork())
  for (const [code] of await Promise.all(workers.map(async (worker) => once(worker, 'exit'))))
    expectNone(code)
}

async function count([provider = '', providerConfig = '', id = '', times = '']: string[]): Promise<void> {
  // Imported here, since processes that only start others do not need it.
  const { SessionManager } = await import('../../src/index.ts')
  const { patient } = await import('./stores.ts')
  const manager = new SessionManager(patient(provider, providerConfig))
  for (let done = 0; done < Number(times); done += 1) {
    const session = await manager.open(id)
    if (session.isNew) throw new Error('the session is not there')
    session.update('n', (n = 0) => n + 1)
    const outcome = await manager.commit(session)
    if (outcome !== 'ok') throw new Error(`the commit is ${outcome}`)
  }
  await manager.close()
  if (cluster.isWorker) cluster.worker?.disconnect()
}

/** Rejects if any of them failed. */
function expectNone(code: unknown): void {
  if (code !== 0) throw new Error(`one of two ended with ${String(code)}`)
}

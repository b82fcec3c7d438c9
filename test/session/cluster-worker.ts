// A primary with one worker that stores two sessions: `cluster-worker.ts <options as JSON>` prints the warnings of the worker.
import cluster from 'node:cluster'
import { SessionManager, type ManagerOptions } from '../../src/index.ts'

if (cluster.isPrimary) cluster.fork()
else {
  const options: ManagerOptions = JSON.parse(process.argv[2] ?? '{}')
  process.on('warning', (warning) => console.log('code' in warning && warning.code, warning.message))
  const manager = new SessionManager(options)
  for (let n = 0; n < 2; n += 1) await manager.commit(manager.begin().set('n', n))
  setImmediate(() => cluster.worker?.disconnect())
}

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { CouchbaseStore } from '../../src/stores/couchbase.ts'
import { startCouchbaseMock } from '../servers/couchbase.ts'

const run = promisify(execFile)
const program = fileURLToPath(new URL('couchbase-increments.ts', import.meta.url))
const processes = Number(process.env['KTS_PROCESSES'] ?? 4)
const times = Number(process.env['KTS_INCREMENTS'] ?? 100)

test(`of ${processes} × ${times} increments by processes none is lost`, async (t) => {
  const server = await startCouchbaseMock()
  t.teardown(async () => server.stop())
  const store = new CouchbaseStore({ url: server.url })
  const key = 'a'.repeat(64)
  await store.create(key, `${'kts1 start'.padEnd(21, '-')} 0`, Date.now() + 60_000)
  const work = [process.execPath, ['--import=tsx', program, server.url, key, String(times)]] as const
  await Promise.all(Array.from({ length: processes }, async () => run(...work)))
  t.is(Number((await store.read(key))?.payload.slice(22)), processes * times)
  await store.close()
})

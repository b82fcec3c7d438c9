// Counts in one session, a number higher each time, until it is killed. Each number is printed once it is acknowledged.
import { writeSync } from 'node:fs'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import type { Entry } from '../../../src/store.ts'
import { openClient } from './drivers.ts'

const [file = ''] = process.argv.slice(2)
const client = openClient(file)
// The log is copied into the database after a few writes, so that some processes are killed within that.
client.exec('PRAGMA wal_autocheckpoint = 16')
const store = new SqliteStore({ client, sync: false })
const life = Date.now() + 3_600_000
let base: Entry | undefined = await store.read('n')
for (let n = Number(base?.payload.slice(22, 32) ?? 0) + 1; ; n += 1) {
  const payload = `kts1 ${String(n).padStart(16, '0')} ${String(n).padStart(10, '0')} ${'x'.repeat((n * 7_919) % 60_000)}`
  const [written] = await Promise.all([
    base === undefined ? store.create('n', payload, life) : store.replace('n', payload, life, base),
    store.touch('n', life + n),
  ])
  if (typeof written !== 'object') throw new Error(written)
  base = written.entry
  writeSync(1, `${n}\n`)
}

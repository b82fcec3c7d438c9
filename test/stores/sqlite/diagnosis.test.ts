import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import test from 'ava'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { judgeLog } from '../../../src/stores/sqlite/diagnosis.ts'
import { temporaryFolder } from '../../support/cleanup.ts'
import { openClient } from './drivers.ts'

const folder = await temporaryFolder('kts-sqlite-diagnosis-')
const LIFE = Date.now() + 3_600_000

async function filled(file: string): Promise<void> {
  const store = new SqliteStore({ path: file, sync: false })
  for (let at = 0; at < 100; at += 1)
    await store.create(`key-${at}`, `kts1 aaaaaaaaaaaaaaaa ${'x'.repeat(3_000)}`, LIFE)
  await store.close()
}

test('a diagnosis finds nothing in a sound database, and names what it has looked at', async (t) => {
  const file = path.join(folder, 'sound.db')
  await filled(file)
  const store = new SqliteStore({ path: file })
  const { findings, keys } = await store.diagnose()
  t.deepEqual(
    findings.map(({ check }) => check),
    ['damage', 'log', 'file system', 'space', 'files'],
  )
  t.deepEqual(
    findings.slice(0, 2).map(({ ok }) => ok),
    [true, true],
  )
  t.is(keys?.length, 100)
  await store.close()
})

test('a diagnosis finds a page that is damaged, though no session in it was read yet', async (t) => {
  const file = path.join(folder, 'damaged.db')
  await filled(file)
  const bytes = await fs.readFile(file)
  await fs.writeFile(file, bytes.fill(0xa5, bytes.length - 4_096))
  const store = new SqliteStore({ path: file })
  const [damage] = (await store.diagnose()).findings
  t.is(damage?.ok, false)
  t.regex(damage?.text ?? '', /^the database is damaged: stop the processes and restore it/)
  await store.close()
})

test('a diagnosis finds a log that is not emptied', (t) => {
  t.true(judgeLog(5_000_000).ok)
  const long = judgeLog(300 * 1024 * 1024)
  t.false(long.ok)
  t.regex(long.text, /^the log has 300 MB: a process keeps a transaction open/)
})

test('open proves that the verbs are allowed: a database that may only be read is refused, and reads go on without it', async (t) => {
  const file = path.join(folder, 'read-only.db')
  await filled(file)
  const client = openClient(file)
  client.exec('PRAGMA query_only = ON')
  const store = new SqliteStore({ client })
  await t.throwsAsync(store.open(), {
    code: 'ERR_SESSION_STORE',
    message: 'sqlite: open failed: the database is read-only (SQLITE_READONLY)',
  })
  t.truthy(await store.read('key-1'))
  client.exec('PRAGMA query_only = OFF')
  await store.open()
  t.is(await store.count(), 100)
  client.close()
})

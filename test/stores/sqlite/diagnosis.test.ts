import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import test from 'ava'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { diagnoseFile, judgeFileSystem, judgeLog } from '../../../src/stores/sqlite/diagnosis.ts'
import { temporaryFolder } from '../../support/cleanup.ts'

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
  const findings = await store.diagnose()
  t.deepEqual(
    findings.map(({ check, ok }) => [check, ok]),
    [
      ['damage', true],
      ['file system', true],
      ['room', true],
      ['log', true],
    ],
  )
  await store.close()
})

test('a diagnosis finds a page that is damaged, though no session in it was read yet', async (t) => {
  const file = path.join(folder, 'damaged.db')
  await filled(file)
  const bytes = await fs.readFile(file)
  await fs.writeFile(file, bytes.fill(0xa5, bytes.length - 4_096))
  const store = new SqliteStore({ path: file })
  const [damage] = await store.diagnose()
  t.is(damage?.ok, false)
  t.regex(damage?.text ?? '', /^the database is damaged: stop the processes and restore it/)
  await store.close()
})

test('a diagnosis finds a log that is not emptied, a disk without room, and a network', async (t) => {
  const file = path.join(folder, 'log.db')
  await fs.writeFile(file, '')
  await fs.writeFile(`${file}-wal`, '')
  await fs.truncate(`${file}-wal`, 300 * 1024 * 1024)
  const log = (await diagnoseFile(file)).find(({ check }) => check === 'log')
  t.deepEqual([log?.ok, judgeLog(0).ok], [false, true])
  t.regex(log?.text ?? '', /^the log has 300 MB: a process keeps a transaction open/)
  const disk = { type: 0xef_53, bavail: 1_000_000, bsize: 4_096 }
  t.true(judgeFileSystem(disk).every(({ ok }) => ok))
  const faults = judgeFileSystem({ type: 0x69_69, bavail: 10, bsize: 4_096 })
  t.deepEqual(
    faults.map(({ check, ok }) => [check, ok]),
    [
      ['file system', false],
      ['room', false],
    ],
  )
})

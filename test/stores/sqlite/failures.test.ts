import { execFile } from 'node:child_process'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { SessionError } from '../../../src/errors.ts'
import { sqliteError } from '../../../src/stores/sqlite/errors.ts'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { temporaryFolder } from '../../support/cleanup.ts'
import { openClient } from './drivers.ts'

const base = await temporaryFolder('kts-sqlite-trouble-')
const LIFE = Date.now() + 3_600_000
const PAYLOAD = 'kts1 aaaaaaaaaaaaaaaa secret'

let folders = 0
async function folderName(): Promise<string> {
  const folder = path.join(base, `folder-${(folders += 1)}`)
  await fs.mkdir(folder, { mode: 0o700 })
  return folder
}

/** What the script says that runs with a file system of 1 MB of its own. */
async function cramped(lack: string): Promise<unknown> {
  const folder = await folderName()
  const mount = `mount -t tmpfs -o size=1m,mode=755 tmpfs "${folder}" && exec "$@"`
  const alone = process.getuid?.() === 0 ? ['-m'] : ['-m', '-r']
  const script = path.join(import.meta.dirname, 'cramped.ts')
  const command = [process.execPath, '--import=tsx', script, folder, lack]
  const { stdout } = await promisify(execFile)('unshare', [...alone, 'sh', '-c', mount, 'sh', ...command])
  return JSON.parse(stdout)
}

const FULL = 'there is no room on the disk, or in the database (SQLITE_FULL)'

test('F13, F27, security 53: of a thousand requests that read on a full disk none fails, writes are refused, and all is well afterwards', async (t) => {
  const [reads, writes, logout, downs, after, kept] = Object(await cramped('full'))
  t.deepEqual(reads, ['0 ok'])
  t.deepEqual(writes.toSorted(), [`sqlite: create failed: ${FULL}`, `sqlite: replace failed: ${FULL}`])
  t.deepEqual([logout, downs, after, kept], [`sqlite: destroy failed: ${FULL}`, 0, 'ok', true])
})

test('F13, F27: on a full disk touches and logouts go on in the room that the log has', async (t) => {
  t.deepEqual(await cramped('reserve'), [['ok'], ['ok'], 0])
})

test('F13, F27: a read-only file system is told at the start, and used when it can be written', async (t) => {
  const refused = 'sqlite: open failed: the file system is read-only (EROFS)'
  t.deepEqual(await cramped('frozen'), [refused, refused.replace('open', 'read'), true])
})

test('F13: a file that is no database is told, stays as it is, and is used when it is one', async (t) => {
  const file = path.join(await folderName(), 'sessions.db')
  await fs.writeFile(file, 'x'.repeat(5_000), { mode: 0o600 })
  const store = new SqliteStore({ path: file })
  const calls = [store.open(), store.read('a'), store.create('a', PAYLOAD, LIFE), store.sweep(1)]
  for (const call of calls) {
    const error = await t.throwsAsync(call, { code: 'ERR_SESSION_STORE' })
    t.regex(error.message, /^sqlite: \w+ failed: the file is no database of SQLite, .*\(SQLITE_NOTADB\)$/)
    t.true(error instanceof SessionError && error.answered)
  }
  t.is(await fs.readFile(file, 'utf8'), 'x'.repeat(5_000))
  await fs.rm(file)
  const after = new SqliteStore({ path: file })
  t.is(typeof (await after.create('a', PAYLOAD, LIFE)), 'object')
  await Promise.all([store.close(), after.close()])
})

test('F13, F14: a damaged database is told by each verb that meets the damage, with what to do', async (t) => {
  const file = path.join(await folderName(), 'sessions.db')
  const before = new SqliteStore({ path: file, sync: false })
  for (let at = 0; at < 200; at += 1)
    await before.create(`key-${at}`, `${PAYLOAD} ${'x'.repeat(3_000)}`, LIFE)
  await before.close()
  const bytes = await fs.readFile(file)
  // Every page but the first, which has the schema.
  await fs.writeFile(file, bytes.fill(0xa5, 4_096))
  const store = new SqliteStore({ path: file, sync: false })
  const calls = [store.read('key-7'), store.create('b', PAYLOAD, LIFE), store.destroy('key-8'), store.count()]
  for (const call of calls) {
    const error = await t.throwsAsync(call, { code: 'ERR_SESSION_STORE' })
    t.regex(
      error.message,
      /^sqlite: \w+ failed: the database is damaged; stop the processes .*\(SQLITE_CORRUPT\)$/,
    )
    t.true(error instanceof SessionError && error.answered)
  }
  await store.close()
})

test('errors are told by their code, whichever form the driver gives them, and only a failure of the disk is silence', (t) => {
  const forms = (code: string, errcode: number, message: string): readonly Error[] => [
    Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode, errstr: message }),
    Object.assign(new Error(message), { code }),
    Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR' }),
  ]
  const told: Readonly<Record<string, readonly [errors: readonly Error[], answered: boolean]>> = {
    'there is no room on the disk, or in the database (SQLITE_FULL)': [
      forms('SQLITE_FULL', 13, 'database or disk is full'),
      true,
    ],
    'the database is read-only (SQLITE_READONLY)': [
      forms('SQLITE_READONLY_DBMOVED', 1_032, 'attempt to write a readonly database'),
      true,
    ],
    'another process keeps the database locked (SQLITE_BUSY)': [
      forms('SQLITE_BUSY_SNAPSHOT', 517, 'database is locked'),
      true,
    ],
    'the disk failed (SQLITE_IOERR)': [forms('SQLITE_IOERR_FSYNC', 1_034, 'disk I/O error'), false],
    'unknown error': [[new Error(`secret ${PAYLOAD}`)], false],
    SQLITE_CONSTRAINT: [[Object.assign(new Error('UNIQUE'), { code: 'SQLITE_CONSTRAINT_UNIQUE' })], true],
  }
  t.regex(sqliteError('read', new TypeError('x')).message, /^sqlite: read failed\b.*TypeError/)
  for (const [reason, [errors, answered]] of Object.entries(told)) {
    for (const each of errors) {
      const error = sqliteError('create', each)
      t.is(error.message, `sqlite: create failed: ${reason}`)
      t.is(error.answered, answered, reason)
    }
  }
})

test('a disk that fails at a commit leaves the outcome open, and the connection is used again', async (t) => {
  const inner = openClient(path.join(await folderName(), 'sessions.db'))
  let failures = 0
  const client = {
    exec(sql: string) {
      if (sql === 'COMMIT' && failures > 0) {
        failures -= 1
        throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_FSYNC' })
      }
      return inner.exec(sql)
    },
    prepare: (sql: string) => inner.prepare(sql),
  }
  const store = new SqliteStore({ client, sync: false })
  await store.open()
  failures = 1
  const writes = await Promise.allSettled(['a', 'b'].map(async (key) => store.create(key, PAYLOAD, LIFE)))
  for (const write of writes) {
    const { reason } = write as PromiseRejectedResult // both are
    t.is(reason.message, 'sqlite: create failed: the disk failed (SQLITE_IOERR)')
    t.false(reason.answered)
  }
  t.is(await store.count(), 0)
  await Promise.all(['a', 'b'].map(async (key) => store.create(key, PAYLOAD, LIFE)))
  t.is(await store.count(), 2)
  inner.close()
})

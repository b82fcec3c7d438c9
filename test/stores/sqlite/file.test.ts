// Who may write to the file of the database, to what SQLite keeps beside it or to their folder could forge sessions.
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import test from 'ava'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { temporaryFolder } from '../../support/cleanup.ts'
import { openClient, query } from './drivers.ts'

const base = await temporaryFolder('kts-sqlite-file-')
const LIFE = Date.now() + 3_600_000
const KEY = 'ab'.repeat(32)
const PAYLOAD = 'kts1 aaaaaaaaaaaaaaaa old'
const NOBODY = 65_534
const own = process.geteuid?.() ?? 0
const isRoot = own === 0

let folders = 0
function fileName(): string {
  return path.join(base, `folder-${(folders += 1)}`, 'sessions.db')
}

/** How many bytes are in the log. SQLite removes it when the last connection is closed, which a driver may put off. */
async function logSize(file: string): Promise<number> {
  return fs.stat(`${file}-wal`).then(
    ({ size }) => size,
    () => 0,
  )
}

/**
 * A database with one session in it, and a log beside it that a killed process might have left. It is a copy, since a driver may close
 * the first one later, and remove its log then.
 */
async function kept(): Promise<string> {
  const [first, file] = [fileName(), fileName()]
  const store = new SqliteStore({ path: first, sync: false })
  await store.create(KEY, PAYLOAD, LIFE)
  await store.close()
  await fs.mkdir(path.dirname(file), { mode: 0o700 })
  await fs.copyFile(first, file)
  await fs.writeFile(`${file}-wal`, '', { mode: 0o600 })
  return file
}

test.serial(
  'security 46: the folder, the database and what SQLite keeps beside it are the owner’s only, whatever the umask',
  async (t) => {
    const before = process.umask(0)
    t.teardown(() => process.umask(before))
    const file = fileName()
    const store = new SqliteStore({ path: file, sync: false })
    await store.create(KEY, PAYLOAD, LIFE)
    t.is((await fs.stat(path.dirname(file))).mode, 0o040700)
    const names = await fs.readdir(path.dirname(file))
    t.deepEqual(names.toSorted(), ['sessions.db', 'sessions.db-shm', 'sessions.db-wal'])
    for (const name of names) t.is((await fs.stat(path.join(path.dirname(file), name))).mode, 0o100600, name)
    await store.close()
    t.is(await logSize(file), 0, 'the log is emptied into the database')
  },
)

for (const [what, ending] of [
  ['folder', '/..'],
  ['file of the database', ''],
  ['file -wal of the database', '-wal'],
] as const) {
  test(`security 46: a ${what} to which other users may write is refused, and used when it is put right`, async (t) => {
    const file = await kept()
    const place = path.normalize(`${file}${ending}`)
    const store = new SqliteStore({ path: file })
    for (const mode of [0o777, 0o720, 0o702]) {
      await fs.chmod(place, mode)
      await t.throwsAsync(store.read(KEY), {
        code: 'ERR_SESSION_STORE',
        message: new RegExp(
          `^sqlite: other users may write to the ${what} \\(mode ${mode.toString(8)}\\), .*: chmod`,
        ),
      })
    }
    await fs.chmod(place, 0o700)
    t.is((await store.read(KEY))?.payload, PAYLOAD, 'it is looked at again')
    await store.close()
  })

  test(`security 46: a ${what} that another user has made is refused`, async (t) => {
    const file = await kept()
    if (!isRoot) return t.pass('only root can give a file away')
    await fs.chown(path.normalize(`${file}${ending}`), NOBODY, NOBODY)
    return t.throwsAsync(new SqliteStore({ path: file }).create(KEY, PAYLOAD, LIFE), {
      message: new RegExp(`^sqlite: the ${what} belongs to another user \\(uid ${NOBODY}\\)`),
    })
  })
}

for (const ending of ['', '-wal', '-shm', '-journal']) {
  test(`security 46: a link or a directory in the place of the file${ending} is refused, and nothing is written there`, async (t) => {
    const file = fileName()
    await fs.mkdir(path.dirname(file), { mode: 0o700 })
    const target = `${path.dirname(file)}-target`
    await fs.writeFile(target, '')
    await fs.symlink(target, `${file}${ending}`)
    const refused = {
      code: 'ERR_SESSION_STORE',
      message: /^sqlite: .* is not a file but a directory or a symbolic link/,
    }
    await t.throwsAsync(new SqliteStore({ path: file }).create(KEY, PAYLOAD, LIFE), refused)
    await fs.rm(`${file}${ending}`)
    await fs.mkdir(`${file}${ending}`)
    await t.throwsAsync(new SqliteStore({ path: file }).create(KEY, PAYLOAD, LIFE), refused)
    t.is((await fs.stat(target)).size, 0)
  })
}

test('a part of the path that is no directory is told, and the path is not', async (t) => {
  const file = fileName()
  await fs.writeFile(path.dirname(file), '')
  const error = await t.throwsAsync(new SqliteStore({ path: file }).open(), { code: 'ERR_SESSION_STORE' })
  t.regex(error.message, /^sqlite: open failed: a part of the path is no directory \(E(?:EXIST|NOTDIR)\)$/)
  t.notRegex(error.message, /folder-/)
})

test('many stores that open a new database at once share it, and each keeps the locks of the others', async (t) => {
  const file = fileName()
  const stores = Array.from({ length: 10 }, () => new SqliteStore({ path: file, sync: false }))
  await Promise.all(stores.map(async (store, at) => store.create(`key-${at}`, PAYLOAD, LIFE)))
  for (const store of stores) t.is(await store.count(), 10)
  for (const store of stores) await store.close()
  t.is(await logSize(file), 0)
})

test.serial(
  'a database that was removed or replaced while it is used is noticed, and no session is kept where no other process sees it',
  async (t) => {
    const file = fileName()
    const [store, other] = [
      new SqliteStore({ path: file, sync: false }),
      new SqliteStore({ path: file, sync: false }),
    ]
    await store.create(KEY, PAYLOAD, LIFE)
    for (const name of await fs.readdir(path.dirname(file))) await fs.rm(path.join(path.dirname(file), name))
    await other.create('other', PAYLOAD, LIFE)
    const { now } = performance
    performance.now = () => now.call(performance) + 2_000 // when it is looked again
    t.teardown(() => (performance.now = now))
    t.is(await store.read(KEY), undefined)
    t.is((await store.read('other'))?.payload, PAYLOAD)
    await store.create(KEY, PAYLOAD, LIFE)
    t.is(await other.count(), 2)
    await store.close()
    await other.close()
  },
)

test.serial(
  'a folder that is taken away while the store is used is told, and calls do not hang',
  async (t) => {
    const file = fileName()
    const store = new SqliteStore({ path: file, sync: false })
    await store.create(KEY, PAYLOAD, LIFE)
    const folder = path.dirname(file)
    await fs.rename(folder, `${folder}-away`)
    await fs.writeFile(folder, '')
    const { now } = performance
    let ahead = 2_000
    performance.now = () => now.call(performance) + ahead
    t.teardown(() => (performance.now = now))
    await t.throwsAsync(store.create('b', PAYLOAD, LIFE), {
      message: /^sqlite: open failed: a part of the path/,
    })
    await t.throwsAsync(store.read(KEY), { message: /a part of the path is no directory/ })
    await fs.rm(folder)
    await fs.rename(`${folder}-away`, folder)
    ahead += 2_000
    t.is((await store.read(KEY))?.payload, PAYLOAD)
    await store.close()
  },
)

test('the key in the file is that of the contract, which is no session ID, and other tables are left alone', async (t) => {
  const file = await kept()
  const client = openClient(file)
  client.exec('CREATE TABLE orders (n INTEGER)')
  client.exec('INSERT INTO orders VALUES (7)')
  const store = new SqliteStore({ path: file, sync: false })
  await store.destroy(KEY)
  t.is(await store.count(), 0)
  t.deepEqual(
    query(client, 'SELECT n FROM orders').map((row) => Object(row).n),
    [7],
  )
  await store.close()
  client.close()
})

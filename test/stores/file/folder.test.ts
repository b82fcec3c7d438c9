// A folder in which another user can write, or to which a link leads, is refused: it could hold forged sessions.
import { hash } from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { SessionManager } from '../../../src/index.ts'
import { FileStore } from '../../../src/stores/file.ts'
import { temporaryFolder } from '../../support/cleanup.ts'
import { KEY, NEW, OLD } from './operations.ts'

const base = await temporaryFolder('kts-folder-')
const LIFE = Date.now() + 3_600_000
const NOBODY = 65_534
const own = process.geteuid?.() ?? 0
const isRoot = own === 0

let folders = 0
function folderName(): string {
  return path.join(base, `folder-${(folders += 1)}`)
}

/** Where the session under KEY is, and the directory around it. */
function placesIn(folder: string): { shelf: string; home: string } {
  const digest = hash('sha256', KEY, 'hex')
  return { shelf: path.join(folder, digest.slice(0, 2)), home: path.join(folder, digest.slice(0, 2), digest) }
}

async function kept(): Promise<string> {
  const folder = folderName()
  await new FileStore({ folder }).create(KEY, OLD, LIFE)
  return folder
}

/** Every verb is refused with this sentence by a store that has not seen the folder before, and writes nothing. */
async function assertRefused(t: ExecutionContext, folder: string, message: RegExp): Promise<void> {
  const before = await fs.readdir(await fs.realpath(folder), { recursive: true })
  const refused = { code: 'ERR_SESSION_STORE', message }
  const base = { payload: OLD, expiresAt: LIFE }
  const calls: ReadonlyArray<(store: FileStore) => Promise<unknown>> = [
    async (store) => store.read(KEY),
    async (store) => store.create(KEY, NEW, LIFE),
    async (store) => store.replace(KEY, NEW, LIFE, base),
    async (store) => store.touch(KEY, LIFE + 1),
    async (store) => store.destroy(KEY),
  ]
  for (const call of calls) await t.throwsAsync(call(new FileStore({ folder })), refused)
  const after = await fs.readdir(await fs.realpath(folder), { recursive: true })
  t.deepEqual(after, before)
}

/** As {@link assertRefused}, for a folder that is refused as a whole. */
async function assertFolderRefused(t: ExecutionContext, folder: string, message: RegExp): Promise<void> {
  await assertRefused(t, folder, message)
  const refused = { code: 'ERR_SESSION_STORE', message }
  await t.throwsAsync(new FileStore({ folder }).open(), refused)
  await t.throwsAsync(new FileStore({ folder }).sweep(1), refused)
  await t.throwsAsync(new FileStore({ folder }).count(), refused)
  await t.throwsAsync(new SessionManager({ provider: 'file', providerConfig: folder }).ready(), refused)
}

const OTHERS_WRITE =
  /^file: other users may write to the folder \(mode \d+\), .*: chmod -R go-rwx it \(700\), or give the path of a new directory/
const ANOTHER_OWNER =
  /^file: the folder belongs to another user \(uid 65534\), .*: chown -R it to the user of this process \(uid \d+\)/

for (const mode of [0o777, 0o707, 0o770, 0o720, 0o702, 0o1777, 0o2770]) {
  test(`security 46: a folder of mode ${mode.toString(8)} is refused, with a sentence that says how to change it`, async (t) => {
    const folder = await kept()
    await fs.chmod(folder, mode)
    await assertFolderRefused(t, folder, OTHERS_WRITE)
    const store = new FileStore({ folder })
    await t.throwsAsync(store.read(KEY))
    await fs.chmod(folder, 0o700)
    t.is((await store.read(KEY))?.payload, OLD, 'it is looked at again')
  })
}

test('a folder that others may read is not refused: its files have modes of their own', async (t) => {
  const folder = await kept()
  for (const mode of [0o755, 0o711, 0o750]) {
    await fs.chmod(folder, mode)
    t.is((await new FileStore({ folder }).read(KEY))?.payload, OLD)
  }
})

test.serial('security 46: a folder of another user is refused, for root too', async (t) => {
  const folder = await kept()
  if (isRoot) await fs.chown(folder, NOBODY, NOBODY)
  else process.geteuid = () => NOBODY
  t.teardown(() => (process.geteuid = () => own))
  const message = isRoot ? ANOTHER_OWNER : new RegExp(`belongs to another user \\(uid ${own}\\)`)
  await assertFolderRefused(t, folder, message)
})

test.serial(
  'security 46: the effective user counts: a process of root that acts for another user works in the folder of that user',
  async (t) => {
    const folder = await kept()
    const [user, owner] = isRoot ? [NOBODY, NOBODY] : [own, own]
    if (isRoot) {
      for (const name of ['', ...(await fs.readdir(folder, { recursive: true }))])
        await fs.chown(path.join(folder, name), owner, owner)
    }
    process.geteuid = () => user
    t.teardown(() => (process.geteuid = () => own))
    t.is((await new FileStore({ folder }).read(KEY))?.payload, OLD)
  },
)

test.serial('on a system without users nothing of it is looked at', async (t) => {
  const folder = await kept()
  await fs.chmod(folder, 0o777)
  Object.assign(process, { geteuid: undefined })
  t.teardown(() => (process.geteuid = () => own))
  t.is((await new FileStore({ folder }).read(KEY))?.payload, OLD)
})

for (const what of ['shelf', 'home'] as const) {
  test.serial(
    `security 46: a ${what} that another user has made is refused, though the folder is right now`,
    async (t) => {
      const folder = await kept()
      const place = placesIn(folder)[what]
      if (isRoot) await fs.chown(place, NOBODY, NOBODY)
      else await fs.chmod(place, 0o777)
      await assertRefused(
        t,
        folder,
        /^file: (?:a directory in the folder|the directory of a session) belongs to another user|other users may write/,
      )
    },
  )

  test(`security 46: a ${what} in which others may write is refused`, async (t) => {
    const folder = await kept()
    await fs.chmod(placesIn(folder)[what], 0o770)
    await assertRefused(
      t,
      folder,
      /^file: other users may write to (?:a directory in the folder|the directory of a session)/,
    )
  })

  for (const target of ['a directory', 'nothing', 'a file'] as const) {
    test(`security 46: a symbolic link to ${target} in the place of a ${what} is refused, and not followed`, async (t) => {
      const folder = await kept()
      const place = placesIn(folder)[what]
      const elsewhere = folderName()
      if (target === 'a directory') await fs.rename(place, elsewhere)
      else await fs.rm(place, { recursive: true })
      if (target === 'a file') await fs.writeFile(elsewhere, 'precious')
      await fs.symlink(elsewhere, place)
      const before = target === 'a directory' ? await fs.readdir(elsewhere, { recursive: true }) : []
      await assertRefused(t, folder, /^file: .* is not a directory but a symbolic link or file: remove it$/)
      if (target === 'a directory') t.deepEqual(await fs.readdir(elsewhere, { recursive: true }), before)
      if (target === 'a file') t.is(await fs.readFile(elsewhere, 'utf8'), 'precious')
      if (what === 'home')
        t.is(await new FileStore({ folder }).count(), 0, 'nor does a count or a sweep follow it')
      else await t.throwsAsync(new FileStore({ folder }).open(), { message: /remove it$/ })
    })
  }
}

test('security 46: a symbolic link in the place of a payload is not followed', async (t) => {
  const folder = await kept()
  const { shelf } = placesIn(folder)
  const [payload = ''] = (await fs.readdir(shelf)).filter((name) => name.includes('.'))
  const elsewhere = folderName()
  await fs.rename(path.join(shelf, payload), elsewhere)
  await fs.symlink(elsewhere, path.join(shelf, payload))
  await t.throwsAsync(new FileStore({ folder }).read(KEY), { code: 'ERR_SESSION_STORE', message: /ELOOP/ })
})

test('security 46: a link that leads to the folder may be changed later without effect', async (t) => {
  const folder = await kept()
  const link = folderName()
  await fs.symlink(folder, link)
  const store = new FileStore({ folder: link })
  t.is((await store.read(KEY))?.payload, OLD)
  await fs.unlink(link)
  const planted = folderName()
  await fs.mkdir(planted)
  await fs.symlink(planted, link)
  await store.destroy(KEY)
  await store.create(KEY, NEW, LIFE)
  t.is((await store.read(KEY))?.payload, NEW)
  t.deepEqual(await fs.readdir(planted), [])
  t.is((await new FileStore({ folder }).read(KEY))?.payload, NEW)
})

test('security 46: a directory above the folder in which all may replace entries is refused, unless it is sticky as /tmp', async (t) => {
  const above = folderName()
  const folder = path.join(above, 'app', 'sessions')
  await new FileStore({ folder }).create(KEY, OLD, LIFE)
  await fs.chmod(above, 0o777)
  await assertFolderRefused(
    t,
    folder,
    /^file: all users may write to a directory above the folder \(mode 777\), .*: chmod o-w that directory, or chmod \+t/,
  )
  await fs.chmod(above, 0o1777)
  t.is((await new FileStore({ folder }).read(KEY))?.payload, OLD)
})

test('a folder that the store makes has mode 0700 under any umask, and is accepted', async (t) => {
  const folder = path.join(folderName(), 'a', 'b')
  await new FileStore({ folder }).create(KEY, OLD, LIFE)
  t.is((await fs.stat(folder)).mode & 0o777, 0o700)
  t.is((await new FileStore({ folder }).read(KEY))?.payload, OLD)
})

import { hash } from 'node:crypto'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import test from 'ava'
import { FileStore } from '../../src/stores/file.ts'
import type { Entry } from '../../src/store.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'
import { age, assertTidy, HOUR, KEY, LATER, NEW, OLD, START, storeAt } from './file/operations.ts'
import { temporaryFolder } from '../support/cleanup.ts'

const base = await temporaryFolder('kts-file-')

let clock = Date.now()
const now = (): number => clock
const folder = path.join(base, 'contract')
const harness: StoreHarness = {
  open: () => new FileStore({ folder, now, sync: false }),
  now,
  advance: (ms) => void (clock += ms),
  still: true,
  sweeps: true,
  counts: true,
  // A plain file in the place of the folder: everything fails, for root too.
  break: async () => {
    await fs.rename(folder, `${folder}.away`)
    await fs.writeFile(folder, '')
  },
  mend: async () => {
    await fs.rm(folder)
    await fs.rename(`${folder}.away`, folder)
  },
}

const { traits } = new FileStore({ folder })
for (const requirement of storeContract.filter(({ appliesTo }) => appliesTo(traits, harness))) {
  // One after another: these requirements turn the clock that all of them read.
  test.serial(`the file store: ${requirement.title}`, async (t) => {
    await t.notThrowsAsync(requirement.check(harness))
  })
}

let folders = 0
function folderName(): string {
  return path.join(base, `folder-${(folders += 1)}`)
}

const LIFE: number = START + 24 * HOUR
const BASE: Entry = { payload: OLD, expiresAt: LIFE }

/** A folder with one session in it, and where that is. */
async function kept(): Promise<{ folder: string; store: FileStore; home: string; payload: string }> {
  const at = folderName()
  const store = storeAt(at, START)
  await store.create(KEY, OLD, LIFE)
  const digest = hash('sha256', KEY, 'hex')
  const home = path.join(at, digest.slice(0, 2), digest)
  const names = await fs.readdir(path.dirname(home))
  const payload = path.join(path.dirname(home), names.find((name) => name.startsWith(`${digest}.`)) ?? '')
  return { folder: at, store, home, payload }
}

test('the folder and its files are accessible to the owner only', async (t) => {
  const { folder: at } = await kept()
  const modes = new Set([(await fs.stat(at)).mode])
  for (const name of await fs.readdir(at, { recursive: true }))
    modes.add((await fs.stat(path.join(at, name))).mode)
  t.deepEqual(modes, new Set([0o040700, 0o100600]))
})

test('no file name contains a key', async (t) => {
  const { folder: at } = await kept()
  for (const name of await fs.readdir(at, { recursive: true })) t.false(name.includes(KEY.slice(0, 8)))
})

test('a payload file contains the payload as readable text', async (t) => {
  const { payload } = await kept()
  t.is(await fs.readFile(payload, 'utf8'), OLD)
})

test('an invalid key is refused before any file access', async (t) => {
  const at = folderName()
  const store = storeAt(at, START)
  for (const key of ['', '../x', 'a/b', 'a.b', 'a\0', 'ä', 'x'.repeat(129), 'a\n']) {
    await t.throwsAsync(store.create(key, OLD, LIFE), {
      code: 'ERR_SESSION_STORE',
      message: 'file: create failed: a key has 1 to 128 characters of [0-9a-zA-Z_-]',
    })
  }
  await t.throwsAsync(fs.stat(at), { code: 'ENOENT' })
})

test('an empty folder name is refused', (t) => {
  t.throws(() => new FileStore({ folder: '' }), { code: 'ERR_SESSION_OPTIONS', message: /^file: folder / })
})

test('the folder stays the same when the process changes its working directory', async (t) => {
  const before = process.cwd()
  const at = folderName()
  await fs.mkdir(at)
  process.chdir(base)
  const store = storeAt(path.basename(at), START)
  process.chdir(before)
  await store.create(KEY, OLD, LIFE)
  await assertTidy(at, 1)
  t.pass()
})

test('a removed folder counts as empty, and is created again', async (t) => {
  const { folder: at, store } = await kept()
  await fs.rm(at, { recursive: true })
  t.is(await store.read(KEY), undefined)
  t.is(await store.sweep(10), 0)
  t.is(typeof (await store.create(KEY, NEW, LIFE)), 'object')
  t.is((await fs.stat(at)).mode, 0o040700)
})

test('expiresAt Infinity never expires, and NaN has always expired', async (t) => {
  const at = folderName()
  const store = storeAt(at, START)
  await store.create('long', OLD, Infinity)
  t.is((await storeAt(at, 1_000 * START).read('long'))?.payload, OLD)
  t.is(await store.touch('long', Number.NaN), 'ok')
  t.is((await store.read('long'))?.payload, OLD)
  await store.create('short', OLD, Number.NaN)
  t.is(await store.read('short'), undefined)
  await store.create('fraction', OLD, LIFE + 0.5)
  t.is((await store.read('fraction'))?.expiresAt, LIFE + 1)
})

test('a sweep leaves foreign files anywhere in the folder', async (t) => {
  const { folder: at, store, home } = await kept()
  await store.create('expired', OLD, START + HOUR)
  const nonce = '1'.repeat(32)
  await fs.mkdir(`${home}.${nonce}.new`)
  await fs.mkdir(`${home}.${nonce}.old`)
  const elsewhere = folderName()
  await fs.mkdir(elsewhere)
  const foreign = [path.join(elsewhere, `${'a'.repeat(64)}.${nonce}`)]
  for (const name of ['.', ...(await fs.readdir(at, { recursive: true }))]) {
    const directory = path.join(at, name)
    if (!(await fs.stat(directory)).isDirectory()) continue
    // Names that are nearly ours, and things that are not what their names say.
    for (const alike of [
      'notes.txt',
      '.hidden',
      'AB',
      'a'.repeat(63),
      `${'a'.repeat(64)}.tmp`,
      'b'.repeat(64),
    ]) {
      foreign.push(path.join(directory, alike))
    }
    await fs.symlink(elsewhere, path.join(directory, 'c'.repeat(64)))
    await fs.mkdir(path.join(directory, `${'d'.repeat(64)}.${nonce}`))
  }
  for (const file of foreign) await fs.writeFile(file, 'theirs')
  const all = await fs.readdir(at, { recursive: true })
  await age(at)

  t.is(await storeAt(at, LATER).sweep(100), 1)
  t.is(await storeAt(at, LATER).sweep(100), 0)
  const left = new Set(await fs.readdir(at, { recursive: true }))
  const expired = hash('sha256', 'expired', 'hex')
  const gone = all.filter((name) => !left.has(name))
  t.is(gone.length, 2, 'the generation of the expired one and its payload')
  t.true(gone.every((name) => name.includes(expired)))
  for (const file of foreign) t.is(await fs.readFile(file, 'utf8'), 'theirs')
})

test('create rejects if a foreign file is in the directory of the session', async (t) => {
  const { store, home } = await kept()
  await fs.writeFile(path.join(home, 'theirs'), '')
  t.is((await store.read(KEY))?.payload, OLD)
  t.is(await store.destroy(KEY), 'ok')
  t.is(await store.read(KEY), undefined)
  await t.throwsAsync(store.create(KEY, NEW, LIFE), {
    code: 'ERR_SESSION_STORE',
    message: 'file: there is a foreign file in the directory of a session',
  })
  t.is(await store.read(KEY), undefined)
})

test('F14: any damage to a payload is reported, and a damaged payload is never taken for another one', async (t) => {
  const { store, payload } = await kept()
  const whole = await fs.readFile(payload)
  const damaged = [Buffer.from('foreign'), Buffer.concat([whole, Buffer.from('\n')])]
  for (let at = 0; at < whole.length; at += 1) {
    damaged.push(whole.subarray(0, at), Buffer.from(whole.with(at, (whole[at] ?? 0) ^ (1 << (at % 8)))))
  }
  for (const bytes of damaged) {
    await fs.writeFile(payload, bytes)
    await t.throwsAsync(store.read(KEY), {
      code: 'ERR_SESSION_PAYLOAD',
      message: 'file: the payload of a stored session was changed by another program',
    })
  }
  await fs.writeFile(payload, whole)
  t.is((await store.read(KEY))?.payload, OLD)
})

test('F14: a removed payload is reported', async (t) => {
  const { store, payload } = await kept()
  await fs.rm(payload)
  await t.throwsAsync(store.read(KEY), {
    code: 'ERR_SESSION_PAYLOAD',
    message: /was removed by another program$/,
  })
})

test('F14: a damaged session can be replaced from a base, extended and destroyed', async (t) => {
  const { folder: at, store, payload } = await kept()
  await fs.writeFile(payload, '')
  t.is(await store.touch(KEY, LIFE + 1), 'ok')
  t.is(await store.create(KEY, NEW, LIFE), 'exists')
  t.is(typeof (await store.replace(KEY, NEW, LIFE, BASE)), 'object')
  t.is((await store.read(KEY))?.payload, NEW)
  t.is(await store.destroy(KEY), 'ok')
  await assertTidy(at, 0)
})

test('a symbolic link in the place of a session is refused by every verb', async (t) => {
  const { store, home } = await kept()
  const elsewhere = folderName()
  await fs.rename(home, elsewhere)
  await fs.symlink(elsewhere, home)
  const before = await fs.readdir(elsewhere)
  const refused = {
    code: 'ERR_SESSION_STORE',
    message: 'file: the directory of a session is not a directory but a symbolic link or file: remove it',
  }
  await t.throwsAsync(store.read(KEY), refused)
  await t.throwsAsync(store.touch(KEY, LIFE + 1), refused)
  await t.throwsAsync(store.replace(KEY, NEW, LIFE, BASE), refused)
  await t.throwsAsync(store.create(KEY, NEW, LIFE), refused)
  await t.throwsAsync(store.destroy(KEY), refused)
  t.is(await store.sweep(10), 0)
  t.is(await store.count(), 0)
  t.deepEqual(await fs.readdir(elsewhere), before)
})

test('a symbolic link in the place of a payload is not followed', async (t) => {
  const { store, payload } = await kept()
  const elsewhere = folderName()
  await fs.rename(payload, elsewhere)
  await fs.symlink(elsewhere, payload)
  await t.throwsAsync(store.read(KEY), { code: 'ERR_SESSION_STORE', message: 'file: read failed: ELOOP' })
})

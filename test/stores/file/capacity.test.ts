import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import test from 'ava'
import { SessionManager } from '../../../src/index.ts'
import { FileStore } from '../../../src/stores/file.ts'
import { temporaryFolder } from '../../support/cleanup.ts'
import { NEW, OLD } from './operations.ts'

const base = await temporaryFolder('kts-capacity-')
const START = 1_750_000_000_000
const LIFE = 3_600_000
const NO_ROOM = {
  code: 'ERR_SESSION_STORE',
  message: /^file: create failed: there is no room: maxEntries sessions are stored/,
}

let folders = 0
function folderName(): string {
  return path.join(base, `folder-${(folders += 1)}`)
}

const keys = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `${name}-${at}`)

/** A clock and stores that share a folder, as those of several processes do. */
function world(maxEntries: number): { clock: { time: number }; folder: string; open: () => FileStore } {
  const clock = { time: START }
  const folder = folderName()
  return {
    clock,
    folder,
    open: () => new FileStore({ folder, maxEntries, sync: false, now: () => clock.time }),
  }
}

/** Creates sessions one after another, and returns the keys of those that had room. */
async function fill(store: FileStore, names: readonly string[], expiresAt: number): Promise<string[]> {
  const created: string[] = []
  for (const name of names) {
    const outcome = await store.create(name, OLD, expiresAt).catch(String)
    if (typeof outcome === 'object') created.push(name)
  }
  return created
}

test('F24: above maxEntries a create is refused, and everything else goes on', async (t) => {
  const { open } = world(3)
  const store = open()
  const names = keys('a', 3)
  t.deepEqual(await fill(store, names, START + LIFE), names)
  await t.throwsAsync(store.create('late', NEW, START + LIFE), NO_ROOM)
  t.is(await store.create('a-0', NEW, START + LIFE), 'exists')
  t.is((await store.read('a-0'))?.payload, OLD)
  const replaced = await store.replace('a-0', NEW, START + LIFE, { payload: OLD, expiresAt: START + LIFE })
  t.true(typeof replaced === 'object')
  t.is(await store.touch('a-1', START + 2 * LIFE), 'ok')
  t.is(await store.destroy('a-2'), 'ok')
  t.is(await store.destroy('a-2'), 'gone')
  t.deepEqual(
    await fill(store, keys('b', 2), START + LIFE),
    ['b-0'],
    'each that was ended makes room for one',
  )
  t.is(await store.count(), 3)
})

test('a session takes three inodes, besides 256 directories for all', async (t) => {
  const { folder, open } = world(1_000)
  await fill(open(), keys('a', 300), START + LIFE)
  const names = await fs.readdir(folder, { recursive: true })
  t.is(names.filter((name) => name.length > 2).length, 3 * 300)
  t.true(names.filter((name) => name.length === 2).length <= 256)
})

test('F24: a refused create leaves no file behind', async (t) => {
  const { folder, open } = world(1)
  const store = open()
  await store.create('one', OLD, START + LIFE)
  const before = await fs.readdir(folder, { recursive: true })
  await fill(store, keys('more', 20), START + LIFE)
  t.deepEqual(await fs.readdir(folder, { recursive: true }), before)
})

test('F24: expired sessions make room before a create is refused', async (t) => {
  const { clock, open } = world(40)
  const store = open()
  await fill(store, keys('old', 30), START + 1_000)
  await fill(store, keys('living', 10), START + LIFE)
  await t.throwsAsync(store.create('early', OLD, START + LIFE), NO_ROOM)
  clock.time += 20_000
  const names = keys('new', 31)
  t.deepEqual(await fill(store, names, START + LIFE), names.slice(0, 30))
  t.is(await store.count(), 40)
})

test('F24: an expired session that is created anew needs no room of its own', async (t) => {
  const { clock, open } = world(2)
  const store = open()
  await fill(store, ['a', 'b'], START + 1_000)
  clock.time += 1_000
  t.deepEqual(await fill(store, ['a', 'b', 'c'], START + LIFE), ['a', 'b'])
})

test('F24: of many creates at once as many succeed as there is room', async (t) => {
  const { open } = world(10)
  const store = open()
  const outcomes = await Promise.allSettled(
    keys('a', 60).map(async (key) => store.create(key, OLD, START + LIFE)),
  )
  t.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 10)
  t.is(await store.count(), 10)
})

test('F24: a process counts what others have created: before its first session, and again after a few', async (t) => {
  const { open } = world(20)
  const [first, second] = [open(), open()]
  t.is((await fill(first, keys('a', 15), START + LIFE)).length, 15)
  t.is((await fill(second, keys('b', 30), START + LIFE)).length, 5)
  const outcomes = await Promise.allSettled(
    keys('c', 50).map(async (key) => open().create(key, OLD, START + LIFE)),
  )
  t.is(outcomes.filter(({ status }) => status === 'fulfilled').length, 0)
})

test('F24: processes that create at the same time exceed maxEntries by a few, which each finds out', async (t) => {
  const { open } = world(30)
  const stores = [open(), open(), open()]
  await Promise.all(stores.map(async (store, at) => fill(store, keys(`p${at}`, 60), START + LIFE)))
  const stored = await open().count()
  t.true(stored >= 30 && stored <= 30 + 2 * 16, String(stored))
  for (const store of stores) await t.throwsAsync(store.create('late', OLD, START + LIFE), NO_ROOM)
})

test('F24: in a full folder room is looked for every ten seconds, not by every create', async (t) => {
  const { clock, folder, open } = world(2)
  const store = open()
  await fill(store, ['a', 'b'], START + LIFE)
  await t.throwsAsync(store.create('c', OLD, START + LIFE), NO_ROOM)
  t.is(await new FileStore({ folder, now: () => clock.time }).destroy('a'), 'ok')
  clock.time += 9_999
  await t.throwsAsync(store.create('c', OLD, START + LIFE), NO_ROOM)
  clock.time += 60_000
  t.deepEqual(await fill(store, ['c', 'd'], START + LIFE), ['c'])
})

test('F24: a sweep of the manager makes room at once', async (t) => {
  const { clock, open } = world(2)
  const store = open()
  await fill(store, ['a', 'b'], START + 1_000)
  await t.throwsAsync(store.create('c', OLD, START + LIFE), NO_ROOM)
  clock.time += 1_000
  t.is(await store.sweep(10), 2)
  t.deepEqual(await fill(store, ['c', 'd', 'e'], START + LIFE), ['c', 'd'])
})

test('F24: in a full store new visitors get 503, and the sessions of users go on', async (t) => {
  const { clock, open } = world(2)
  const manager = new SessionManager({ store: open(), now: () => clock.time, sweepInterval: 0 })
  const users = [manager.begin().set('n', 1), manager.begin().set('n', 1)]
  for (const user of users) await manager.commit(user)
  const error = await t.throwsAsync(manager.commit(manager.begin().set('n', 1)), NO_ROOM)
  t.like(error, { status: 503 })
  for (const { id } of users) {
    const session = await manager.open(id)
    session.update('n', (n = 0) => n + 1)
    t.is(await manager.commit(session), 'ok')
  }
  const [leaving] = users
  await (await manager.open(leaving?.id)).destroy()
  t.is(await manager.commit(manager.begin().set('n', 1)), 'ok')
  await manager.close()
})

test('a folder without maxEntries, and a folder with few sessions, are not counted', async (t) => {
  const { folder, open } = world(1_000_000)
  await fs.mkdir(folder, { mode: 0o700 })
  const store = open()
  await fill(store, keys('a', 5), START + LIFE)
  // A count would fail: the name is that of a shelf, which cannot be read as one.
  await fs.rm(folder, { recursive: true })
  await fs.mkdir(folder, { mode: 0o700 })
  t.deepEqual(await fill(store, keys('a', 5), START + LIFE), keys('a', 5))
  t.is(await store.count(), 5)
})

test('maxEntries is a whole number or Infinity, and an unknown setting is refused by name', (t) => {
  for (const maxEntries of [0, -1, 1.5, NaN])
    t.throws(() => new FileStore({ folder: './x', maxEntries }), {
      code: 'ERR_SESSION_OPTIONS',
      message: /maxEntries must be/,
    })
  t.notThrows(() => new FileStore({ folder: './x', maxEntries: Infinity }))
  t.throws(() => new FileStore({ folder: './x', maxEntrys: 5 } as { folder: string }), {
    code: 'ERR_SESSION_OPTIONS',
    message: /^file: maxEntrys: is not a setting; did you mean maxEntries\?$/,
  })
})

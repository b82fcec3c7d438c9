// Does what a store must bear where something is lacking. Prints a list of what came of each.
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { SessionManager } from '../../../src/session/manager.ts'
import type { SessionEvent } from '../../../src/session/events.ts'
import { FileStore } from '../../../src/stores/file.ts'
import { assertTidy, assertUsable, found, KEY, NEW, OLD, START, storeAt } from './operations.ts'

const [folder = '', lack = ''] = process.argv.slice(2)
const LIFE = START + 24 * 3_600_000
const BASE = { payload: OLD, expiresAt: LIFE }
const store = storeAt(folder, START, true)

async function outcome(doing: Promise<unknown>): Promise<unknown> {
  return doing.then(
    (value) => (typeof value === 'object' ? 'ok' : value),
    (error: unknown) => (error instanceof Error ? error.message : error),
  )
}

/** There is little room: what is too much fails, what was there is intact, and nothing is left of the attempt. */
async function room(): Promise<readonly unknown[]> {
  const created = await outcome(store.create(KEY, OLD, LIFE))
  const tooMuch = await outcome(store.replace(KEY, NEW + 'x'.repeat(1_000_000), LIFE, BASE))
  const other = await outcome(store.create('other', NEW + 'x'.repeat(1_000_000), LIFE))
  await assertTidy(folder, 1)
  const kept = (await found(folder, START))?.payload === OLD
  await assertUsable(folder, START)
  return [created, tooMuch, other, kept]
}

/** There are few descriptors: a crowd of calls waits for its turn. */
async function descriptors(): Promise<readonly unknown[]> {
  const keys = Array.from({ length: 10_000 }, (_, at) => `key-${at % 100}`)
  const created = await Promise.all(keys.map(async (key) => outcome(store.create(key, OLD, LIFE))))
  const counted = await Promise.all(Array.from({ length: 100 }, async () => store.count()))
  return [created.filter((each) => each === 'ok').length, new Set(created).size, Math.min(...counted)]
}

/** Others have taken all descriptors. */
async function handles(): Promise<readonly unknown[]> {
  await store.create(KEY, OLD, LIFE)
  const taken: fs.FileHandle[] = []
  for (let more = true; more;) {
    more = await fs.open('/dev/null').then(
      (handle) => taken.push(handle) > 0,
      () => false,
    )
  }
  const failed = [
    await outcome(store.read(KEY)),
    await outcome(store.replace(KEY, NEW, LIFE, BASE)),
    await outcome(store.create('other', NEW, LIFE)),
  ]
  for (const handle of taken) await handle.close()
  await assertTidy(folder, 1)
  const kept = (await found(folder, START))?.payload === OLD
  return [...failed, kept, await outcome(store.replace(KEY, NEW, LIFE, BASE))]
}

/** For a while something is lacking. Tells what became of writes meanwhile, whether all could be read, and of writes afterwards. */
async function hindered(begin: () => Promise<void>, end: () => Promise<void>): Promise<readonly unknown[]> {
  await store.create(KEY, OLD, LIFE)
  await store.create('other', OLD, LIFE)
  await begin()
  const meanwhile = [
    await outcome(store.replace(KEY, NEW, LIFE, BASE)),
    await outcome(store.create('third', NEW, LIFE)),
    await outcome(store.touch(KEY, LIFE + 1)),
    await outcome(store.destroy('other')),
  ]
  const read = (await store.read(KEY))?.payload === OLD
  const living = await store.count()
  await end()
  await assertTidy(folder, living)
  const afterwards = [
    await outcome(store.replace(KEY, NEW, LIFE, BASE)),
    await outcome(store.create('third', NEW, LIFE)),
    (await found(folder, START))?.payload === NEW,
  ]
  await assertTidy(folder, living + 1)
  return [...meanwhile, read, living, ...afterwards]
}

const filler = path.join(path.dirname(folder), 'filler')

async function fill(): Promise<void> {
  const handle = await fs.open(filler, 'w')
  await handle.writeFile(Buffer.alloc(16_777_216)).catch(() => undefined)
  await handle.close()
}

async function remount(how: string): Promise<void> {
  execFileSync('mount', ['-o', `remount,${how}`, path.dirname(folder)])
}

/** The disk is full to the last byte. */
async function full(): Promise<readonly unknown[]> {
  return hindered(fill, async () => fs.rm(filler))
}

/**
 * What becomes of a thousand requests that read, of those that write, of a logout, and of a request that writes afterwards. The
 * last one tells how often the store counted as down.
 */
async function requests(begin: () => Promise<void>, end: () => Promise<void>): Promise<readonly unknown[]> {
  const events: SessionEvent[] = []
  let now = Date.now()
  const manager = new SessionManager({
    store: new FileStore({ folder, now: () => now }),
    now: () => now,
    onEvent: (event) => events.push(event),
  })
  const ids: string[] = []
  while (ids.length < 10) {
    const session = manager.begin().set('n', 0)
    await manager.commit(session)
    ids.push(session.id)
  }
  await begin()
  const look = async (id: string | undefined): Promise<unknown> => {
    const session = await manager.open(id)
    return [session.get('n'), await manager.commit(session)].join(' ')
  }
  const reads = new Set<unknown>()
  const writes = new Set<unknown>()
  for (let round = 0; round < 40; round += 1) {
    now += 1_000 // so that a touch becomes due now and then
    const looks = Array.from({ length: 25 }, async (_, at) => outcome(look(ids[at % ids.length])))
    const changing = manager.open(ids[0]).then(async (session) => manager.commit(session.set('n', 1)))
    const [changed, fresh] = [outcome(changing), outcome(manager.commit(manager.begin().set('n', 1)))]
    for (const each of await Promise.all(looks)) reads.add(each)
    for (const each of await Promise.all([changed, fresh])) writes.add(each)
  }
  const logout = await outcome(manager.open(ids[9]).then(async (session) => manager.destroy(session)))
  const downs = events.filter(({ type }) => type === 'store-down').length
  await end()
  const after = await outcome(manager.commit(manager.begin().set('n', 1)))
  return [[...reads], [...writes], logout, after, downs]
}

/** The file system may only be read: that happens to one with errors. */
async function frozen(): Promise<readonly unknown[]> {
  const result = await hindered(
    async () => remount('ro'),
    async () => remount('rw'),
  )
  const later = storeAt(folder, LIFE)
  await later.open()
  await remount('ro')
  // An expired session is absent although it cannot be removed.
  const expired = await later.read(KEY)
  return [...result, await outcome(storeAt(folder, START).open()), expired ?? 'absent']
}

/** The folder is read-only, for a user to whom file modes apply. */
async function guarded(): Promise<readonly unknown[]> {
  const directories = async (mode: number): Promise<void> => {
    for (const name of ['', ...(await fs.readdir(folder, { recursive: true }))]) {
      const file = path.join(folder, name)
      if ((await fs.lstat(file)).isDirectory()) await fs.chmod(file, mode)
    }
  }
  if (process.getuid?.() === 0) process.seteuid?.(65_534)
  return hindered(
    async () => directories(0o500),
    async () => directories(0o700),
  )
}

/** The folder belongs to another user. */
async function rights(): Promise<readonly unknown[]> {
  if (process.getuid?.() === 0) process.setuid?.(65_534)
  const elsewhere = new FileStore({ folder: `${folder}/below` })
  return [await outcome(store.open()), await outcome(store.read(KEY)), await outcome(elsewhere.open())]
}

const lacks: Readonly<Record<string, () => Promise<readonly unknown[]>>> = {
  room,
  descriptors,
  handles,
  rights,
  full,
  'requests on a full disk': async () => requests(fill, async () => fs.rm(filler)),
  'requests on a read-only disk': async () =>
    requests(
      async () => remount('ro'),
      async () => remount('rw'),
    ),
  frozen,
  guarded,
}
process.stdout.write(JSON.stringify(await lacks[lack]?.()))

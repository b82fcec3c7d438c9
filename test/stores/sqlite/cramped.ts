// Does what a store must bear on a disk of its own that is full or read-only. Prints a list of what came of each.
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { SessionManager } from '../../../src/session/manager.ts'
import type { SessionEvent } from '../../../src/session/events.ts'
import { SqliteStore } from '../../../src/stores/sqlite.ts'
import { openClient } from './drivers.ts'

const [folder = '', lack = ''] = process.argv.slice(2)
const file = path.join(folder, 'sessions', 'sessions.db')
const filler = path.join(folder, 'filler')

async function outcome(doing: Promise<unknown>): Promise<unknown> {
  return doing.then(
    (value) => (typeof value === 'object' ? 'ok' : value),
    (error: unknown) => (error instanceof Error ? error.message : error),
  )
}

await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 })

async function fill(): Promise<void> {
  const handle = await fs.open(filler, 'w')
  await handle.writeFile(Buffer.alloc(16_777_216)).catch(() => undefined)
  await handle.close()
}

/** Ten sessions. */
async function begin(manager: SessionManager): Promise<readonly string[]> {
  const ids: string[] = []
  while (ids.length < 10) {
    const session = manager.begin().set('n', 0).set('text', 'x'.repeat(2_000))
    await manager.commit(session)
    ids.push(session.id)
  }
  return ids
}

async function isKept(manager: SessionManager, ids: readonly string[]): Promise<boolean> {
  const sessions = await Promise.all(ids.map(async (id) => manager.open(id)))
  return sessions.every((session) => session.get('text') === 'x'.repeat(2_000))
}

/** A thousand requests that read, forty that write, and a logout; whether all is there, and whether everything works afterwards. */
async function full(): Promise<readonly unknown[]> {
  const events: SessionEvent[] = []
  const store = new SqliteStore({ path: file })
  const manager = new SessionManager({ store, onEvent: (event) => events.push(event) })
  const ids = await begin(manager)
  await fill()
  const look = async (id: string | undefined): Promise<unknown> => {
    const session = await manager.open(id)
    return [session.get('n'), await manager.commit(session)].join(' ')
  }
  const reads = new Set<unknown>()
  const writes = new Set<unknown>()
  for (let round = 0; round < 20; round += 1) {
    const looks = Array.from({ length: 50 }, async (_, at) => outcome(look(ids[at % ids.length])))
    const changing = manager.open(ids[0]).then(async (session) => {
      session.set('text', 'y'.repeat(500_000))
      return manager.commit(session)
    })
    const fresh = manager.begin().set('text', 'z'.repeat(500_000))
    const [changed, created] = [outcome(changing), outcome(manager.commit(fresh))]
    for (const each of await Promise.all(looks)) reads.add(each)
    for (const each of await Promise.all([changed, created])) writes.add(each)
  }
  const logout = await outcome(manager.open(ids[9]).then(async (session) => manager.destroy(session)))
  const downs = events.filter(({ type }) => type === 'store-down').length
  await fs.rm(filler)
  const after = await outcome(manager.commit(manager.begin().set('text', 'z'.repeat(5_000))))
  const kept = await isKept(manager, ids.slice(0, 9))
  await manager.close()
  return [[...reads], [...writes], logout, downs, after, kept]
}

/** The log was copied into the database before the disk was full, so it has room of its own. */
async function reserve(): Promise<readonly unknown[]> {
  const client = openClient(file)
  const store = new SqliteStore({ client })
  const payload = 'kts1 aaaaaaaaaaaaaaaa old'
  const life = Date.now() + 3_600_000
  for (let at = 0; at < 10; at += 1) await store.create(`key-${at}`, payload, life)
  client.prepare('PRAGMA wal_checkpoint(FULL)').all()
  await fill()
  const touches = new Set<unknown>()
  for (let at = 1; at < 200; at += 1) touches.add(await outcome(store.touch('key-0', life + at)))
  const ends = new Set<unknown>()
  for (let at = 0; at < 10; at += 1) ends.add(await outcome(store.destroy(`key-${at}`)))
  const left = await store.count()
  client.close()
  return [[...touches], [...ends], left]
}

/** Ten sessions, whose process ends: the file system cannot become read-only while a file is open. */
async function beginAlone(): Promise<readonly string[]> {
  const manager = new SessionManager({ store: new SqliteStore({ path: file }) })
  const ids = await begin(manager)
  await manager.close()
  return ids
}

/** The file system may only be read from the beginning. */
async function frozen(): Promise<readonly unknown[]> {
  const [, script = ''] = process.argv
  const args = ['--import=tsx', script, folder, 'beginAlone']
  const ids: readonly string[] = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  remount('ro')
  const manager = new SessionManager({ store: new SqliteStore({ path: file }) })
  const refused = [await outcome(manager.ready()), await outcome(manager.open(ids[0]))]
  remount('rw')
  const kept = await isKept(manager, ids)
  await manager.close()
  return [...refused, kept]
}

function remount(how: string): void {
  execFileSync('mount', ['-o', `remount,${how}`, folder])
}

const lacks: Readonly<Record<string, () => Promise<readonly unknown[]>>> = {
  full,
  reserve,
  frozen,
  beginAlone,
}
process.stdout.write(JSON.stringify(await lacks[lack]?.()))

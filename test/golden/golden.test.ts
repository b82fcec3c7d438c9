// Every later version must read the payloads in this folder.
import { chmod, cp, readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'ava'
import { hashId, createId } from '../../src/session/id.ts'
import { SessionManager, type Session } from '../../src/index.ts'
import { FileStore } from '../../src/stores/file.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { registry } from '../fidelity/classes.ts'
import { fingerprint } from '../fidelity/fingerprint.ts'
import {
  goldenNames,
  goldens,
  kept,
  keptUntil,
  nextOf,
  payloadOf,
  readGolden,
  shelves,
  sumOf,
  sums,
} from './golden.ts'
import { temporaryFolder } from '../support/cleanup.ts'

const NOW = 1_760_000_001_000
const now = (): number => NOW
const store = new MemoryStore({ now })
const manager = new SessionManager({ store, registry, now, sweepInterval: 0, keepEmpty: true })
const names = await goldenNames()

/** Opens the session of a stored payload. */
async function opened(payload: string): Promise<{ session: Session; key: string }> {
  const id = createId('')
  await store.create(hashId(id), payload, NOW + 60_000)
  return { session: await manager.open(id), key: hashId(id) }
}

for (const name of names) {
  test(`golden: ${name} of format 1 is read unchanged, and copied byte for byte`, async (t) => {
    const { payload, value } = await readGolden(name)
    const { session, key } = await opened(payload)
    t.false(session.isNew)
    t.is(session.createdAt, 1_760_000_000_000)
    t.is(fingerprint(new Map(session.entries())), value)
    // All values were read but none was changed, so nothing is written.
    t.is(await manager.commit(session), 'ok')
    t.is((await store.read(key))?.payload, payload)
    t.true(nextOf(payload).includes(payload.slice(payload.indexOf('\n'))))
  })
}

test('golden: the current version writes the same payloads', async (t) => {
  for (const golden of goldens) {
    if (names.includes(golden.name)) t.is(payloadOf(golden), (await readGolden(golden.name)).payload)
    else t.fail(`${golden.name} has no golden file yet: npm run golden`)
  }
})

test('golden: no file was ever changed or removed', async (t) => {
  t.true(names.length >= 80)
  const listed = (await readFile(sums, 'utf8')).trimEnd().split('\n')
  t.deepEqual(listed.toSorted(), (await Promise.all(names.map(sumOf))).toSorted())
})

test('golden: a folder of the file store can be read and written, and needs no sweep', async (t) => {
  const folder = await temporaryFolder('kts-golden-')
  await cp(shelves, folder, { recursive: true })
  // The modes of a checkout depend on its umask.
  for (const name of await readdir(folder, { recursive: true })) await chmod(path.join(folder, name), 0o700)
  const files = await readdir(folder, { recursive: true })
  const store = new FileStore({ folder, now })
  t.is(await store.sweep(10), 0)
  t.deepEqual((await readdir(folder, { recursive: true })).toSorted(), files.toSorted())
  t.is(await store.count(), kept.length)
  for (const name of kept) {
    const entry = { payload: (await readGolden(name)).payload, expiresAt: keptUntil }
    t.deepEqual(await store.read(name), entry)
    const written = await store.replace(name, nextOf(entry.payload), keptUntil, entry)
    t.is(typeof written, 'object')
    t.is(await store.destroy(name), 'ok')
  }
  t.is(await store.count(), 0)
})

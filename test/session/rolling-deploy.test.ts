import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { hashId } from '../../src/session/id.ts'
import { createRegistry, SessionManager, type SessionEvent } from '../../src/index.ts'
import type { Counting, Store } from '../../src/store.ts'
import { FileStore } from '../../src/stores/file.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { NextVersion } from '../support/next-version.ts'
import { temporaryFolder } from '../support/cleanup.ts'

interface Seen {
  id: string
  outcome: string
  seen: unknown[]
}

/** Runs one process of the given version of a program on the folder. */
async function worker(version: 1 | 2, folder: string, id: string, ...verbs: string[]): Promise<Seen> {
  const script = path.resolve('test/support/deploy-worker.ts')
  const args = ['--import=tsx', script, String(version), folder, id, ...verbs]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  // What the worker prints is exactly this.
  return JSON.parse(stdout) as Seen
}

test('F15: two versions of a program take turns on one session, and neither loses a value of the other', async (t) => {
  const folder = await temporaryFolder('kts-deploy-')

  const { id } = await worker(1, folder, '-', 'cart:cart', 'add:cart:apple', 'count:visits')

  // The newer version reads the older class, upgraded; merely reading it does not rewrite it …
  t.deepEqual((await worker(2, folder, id, 'get:cart', 'count:visits')).seen, [
    { lines: [['apple', '1n']] },
    2,
  ])
  // … so the older version still can.
  t.deepEqual((await worker(1, folder, id, 'get:cart', 'add:cart:pear', 'count:visits')).seen, [
    { items: ['apple', 'pear'] },
    null,
    3,
  ])

  // The newer version changes it, and stores a class that the older one does not have.
  t.deepEqual((await worker(2, folder, id, 'add:cart:plum', 'wish:wishes', 'add:wishes:boat')).seen, [
    null,
    null,
    null,
  ])

  // The older version cannot read these two, says so for them alone, and goes on with what it knows.
  const older = await worker(1, folder, id, 'get:cart', 'get:wishes', 'count:visits')
  t.deepEqual(older.seen, ['ERR_SESSION_DECODE', 'ERR_SESSION_DECODE', 4])
  t.is(older.outcome, 'ok')

  // Nothing was lost, in either direction.
  t.deepEqual((await worker(2, folder, id, 'get:cart', 'get:wishes', 'get:visits')).seen, [
    {
      lines: [
        ['apple', '1n'],
        ['pear', '1n'],
        ['plum', '2n'],
      ],
    },
    { wishes: ['boat'] },
    4,
  ])
})

test('F15: both versions at once, request upon request, keep every count', async (t) => {
  const folder = await temporaryFolder('kts-deploy-')
  const { id } = await worker(2, folder, '-', 'cart:cart', 'add:cart:apple', 'wish:wishes')
  const counts = ['count:n', 'count:n']
  await Promise.all([
    worker(1, folder, id, ...counts, 'count:one'),
    worker(2, folder, id, ...counts, 'add:cart:pear'),
    worker(1, folder, id, ...counts, 'count:one'),
    worker(2, folder, id, ...counts, 'add:wishes:boat'),
  ])
  const { seen } = await worker(2, folder, id, 'get:n', 'get:one', 'get:cart', 'get:wishes')
  t.deepEqual(seen, [
    8,
    2,
    {
      lines: [
        ['apple', '2n'],
        ['pear', '2n'],
      ],
    },
    { wishes: ['boat'] },
  ])
})

class Cart {
  items: string[] = []
}

/** This version of the library and the next one, on one store. */
interface Deploy {
  readonly store: Store & Counting
  readonly ours: SessionManager
  readonly next: NextVersion
  readonly events: SessionEvent[]
}

const stores = {
  memory: (): Store & Counting => new MemoryStore(),
  file: (folder: string): Store & Counting => new FileStore({ folder, sync: false }),
}

async function deploy(name: keyof typeof stores): Promise<Deploy> {
  const folder = await temporaryFolder('kts-deploy-')
  const store = stores[name](folder)
  const events: SessionEvent[] = []
  const registry = createRegistry()
  registry.registerType(Cart)
  const onEvent = (event: SessionEvent): void => void events.push(event)
  const ours = new SessionManager({ store, registry, onEvent, sweepInterval: 0 })
  return { store, ours, next: new NextVersion(store), events }
}

function counted(lines: Map<string, string>): void {
  lines.set('visits', `J ${Number(lines.get('visits')?.slice(2) ?? 0) + 1}`)
}

for (const name of ['memory', 'file'] as const) {
  test(`F15: a later version with its own attributes and forms of lines takes turns with this one in the ${name} store, and neither loses anything`, async (t) => {
    const { ours, next } = await deploy(name)
    const begun = ours.begin()
    begun.set('cart', new Cart())
    begun.set('visits', 0)
    await ours.commit(begun)
    let { id } = begun

    // Every order of two, one of whom may have opened the session before the other one wrote.
    for (let round = 1; round <= 16; round += 1) {
      const early = round % 2 === 0 ? await ours.open(id) : undefined
      await next.change(id, ({ attributes, lines }) => {
        attributes.set('round', String(round)).set(`x-${round}`, '~/=,')
        lines.set('wishes', `Z [${round}]`)
        if (round % 3 === 0) lines.set(`odd ${round}`, 'ZZ9 \u0001 not JSON at all')
        counted(lines)
      })
      const session = early ?? (await ours.open(id))
      session.update('visits', (visits = 0) => visits + 1)
      if (round % 4 === 0) session.get('cart').items.push(`item ${round}`)
      if (early === undefined)
        t.throws(() => session.get('wishes') as unknown, { code: 'ERR_SESSION_DECODE', message: /^wishes\b/ })
      if (round % 5 === 0) session.regenerate()
      t.is(await ours.commit(session), 'ok')
      ;({ id } = session)

      const seen = await next.read(id)
      t.is(seen.attributes.get('round'), String(round))
      t.is(seen.attributes.size, 2 + round) // and the handle
      t.is(seen.lines.get('wishes'), `Z [${round}]`)
      t.is(seen.lines.get('visits'), `J ${2 * round}`)
      for (let odd = 3; odd <= round; odd += 3)
        t.is(seen.lines.get(`odd ${odd}`), 'ZZ9 \u0001 not JSON at all')
    }
    const session = await ours.open(id)
    t.deepEqual([...session.keys()].slice(0, 3), ['cart', 'visits', 'wishes'])
    t.deepEqual(session.get('cart').items, ['item 4', 'item 8', 'item 12', 'item 16'])
    t.is(session.createdAt, begun.createdAt)

    // What this version can see it can also remove and replace.
    session.delete('wishes')
    session.set('odd 3', 3)
    await ours.commit(session)
    const { lines } = await next.read(id)
    t.deepEqual([lines.has('wishes'), lines.get('odd 3')], [false, 'J 3'])
  })

  test(`F15: a session that a later version moved to another format is never written over by this one in the ${name} store`, async (t) => {
    const { store, ours, next, events } = await deploy(name)
    const begun = ours.begin()
    begun.set('visits', 1)
    await ours.commit(begun)
    const { id } = begun
    const late = await Promise.all([1, 2, 3, 4].map(async () => ours.open(id)))
    const claimer = await ours.open(id)
    await next.change(id, (session) => {
      session.format = 'kts2'
      session.lines.set('wishes', 'Z [1]')
    })
    const payload = (await store.read(hashId(id)))?.payload

    // Whoever opened it before cannot bring in what he did, and says so.
    late[0]?.set('visits', 9)
    late[1]?.update('visits', (visits = 0) => visits + 1)
    late[2]?.clear()
    late[3]?.regenerate()
    for (const session of late) await t.throwsAsync(ours.commit(session), { code: 'ERR_SESSION_PAYLOAD' })
    await t.throwsAsync(claimer.claim('visits'), { code: 'ERR_SESSION_PAYLOAD' })

    // Whoever opens it now is somebody new.
    events.length = 0
    const fresh = await ours.open(id)
    t.true(fresh.isNew)
    t.like(events, [{ type: 'decode-failed', scope: 'payload' }])
    fresh.set('visits', 1)
    await ours.commit(fresh)
    t.not(fresh.id, id)
    t.is((await store.read(hashId(id)))?.payload, payload)
    t.is(await store.count(), 2)

    // The later version goes on as if nothing had been, and reads what this one wrote, too.
    await next.change(id, ({ lines }) => counted(lines))
    t.deepEqual(
      [...(await next.read(id)).lines],
      [
        ['visits', 'J 2'],
        ['wishes', 'Z [1]'],
      ],
    )
    t.is((await next.read(fresh.id)).lines.get('visits'), 'J 1')
    // Ending a session by its ID needs no look into it.
    await ours.destroy(id)
    t.is(await store.count(), 1)
  })
}

test('F15: both versions of the format at once keep every count and every line', async (t) => {
  const { ours, next } = await deploy('file')
  const begun = ours.begin()
  begun.set('visits', 0)
  await ours.commit(begun)
  const { id } = begun
  const our = async (key: string): Promise<void> => {
    const session = await ours.open(id)
    session.update('visits', (visits = 0) => visits + 1)
    session.set(key, [1n])
    t.is(await ours.commit(session), 'ok')
  }
  const their = async (key: string): Promise<void> =>
    next.change(id, ({ attributes, lines }) => {
      attributes.set(key, '1')
      lines.set(key, 'Z 1')
      counted(lines)
    })
  for (let n = 0; n < 20; n += 4)
    await Promise.all([our(`o${n}`), their(`t${n}`), our(`o${n + 1}`), their(`t${n + 1}`)])
  const { attributes, lines } = await next.read(id)
  t.is(lines.get('visits'), 'J 20')
  t.deepEqual([attributes.size, lines.size], [11, 21]) // and the handle
})

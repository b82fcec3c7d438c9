import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'

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
  const folder = await mkdtemp(path.join(tmpdir(), 'kts-deploy-'))
  t.teardown(async () => rm(folder, { recursive: true }))

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
  const folder = await mkdtemp(path.join(tmpdir(), 'kts-deploy-'))
  t.teardown(async () => rm(folder, { recursive: true }))
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

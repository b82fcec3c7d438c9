import { spawn } from 'node:child_process'
import * as path from 'node:path'
import { createInterface } from 'node:readline'
import test from 'ava'
import { FileStore } from '../../../src/stores/file.ts'
import { age, assertTidy, KEY, LATER, OLD, storeAt } from './operations.ts'
import { Children } from './child.ts'
import { temporaryFolder } from '../../support/cleanup.ts'

const base = await temporaryFolder('kts-file-processes-')
let children: Children
test.before(async () => {
  children = await Children.compile(base)
})

test.serial('1,000 increments by four processes are all kept', async (t) => {
  const folder = path.join(base, 'sessions')
  const store = new FileStore({ folder })
  await store.create(KEY, `${OLD.slice(0, 21)} 0`, Date.now() + 3_600_000)

  const running = [1, 2, 3, 4].map(async () => children.run('worker', folder, KEY, '250'))
  for (const { code, stderr } of await Promise.all(running)) {
    t.is(stderr, '')
    t.is(code, 0)
  }
  t.is((await store.read(KEY))?.payload.slice(22), '1000')
  await assertTidy(folder, 1)
})

/** Runs a process that puts marks into the session, and kills it once so many are stored. What it said was stored. */
async function mark(folder: string, name: string, times: number, deadly: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, children.command('marker', folder, KEY, name, String(times)), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const stored: string[] = []
  for await (const line of createInterface(child.stdout)) {
    if (stored.push(line) === deadly) child.kill('SIGKILL')
  }
  return stored
}

test.serial(
  'F26: of what processes that are killed again and again said was stored nothing is lost, and nothing stands twice',
  async (t) => {
    const folder = path.join(base, 'marked')
    const store = new FileStore({ folder })
    await store.create(KEY, OLD.slice(0, 21), Date.now() + 3_600_000)

    // Four at a time; three of them are killed after some marks, and others take their places.
    const stored: string[] = []
    const places = [1, 2, 3].map(async (place) => {
      for (const deadly of [1, 7, 3, 20])
        stored.push(...(await mark(folder, `${place}-${deadly}`, 1_000, deadly)))
    })
    const survivor = mark(folder, 'survivor', 100, Infinity)
    await Promise.all(places)
    stored.push(...(await survivor))

    const kept = (await store.read(KEY))?.payload.split(' ').slice(2) ?? []
    t.is(new Set(kept).size, kept.length, 'no mark stands twice')
    t.deepEqual(
      stored.filter((each) => !kept.includes(each)),
      [],
      'no mark that was said to be stored is lost',
    )
    t.is(kept.filter((each) => each.startsWith('survivor')).length, 100)
    // A killed process may have stored marks that it did not report, but no mark is there without those before it.
    for (const name of new Set(kept.map((each) => each.split('.')[0]))) {
      const own = kept.filter((each) => each.startsWith(`${name}.`))
      t.deepEqual(
        own,
        own.map((_, n) => `${name}.${n}`),
      )
    }
    const seen = await store.read(KEY)
    await age(folder)
    await storeAt(folder, LATER).sweep(10)
    t.deepEqual(await store.read(KEY), seen)
    await assertTidy(folder, 1)
  },
)

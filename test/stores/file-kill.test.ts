import assert from 'node:assert/strict'
import * as fs from 'node:fs/promises'
import * as os from 'node:os'
import * as path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import { acts, assertUsable, found, storeAt, type Act } from './file/acts.ts'
import { Children } from './file/child.ts'

const base = await fs.mkdtemp(path.join(os.tmpdir(), 'kts-file-kill-'))
test.after.always(async () => fs.rm(base, { recursive: true, force: true }))
let children: Children
test.before(async () => {
  children = await Children.compile(base)
})

/** When to die at a step that changes something. At one that only looks or flushes, before is as good as after. */
const MODES: Readonly<Record<string, readonly string[]>> = {
  mkdir: ['before', 'after'],
  rename: ['before', 'after'],
  rmdir: ['before', 'after'],
  unlink: ['before', 'after'],
  writeFile: ['before', 'within', 'after'],
}

let folders = 0
async function prepared(act: Act): Promise<string> {
  const folder = path.join(base, `folder-${(folders += 1)}`)
  await act.prepare(storeAt(folder, act.now - 3_600_000), folder)
  return folder
}

/** Kills a process in the midst of an act, and tells whether others find that it was done. */
async function kill(name: string, act: Act, step: number, mode: string): Promise<boolean> {
  const folder = await prepared(act)
  const ending = await children.run('victim', folder, name, String(step), mode)
  assert.equal(ending.signal, 'SIGKILL', ending.stderr)
  const seen = await found(folder, act.now)
  const done = isDeepStrictEqual(seen, act.after)
  assert.ok(done || isDeepStrictEqual(seen, act.before), `killed ${mode} step ${step}`)
  await assertUsable(folder, act.now)
  return done
}

for (const [name, act] of Object.entries<Act>(acts)) {
  test.serial(`F12: killed at any step of ${name}, a process leaves the old or the new behind`, async (t) => {
    const folder = await prepared(act)
    const { stdout, stderr } = await children.run('victim', folder, name)
    t.is(stderr, '')
    t.deepEqual(await found(folder, act.now), act.after)
    await assertUsable(folder, act.now)

    const steps = stdout.split(' ')
    t.true(steps.length >= 3)
    const deaths = steps.flatMap((step, at) =>
      (MODES[step] ?? ['before']).map((mode) => ({ step: at + 1, mode })),
    )
    const history: boolean[] = []
    for (let at = 0; at < deaths.length; at += 2) {
      const two = deaths.slice(at, at + 2).map(async ({ step, mode }) => kill(name, act, step, mode))
      history.push(...(await Promise.all(two)))
    }
    // Once done it stays done: there is one step that does it, and all before and after it only prepare and tidy up.
    t.deepEqual(history, history.toSorted())
    t.true(history.at(-1))
  })
}

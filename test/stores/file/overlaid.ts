// Does each act on what a lower layer of an overlay holds, as the folder of a container does. Prints what came of each.
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { acts, assertUsable, found, HOUR, KEY, OLD, START, storeAt, type Act } from './operations.ts'

const [base = ''] = process.argv.slice(2)

async function overlaid(name: string, act: Act): Promise<string> {
  const [lower, upper, work, top] = ['lower', 'upper', 'work', 'top'].map((each) =>
    path.join(base, name.replaceAll(' ', '-'), each),
  )
  if (lower === undefined || top === undefined) return 'no folder'
  const below = path.join(lower, 'sessions')
  for (const folder of [below, upper, work, top])
    await fs.mkdir(String(folder), { recursive: true, mode: 0o700 })
  await act.prepare(storeAt(below, act.now - HOUR), below)
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}${process.getuid?.() === 0 ? '' : ',userxattr'}`
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, top])
  const folder = path.join(top, 'sessions')
  await act.run(storeAt(folder, act.now, true))
  if (!isDeepStrictEqual(await found(folder, act.now), act.after)) return 'not done'
  await assertUsable(folder, act.now)
  return 'ok'
}

/** Leaves the home of a session without its session, as a process does that is killed while it ends one. */
async function leaveHome(folder: string): Promise<void> {
  await storeAt(folder, START).create(KEY, OLD, START + HOUR)
  for (const name of await fs.readdir(folder, { recursive: true })) {
    const file = path.join(folder, name)
    if ((await fs.lstat(file)).isFile()) await fs.rm(file)
  }
}

const emptied: Act = { ...acts.create, prepare: async (_store, folder) => leaveHome(folder) }
const outcomes: [string, string][] = []
for (const [name, act] of Object.entries<Act>({ ...acts, emptied })) {
  outcomes.push([name, await overlaid(name, act).catch((error: unknown) => String(error))])
}
process.stdout.write(JSON.stringify(outcomes))

// Runs one act on a store and kills itself at one step of it. Prints the names of the steps if it gets to the end.
import * as fs from 'node:fs/promises'
import { acts, storeAt } from './acts.ts'
import { intercept } from './steps.ts'

const [folder = '', name = '', deadly, mode] = process.argv.slice(2)
const act = Object.entries(acts).find(([each]) => each === name)?.[1]
if (act === undefined) throw new Error('no such act')

const store = storeAt(folder, act.now, true)
await store.open()

const steps: string[] = []
const { writeFile } = fs
await intercept(async ({ name: call, args: [file, bytes], run }) => {
  steps.push(call)
  // A killed process loses nothing that it wrote, flushed or not, so nobody waits for the disk.
  if (steps.length !== Number(deadly)) return call === 'sync' ? undefined : run()
  if (mode === 'after') await run().catch(() => undefined)
  // Cut short: the file is there, but only a part of what was to be written.
  if (mode === 'within' && Buffer.isBuffer(bytes)) {
    await writeFile(String(file), bytes.subarray(0, bytes.length / 2), { flag: 'wx', mode: 0o600 })
  }
  process.kill(process.pid, 'SIGKILL')
  return undefined
})
await act.run(store)
process.stdout.write(steps.join(' '))

import { writeSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { intercept } from './file-system-calls.ts'

/** When to die: before a step, after it, or when it has written a half; `torn` tells what it was about to write. */
export type Mode = 'before' | 'within' | 'after' | 'torn'

/** From now on this process kills itself at that step into the file system. The names of its steps are noted. */
export async function dieAt(deadly: number, mode: string | undefined): Promise<readonly string[]> {
  const steps: string[] = []
  const { writeFile } = fs
  await intercept(async ({ name, args: [file, bytes], run }) => {
    steps.push(name)
    // A killed process loses nothing that it wrote, flushed or not, so the writes need not wait for the disk.
    if (steps.length !== deadly) return name === 'sync' ? undefined : run()
    if (mode === 'after') await run().catch(() => undefined)
    if (mode === 'within' && Buffer.isBuffer(bytes)) {
      await writeFile(String(file), bytes.subarray(0, bytes.length / 2), { flag: 'wx', mode: 0o600 })
    }
    if (mode === 'torn' && Buffer.isBuffer(bytes)) writeSync(1, JSON.stringify([file, bytes.toString('hex')]))
    process.kill(process.pid, 'SIGKILL')
    return undefined
  })
  return steps
}

import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { FileStore } from '../../src/stores/file.ts'
import { testWalks, type Grounds } from './walker.ts'

/** A folder in memory where there is one: what is tried here is not the disk. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

async function grounds(): Promise<Grounds> {
  const folder = await mkdtemp(path.join(memory, 'kts-walks-'))
  let clock = Date.now()
  return {
    harness: {
      open: () => new FileStore({ folder, now: () => clock, sync: false }),
      now: () => clock,
      advance: (ms) => void (clock += ms),
      still: true,
    },
    stop: async () => rm(folder, { recursive: true, force: true }),
  }
}

testWalks('file', { count: 20_000, interleaved: true }, grounds)

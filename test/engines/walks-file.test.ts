import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { FileStore } from '../../src/stores/file.ts'
import { testWalks, type Grounds } from './walker.ts'
import { temporaryFolder } from '../support/cleanup.ts'

/** In memory where possible: the disk is not what is tested here. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

async function grounds(): Promise<Grounds> {
  const folder = await temporaryFolder('kts-walks-', memory)
  let clock = Date.now()
  return {
    harness: {
      open: () => new FileStore({ folder, now: () => clock, sync: false }),
      now: () => clock,
      advance: (ms) => void (clock += ms),
      still: true,
    },
    stop: async () => {},
  }
}

testWalks('file', { count: 4_000, interleaved: false }, grounds)

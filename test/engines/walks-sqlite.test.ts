import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { testWalks, type Grounds } from './walker.ts'
import { temporaryFolder } from '../support/cleanup.ts'

/** In memory where possible: the disk is not what is tested here. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

async function grounds(): Promise<Grounds> {
  const folder = await temporaryFolder('kts-walks-', memory)
  let clock = Date.now()
  return {
    harness: {
      open: () => new SqliteStore({ path: `${folder}/sessions.db`, now: () => clock, sync: false }),
      now: () => clock,
      advance: (ms) => void (clock += ms),
      still: true,
    },
    stop: async () => {},
  }
}

testWalks('sqlite', { count: 500 }, grounds)

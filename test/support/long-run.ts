import type { ExecutionContext } from 'ava'

/** What `scripts/test.ts` sets for itself. */
const MARK = 'KTS_RUN'
const isLonger = Object.keys(process.env).some((name) => name.startsWith('KTS_') && name !== MARK)

/**
 * Gives a test so many ms where a variable of the environment has made it longer. By default it gets none of its own: as long
 * as one test has time, AVA does not end what hangs in another file.
 */
export function allowLongRun(t: ExecutionContext, ms: number): void {
  if (isLonger) t.timeout(ms)
}

// Loaded into each test process. Where a server did not start, hooks that failed midway have often left others running and
// clients waiting for them: these are ended, so that the test file ends.
import { registerCompletionHandler } from 'ava'
import { stopAfterFailedStart } from '../servers/server.ts'

async function end(): Promise<void> {
  if (await stopAfterFailedStart()) process.exit()
}

registerCompletionHandler(() => void end())

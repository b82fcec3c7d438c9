// Loaded into each test process, which gets the name of its file. Where a server did not start, hooks that failed midway have often left others running and
// clients waiting for them: these are ended, so that the test file ends.
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { registerCompletionHandler } from 'ava'
import { stopAfterFailedStart } from '../servers/server.ts'

// By this name the run finds the file that hangs.
process.title = `test file ${path.relative('.', fileURLToPath(test.meta.file))}`

async function end(): Promise<void> {
  if (await stopAfterFailedStart()) process.exit()
}

registerCompletionHandler(() => void end())

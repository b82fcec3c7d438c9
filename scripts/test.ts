// The whole test command: `npm test`. With `--embedded` only what needs no server and no browser.
import path from 'node:path'
import { nodeOf } from './nodes.ts'
import { run, type Tally } from './run.ts'

const ava = 'node_modules/ava/entrypoints/cli.mjs'
/** What needs a server or a browser, and so is left out of the embedded suite. */
const served = ['redis', 'memcache', 'mysql', 'postgres', 'couchbase'].map(
  (engine) => `!test/stores/${engine}*`,
)
const embedded = ['test/**/*.test.ts', ...served, '!test/examples/*-browser.test.ts', '!test/engines/**']
/** What takes long and does not depend on the version of Node is left out of its other versions. */
const brief = [...embedded, '!test/testing/walks.test.ts', '!test/stores/file-kill.test.ts']

const tallies: Tally[] = []
const step = async (...args: Parameters<typeof run>): Promise<void> => void tallies.push(await run(...args))

await step('npm', ['run', '--silent', 'build'])
if (process.argv.includes('--embedded')) {
  await step(process.execPath, [ava, ...embedded])
} else {
  for (const check of ['types', 'lint', 'format:check', 'package:check'])
    await step('npm', ['run', '--silent', check])
  await step(process.execPath, [ava])
  // A process for each file begins with the same modules: compiled once, they are read from there.
  const compiled = { NODE_COMPILE_CACHE: path.resolve('.cache/compiled') }
  for (const major of [22, 24]) await step(await nodeOf(major), [ava, ...brief], compiled)
}

const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0)
const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0)
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

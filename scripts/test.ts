// `npm test`: every check and every test. `--embedded`: the tests that need no server and no browser. `--check`: the inner loop.
// `--interop`: the tests with packages of others, which are in `test/interop/node_modules`. `--bundlers`: those with bundlers that are
// in `test/bundlers/node_modules`.
import path from 'node:path'
import { couchbaseMockJar } from '../test/servers/couchbase.ts'
import { install } from '../test/servers/packages.ts'
import { Isolation, type RunProcess } from './isolation.ts'
import { nodeOf } from './nodes.ts'
import { run, type Tally } from './run.ts'

const ava = 'node_modules/ava/entrypoints/cli.mjs'
/** What needs a server or a browser, and so is left out of the embedded suite. */
const served = ['redis', 'memcache', 'mysql', 'postgres', 'couchbase'].flatMap((engine) => [
  `!test/stores/${engine}*`,
  `!test/stores/${engine}/**`,
])
const embedded = [
  'test/**/*.test.ts',
  ...served,
  '!test/migrate/*.test.ts',
  '!test/servers/**',
  '!test/examples/*-browser.test.ts',
  '!test/engines/**',
  '!test/bundles.test.ts',
]
/** What takes long and does not depend on the version of Node is left out of its other versions. */
const brief = [
  ...embedded,
  '!test/testing/simulation/*-walks.test.ts',
  '!test/migrate/**/*walks.test.ts',
  '!test/stores/file/kill.test.ts',
  '!test/stores/sqlite/kill.test.ts',
  '!test/types.test.ts',
]
/** What takes long, or needs `dist/`, is left out of the inner loop. */
const core = [
  ...brief,
  '!test/cli/**',
  '!test/examples/**',
  '!test/fidelity/**',
  '!test/docs.test.ts',
  '!test/package.test.ts',
  '!test/operations.test.ts',
]
const checks = ['types', 'lint', 'format:check']

const tallies: Tally[] = []
const isolation = await Isolation.create()
const step = async (command: string, args: readonly string[], env = {}, cwd = '.'): Promise<void> => {
  const processes = (): readonly RunProcess[] => isolation.processes()
  tallies.push(await run(command, args, { env: { ...isolation.env, ...env }, cwd, processes }))
}
const scripts = async (...names: readonly string[]): Promise<void> => {
  for (const name of names) await step('npm', ['run', '--silent', name])
}

/** Installs what the tests need, once, before any of them asks for it. A failure here is told and ends the run. */
async function installed(): Promise<void> {
  try {
    await install()
    await couchbaseMockJar()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    await isolation.end()
    console.log('\n0 passed, 1 failed')
    process.exit(1)
  }
}

/** The tests with packages of others. They are a project of their own, so that `npm ci` of this one stays small. */
async function interop(): Promise<void> {
  await step(process.execPath, [path.resolve(ava)], {}, 'test/interop')
}

if (process.argv.includes('--check')) {
  await scripts(...checks)
  await step(process.execPath, [ava, ...core])
} else if (process.argv.includes('--interop')) {
  await interop()
} else if (process.argv.includes('--bundlers')) {
  await installed()
  await scripts('build')
  await step(process.execPath, [path.resolve(ava)], {}, 'test/bundlers')
} else if (process.argv.includes('--embedded')) {
  await scripts('build')
  await step(process.execPath, [ava, ...embedded])
} else {
  await installed()
  await scripts('build', ...checks, 'package:check')
  await step(process.execPath, [ava])
  await step('npm', ['ci', '--silent', '--prefix', 'test/interop'])
  await interop()
  // A process for each file begins with the same modules: compiled once, they are read from there.
  const compiled = { NODE_COMPILE_CACHE: path.resolve('.cache/compiled') }
  for (const major of [22, 24]) await step(await nodeOf(major), [ava, ...brief], compiled)
}

const leftovers = await isolation.end()
for (const leftover of leftovers) console.log(`left behind: ${leftover}`)
tallies.push({ passed: leftovers.length === 0 ? 1 : 0, failed: leftovers.length })

const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0)
const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0)
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

import { availableParallelism } from 'node:os'

/** Node strips types by itself from 22.18 on. A loader takes over a quarter more processor time for short test files. */
const strips = process.features.typescript === 'strip'

export default {
  // test/interop/ and test/bundlers/ have packages of their own, and steps of their own.
  files: ['test/**/*.test.ts', '!test/interop/**', '!test/bundlers/**'],
  extensions: { ts: 'module' },
  nodeArguments: [strips ? '--disable-warning=ExperimentalWarning' : '--import=tsx'],
  // Many a test waits for a server or a clock, so one more than can work at a time.
  require: ['./test/support/test-process.ts'],
  concurrency: availableParallelism() + 1,
  timeout: '120s',
  workerThreads: false,
}

const strips = process.features.typescript === 'strip'

export default {
  files: ['*.test.ts'],
  extensions: { ts: 'module' },
  nodeArguments: [strips ? '--disable-warning=ExperimentalWarning' : '--import=tsx'],
  require: ['../support/test-process.ts'],
  timeout: '60s',
  workerThreads: false,
}

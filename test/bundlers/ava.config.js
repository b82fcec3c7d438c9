const strips = process.features.typescript === 'strip'

export default {
  files: ['*.test.ts'],
  extensions: { ts: 'module' },
  nodeArguments: [strips ? '--disable-warning=ExperimentalWarning' : '--import=tsx'],
  timeout: '240s',
  workerThreads: false,
}

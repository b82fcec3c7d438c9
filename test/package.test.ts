import { execFile } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { temporaryFolder } from './support/cleanup.ts'

const run = promisify(execFile)
const names = Object.keys(JSON.parse(await readFile('package.json', 'utf8')).exports as object)
  .filter((name) => !name.endsWith('.json'))
  .map((name) => name.replace(/^\./, 'koa-typed-session'))

/** An empty project with our tarball in it, and Koa beside it. */
async function project(strategy: string): Promise<string> {
  const folder = await temporaryFolder('kts-package-')
  // The scripts would build dist/ anew, under the feet of other tests.
  await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder])
  const [tarball = ''] = await readdir(folder)
  await writeFile(path.join(folder, 'package.json'), '{ "private": true }')
  await run(
    'npm',
    ['install', '--silent', '--no-audit', `--install-strategy=${strategy}`, `./${tarball}`, 'koa'],
    { cwd: folder },
  )
  return folder
}

for (const strategy of ['hoisted', 'linked']) {
  test.serial(
    `the packed tarball is imported and required from an empty folder, node_modules ${strategy}`,
    async (t) => {
      const folder = await project(strategy)
      for (const name of names) {
        const esm = `import * as m from '${name}'; console.log(Object.keys(m).length)`
        const cjs = `console.log(Object.keys(require('${name}')).length)`
        const imported = await run(process.execPath, ['--input-type=module', '-e', esm], { cwd: folder })
        const required = await run(process.execPath, ['--input-type=commonjs', '-e', cjs], { cwd: folder })
        const hasTypesOnly = name === 'koa-typed-session/augment'
        t.is(Number(imported.stdout) === 0, hasTypesOnly, name)
        t.is(required.stdout, imported.stdout, name)
      }
    },
  )
}

test('no driver is loaded before its store is used', async (t) => {
  const drivers = ['ioredis', 'mysql2', 'pg', 'memjs', 'couchbase']
  const script = `import '${path.resolve('dist/index.js')}'
    import { createRequire } from 'node:module'
    const { cache } = createRequire(import.meta.url)
    console.log(JSON.stringify(Object.keys(cache)))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script])
  const loaded: unknown = JSON.parse(stdout)
  t.true(Array.isArray(loaded))
  for (const driver of drivers) t.false(stdout.includes(`/node_modules/${driver}/`), driver)
})

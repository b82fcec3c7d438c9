import { execFile } from 'node:child_process'
import { access, readdir, readFile, writeFile } from 'node:fs/promises'
import { SourceMap } from 'node:module'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { temporaryFolder } from './support/cleanup.ts'

const run = promisify(execFile)
const names = Object.keys(JSON.parse(await readFile('package.json', 'utf8')).exports as object)
  .filter((name) => !name.endsWith('.json'))
  .map((name) => name.replace(/^\./, 'koa-typed-session'))
/** The files of the build. */
const built = (await readdir('dist', { recursive: true })).toSorted()

const projects = new Map<string, Promise<string>>()

/** A project with our tarball in it, and Koa beside it: one for each strategy. */
function project(strategy: string): Promise<string> {
  const made = projects.get(strategy) ?? makeProject(strategy)
  projects.set(strategy, made)
  return made
}

async function makeProject(strategy: string): Promise<string> {
  const folder = await temporaryFolder('kts-package-')
  // The scripts would build dist/ anew, under the feet of other tests.
  await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder])
  const [tarball = ''] = await readdir(folder)
  await writeFile(path.join(folder, 'package.json'), '{ "private": true }')
  await run(
    'npm',
    [
      'install',
      '--silent',
      '--no-audit',
      `--install-strategy=${strategy}`,
      `./${tarball}`,
      'koa',
      '@opentelemetry/api',
    ],
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

test.serial('a store is found by the name of its provider, in a module and in CommonJS', async (t) => {
  const folder = await project('hoisted')
  const program = `const { traits } = new SessionManager({ provider: 'file', providerConfig: './sessions' })
    let code
    try { new SessionManager({ provider: 'redis', providerConfig: '?' }) } catch (error) { code = error instanceof SessionError && error.code }
    console.log(traits.name, code)`
  const names = '{ SessionManager, SessionError }'
  const esm = `import ${names} from 'koa-typed-session'; ${program}`
  const cjs = `const ${names} = require('koa-typed-session'); ${program}`
  for (const [type, code] of [
    ['module', esm],
    ['commonjs', cjs],
  ] as const) {
    const { stdout, stderr } = await run(process.execPath, [`--input-type=${type}`, '-e', code], {
      cwd: folder,
    })
    t.is(stdout, 'file ERR_SESSION_OPTIONS\n')
    t.is(stderr, '')
  }
})

interface Packed {
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

async function packed(): Promise<Packed> {
  const { stdout } = await run('npm', ['pack', '--json', '--dry-run', '--ignore-scripts'])
  const [tarball] = JSON.parse(stdout) as Packed[]
  if (tarball === undefined) throw new Error('npm pack has made nothing')
  return tarball
}

test('the tarball has at most 132 files and 375 kB, and nothing of the source or the tests', async (t) => {
  const { size, files } = await packed()
  t.true(files.length <= 132, `${files.length} files`)
  t.true(size <= 375_000, `${size} bytes`)
  const roots = new Set(files.map(({ path: file }) => file.split('/')[0]))
  t.deepEqual([...roots].toSorted(), ['LICENSE', 'README.md', 'SECURITY.md', 'dist', 'docs', 'package.json'])
  t.deepEqual(
    files.filter(({ path: file }) => /(?<!\.d)\.[cm]?ts$|\.test\.|\.d\.[cm]?ts\.map$/.test(file)),
    [],
  )
})

test('every file of JavaScript has a source map that leads to the lines of the TypeScript', async (t) => {
  const sources = new Set<string>()
  for (const file of built.filter((each) => each.endsWith('.js'))) {
    const code = await readFile(path.join('dist', file), 'utf8')
    t.true(code.endsWith(`//# sourceMappingURL=${path.basename(file)}.map\n`), file)
    const map = JSON.parse(
      await readFile(path.join('dist', `${file}.map`), 'utf8'),
    ) as SourceMapConstructorOptions
    t.false('sourcesContent' in map, file)
    for (const source of map.sources) {
      const place = path.join('dist', path.dirname(file), source)
      sources.add(place)
      t.true(place.startsWith(path.join('src', '/')), place)
      await t.notThrowsAsync(access(place))
    }
    const lines = code.split('\n')
    for (const [at, line] of lines.entries()) {
      // A class or function is in the source where the map says.
      const [, name] = /^(?:class|function|async function) (\w+)/.exec(line) ?? []
      if (name === undefined || name.includes('$')) continue
      const { originalSource, originalLine } = Object(new SourceMap(map).findEntry(at, 0))
      const place = path.join('dist', path.dirname(file), String(originalSource))
      const [original] = (await readFile(place, 'utf8')).split('\n').slice(originalLine)
      t.regex(original ?? '', new RegExp(`\\b(?:class|function) ${name}\\b`), `${file}:${at + 1}`)
    }
  }
  t.true(sources.size > 80)
})

type SourceMapConstructorOptions = ConstructorParameters<typeof SourceMap>[0]

test('a stack trace with source maps names the file and line of the TypeScript', async (t) => {
  const script = `import { SessionManager } from '${path.resolve('dist/index.js')}'
    new SessionManager({ nothing: 1 })`
  const { stderr } = await t.throwsAsync<Error & { stderr: string }>(
    run(process.execPath, ['--enable-source-maps', '--input-type=module', '-e', script]),
  )
  const [, line] = /src\/session\/manager\.ts:(\d+)/.exec(stderr) ?? []
  const source = (await readFile('src/session/manager.ts', 'utf8')).split('\n')
  t.regex(source[Number(line) - 1] ?? '', /resolveOptions\(/)
})

test('the declarations have the names only that the package exports, and those that these need', async (t) => {
  const files = built.filter((file) => file.endsWith('.d.ts'))
  t.true(files.length > 10)
  for (const file of files) {
    const text = await readFile(path.join('dist', file), 'utf8')
    t.notRegex(
      text,
      /@internal|\b(?:SessionState|Draft|Operations|ManagerSettings|GuardedStore|StoreCalls)\b/,
      file,
    )
  }
})

/** The files that a file of `dist` loads with itself. */
async function loadedWith(file: string, seen = new Set<string>()): Promise<Set<string>> {
  if (seen.has(file)) return seen
  seen.add(file)
  const code = await readFile(path.join('dist', file), 'utf8')
  for (const [, name = ''] of code.matchAll(/^(?:import|export)\b[^'"]*['"](\.[^'"]+)['"]/gm))
    await loadedWith(path.join(path.dirname(file), name), seen)
  return seen
}

test('the package loads the memory and the cookie store with itself, and no other one', async (t) => {
  const files = [...(await loadedWith('index.js'))]
  const names = files.flatMap((file) => /^(?:stores|chunks)\/([a-z-]+)/.exec(file)?.[1] ?? [])
  t.true(names.includes('memory'))
  const sources: string[] = []
  for (const file of files)
    sources.push(
      ...(JSON.parse(await readFile(path.join('dist', `${file}.map`), 'utf8')) as { sources: string[] })
        .sources,
    )
  const stores = new Set(sources.flatMap((source) => /\/src\/stores\/([a-z]+)/.exec(source)?.[1] ?? []))
  t.deepEqual([...stores].toSorted(), ['cookie', 'memory', 'shared'])
})

test('no driver is loaded before its store is used', async (t) => {
  const drivers = ['@photostructure/sqlite', 'ioredis', 'mysql2', 'pg', 'memjs', 'couchbase']
  const script = `import '${path.resolve('dist/index.js')}'
    import { createRequire } from 'node:module'
    const { cache } = createRequire(import.meta.url)
    console.log(JSON.stringify(Object.keys(cache)))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script])
  const loaded: unknown = JSON.parse(stdout)
  t.true(Array.isArray(loaded))
  for (const driver of drivers) t.false(stdout.includes(`/node_modules/${driver}/`), driver)
})

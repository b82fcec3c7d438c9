/** Programs of an application that are bundled, and what they say when they run. */
import { access, cp, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import test from 'ava'
import { redisServer } from '../servers/redis.ts'
import { runCommand, temporaryFolder } from '../support/cleanup.ts'

const root = path.resolve(import.meta.dirname, '../..')
const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
}
const drivers = ['ioredis', 'mysql2', 'pg', 'memjs']

/** Counts two requests of one client, and says what a provider is that no import of the program names. */
const counter = (imports: string, options: string): string => `
import Koa from 'koa'
import { session, SessionError, SessionManager, registerProvider } from 'koa-typed-session'
${imports}
const app = new Koa()
app.on('error', (error) => console.log(error instanceof SessionError, error.code, error.message))
app.use(session(${options}))
app.use((ctx) => {
  ctx.body = String(ctx.session.update('count', (count = 0) => count + 1))
})
const server = app.listen(0, async () => {
  const url = 'http://127.0.0.1:' + server.address().port
  const first = await fetch(url)
  const [cookie = ''] = first.headers.getSetCookie()
  const second = await fetch(url, { headers: { cookie: cookie.split(';')[0] } })
  console.log(await first.text(), await second.text())
  try {
    console.log(new SessionManager({ provider: 'mysql', providerConfig: 'mysql://127.0.0.1/shop' }).traits.name)
  } catch (error) {
    console.log(error instanceof SessionError, error.code, error.message)
  }
  process.exit()
})
`
const redisUrl = 'process.env.PROGRAM_REDIS'
const programs = {
  memory: counter('', "{ provider: 'memory' }"),
  redis: counter(
    "import { RedisStore } from 'koa-typed-session/stores/redis'",
    `{ store: new RedisStore({ url: ${redisUrl} }) }`,
  ),
  'redis by name': counter(
    "import { RedisStore } from 'koa-typed-session/stores/redis'\nregisterProvider('redis', RedisStore.fromConfig)",
    `{ provider: 'redis', providerConfig: ${redisUrl} }`,
  ),
}

/** What only the engines have in them: a script of Redis, statements of MySQL and PostgreSQL, and words of the others. */
const ENGINES =
  /redis\.call|FOR UPDATE|SKIP LOCKED|INSERT INTO|ioredis|mysql2|memjs|openBucket|NOAUTH|pg-native/

const installed = path.join(root, 'node_modules')

/** Copies packages of this project with all that they depend on. */
async function copyPackages(names: readonly string[], to: string, dependent?: string): Promise<void> {
  for (const name of names) {
    // Another version than the one that is shared came with the dependent.
    if (dependent !== undefined && (await exists(path.join(dependent, 'node_modules', name)))) continue
    const target = path.join(to, name)
    if (await exists(target)) continue
    await cp(path.join(installed, name), target, { recursive: true })
    const { dependencies = {} } = JSON.parse(await readFile(path.join(target, 'package.json'), 'utf8')) as {
      dependencies?: Record<string, string>
    }
    await copyPackages(Object.keys(dependencies), to, target)
  }
}

async function exists(folder: string): Promise<boolean> {
  return access(folder).then(
    () => true,
    () => false,
  )
}

/** A project with the package as it is published, Koa, and drivers if asked for. */
async function projectWith(packages: readonly string[]): Promise<string> {
  const folder = await temporaryFolder('kts-bundled-')
  const modules = path.join(folder, 'node_modules')
  const ours = path.join(modules, 'koa-typed-session')
  await mkdir(ours, { recursive: true })
  await cp(path.join(root, 'dist'), path.join(ours, 'dist'), { recursive: true })
  await cp(path.join(root, 'package.json'), path.join(ours, 'package.json'))
  await copyPackages(['koa', ...Object.keys(manifest.dependencies), ...packages], modules)
  await writeFile(path.join(folder, 'package.json'), '{ "private": true, "type": "module" }')
  for (const [name, code] of Object.entries(programs)) await writeFile(path.join(folder, `${name}.js`), code)
  return folder
}

interface Bundle {
  readonly project: string
  readonly folder: string
  readonly file: string
  readonly warnings: readonly string[]
}

async function bundleOf(bundler: string, project: string, program: keyof typeof programs): Promise<Bundle> {
  const folder = await temporaryFolder('kts-bundle-')
  const script = path.join(import.meta.dirname, 'bundle.js')
  const output = await runCommand(process.execPath, [
    script,
    bundler,
    path.join(project, `${program}.js`),
    folder,
  ])
  const made = JSON.parse(output) as Omit<Bundle, 'project' | 'folder'>
  return { project, folder, ...made }
}

/** Runs a bundle as on another machine: nothing is found in the project. */
async function run({ folder, file, project }: Bundle, url = ''): Promise<string[]> {
  const modules = path.join(project, 'node_modules')
  await rename(modules, `${modules}-away`)
  try {
    return await outputOf(path.join(folder, file), folder, url)
  } finally {
    await rename(`${modules}-away`, modules)
  }
}

async function outputOf(file: string, folder: string, url: string): Promise<string[]> {
  const output = await runCommand(process.execPath, [file], {
    cwd: folder,
    env: { ...process.env, PROGRAM_REDIS: url, NODE_ENV: 'test' },
  }).catch(({ stdout, stderr }: { stdout: string; stderr: string }) => {
    // Node shows the line that failed, and a bundle has one line.
    const lines = `${stdout}\n${stderr}`.split('\n').map((line) => line.slice(0, 300))
    throw new Error(lines.join('\n'))
  })
  return output.trimEnd().split('\n')
}

async function sizeOf({ folder }: Bundle): Promise<{ code: string; bytes: number; zipped: number }> {
  const files = (await readdir(folder)).filter((name) => /\.[cm]?js$/.test(name))
  const code = (await Promise.all(files.map(async (name) => readFile(path.join(folder, name), 'utf8')))).join(
    '\n',
  )
  return { code, bytes: Buffer.byteLength(code), zipped: gzipSync(code).length }
}

const NOT_IN_BUNDLE =
  /^true ERR_SESSION_OPTIONS provider: the mysql store cannot be loaded by its name, as in a bundle; import \{ MysqlStore \} from 'koa-typed-session\/stores\/mysql'/

/** Declares the tests of these bundlers. */
export function bundlesOf(bundlers: readonly string[]): void {
  let bare = ''
  let full = ''
  let url = ''
  test.before('two projects, with drivers and without, and a Redis', async () => {
    ;[bare, full] = await Promise.all([projectWith([]), projectWith(drivers)])
    ;({ url } = await redisServer())
  })
  for (const bundler of bundlers) {
    for (const [state, project] of [
      ['without drivers', () => bare],
      ['with drivers', () => full],
    ] as const) {
      test.serial(
        `${bundler}, ${state}: a program with the memory store contains no engine, and runs`,
        async (t) => {
          const bundle = await bundleOf(bundler, project(), 'memory')
          t.deepEqual(
            bundle.warnings.filter((warning) => /koa-typed-session|resolve|found/i.test(warning)),
            [],
          )
          const { code, bytes, zipped } = await sizeOf(bundle)
          t.notRegex(code, ENGINES)
          t.log(`${bytes} bytes, ${zipped} zipped, with Koa`)
          const [counts, named] = await run(bundle)
          t.is(counts, '1 2')
          t.regex(named ?? '', NOT_IN_BUNDLE)
        },
      )
    }

    test.serial(`${bundler}, with drivers: programs with the Redis store run`, async (t) => {
      for (const program of ['redis', 'redis by name'] as const) {
        const bundle = await bundleOf(bundler, full, program)
        const [counts, named] = await run(bundle, url)
        t.is(counts, '1 2', program)
        t.regex(named ?? '', NOT_IN_BUNDLE)
      }
    })

    test.serial(
      `${bundler}, without drivers: a program with the Redis store says what to install`,
      async (t) => {
        const bundle = await bundleOf(bundler, bare, 'redis')
        const [error] = await run(bundle, url)
        t.is(error, 'true ERR_SESSION_OPTIONS the package ioredis is missing: npm install ioredis')
      },
    )
  }
}

import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { temporaryFolder } from '../support/cleanup.ts'
import { listens, start } from './server.ts'

/** A program that does what its script says. */
async function tool(script: string) {
  const file = path.join(await temporaryFolder('kts-tool-'), 'broken-server')
  await writeFile(file, `#!/bin/sh\n${script}\n`)
  await chmod(file, 0o755)
  return { paths: [file], debianPackage: 'none' }
}

test('a server that ends at once is named with its end and its last line, and its folder is removed', async (t) => {
  const folders: string[] = []
  const program = {
    tool: await tool('echo "no such option" >&2; exit 7'),
    args: () => [],
    prepare: async (folder: string) => void folders.push(folder),
  }
  const error = await t.throwsAsync(start(program))
  t.is(
    error.message,
    'broken-server did not start: its process ended with code 7; its last words: no such option',
  )
  t.true(folders.length > 1, 'it is tried again, since its port may have been taken')
  for (const folder of folders) t.false(existsSync(folder))
})

test('a server whose folder cannot be prepared is named, and its folder is removed', async (t) => {
  let made = ''
  const program = {
    tool: await tool('exit 0'),
    args: () => [],
    async prepare(folder: string) {
      made = folder
      throw new Error('initdb: no space left')
    },
  }
  const error = await t.throwsAsync(start(program))
  t.is(error.message, 'broken-server did not start: initdb: no space left')
  t.false(existsSync(made))
})

test('a killed server is started again on the same port in the same folder', async (t) => {
  const echo = `require('node:net').createServer().listen(process.argv[1], '127.0.0.1')`
  const program = {
    tool: { paths: [process.execPath], debianPackage: 'nodejs' },
    args: (port: number) => ['-e', echo, String(port)],
  }
  const server = await start(program)
  const { pid } = server
  await server.kill()
  await t.throwsAsync(listens(server.port))
  await server.restart()
  await listens(server.port)
  t.not(server.pid, pid)
  await server.stop()
  t.false(existsSync(server.folder))
})

/** A test file whose hook starts two servers, of which the second is broken, while a client keeps the process alive. */
const file = (broken: string, server: string, cleanup: string): string => `
import { createServer } from 'node:net'
import { writeFileSync } from 'node:fs'
import test from 'ava'
import { start } from '${server}'
import '${cleanup}'
const listen = "require('node:net').createServer().listen(process.argv[1], '127.0.0.1')"
const sound = { tool: { paths: [process.execPath], debianPackage: 'nodejs' }, args: (port) => ['-e', listen, String(port)] }
const broken = { tool: { paths: [${JSON.stringify(broken)}], debianPackage: 'none' }, args: () => [] }
test.before(async () => {
  createServer().listen(0)
  const late = start({ ...sound, prepare: () => new Promise((resolve) => setTimeout(resolve, 500)) })
  void late.then(({ pid, folder }) => writeFileSync('late', pid + ' ' + folder))
  const { pid, folder } = await start(sound)
  writeFileSync('early', pid + ' ' + folder)
  await Promise.all([late, start(broken)])
})
test('one', (t) => t.pass())
`

test('a test file in which a server does not start fails with its name, ends by itself, and leaves nothing running', async (t) => {
  const parent = path.resolve('.cache')
  await mkdir(parent, { recursive: true })
  // Below this package, whose ava it uses.
  const folder = await temporaryFolder('broken-start-', parent)
  const { paths } = await tool('exit 1')
  const url = (name: string): string => new URL(name, import.meta.url).pathname
  await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }')
  const config = await readFile('ava.config.mjs', 'utf8')
  await writeFile(
    path.join(folder, 'ava.config.mjs'),
    config.replace('./test/support', url('../support')).replace('test/**/*.test.ts', '*.test.ts'),
  )
  await writeFile(
    path.join(folder, 'broken.test.ts'),
    file(paths[0] ?? '', url('./server.ts'), url('../support/cleanup.ts')),
  )
  await writeFile(
    path.join(folder, 'sound.test.ts'),
    "import test from 'ava'\ntest('it passes', (t) => t.pass())\n",
  )
  const ava = path.resolve('node_modules/ava/entrypoints/cli.mjs')
  const run = promisify(execFile)(process.execPath, [ava, '--tap'], { cwd: folder })
  const output = await run.then(
    () => '',
    (error: unknown) => (error instanceof Error && 'stdout' in error ? String(error.stdout) : ''),
  )
  t.regex(output, /^not ok .*broken.* before hook/m)
  t.regex(output, /broken-server did not start: its process ended with code 1/)
  t.regex(output, /^ok .*it passes/m)
  t.notRegex(output, /pending|timed out/i)
  for (const name of ['early', 'late']) {
    const [pid = '', at = ''] = (await readFile(path.join(folder, name), 'utf8')).split(' ')
    t.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' }, name)
    t.false(existsSync(at), name)
  }
})

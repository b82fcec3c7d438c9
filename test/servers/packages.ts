/**
 * The programs that the tests run, and the Debian packages that bring them. On Debian, as root, missing packages are
 * installed: all of them before the first test by `npm test`, and one by one where a test file is run on its own.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** A program or another file that the tests need. */
export interface Tool {
  /** Where it may be; the first of these that exists is taken. */
  readonly paths: readonly string[]
  /** The Debian package that brings it. */
  readonly debianPackage: string
}

const POSTGRES_VERSIONS = [18, 17, 16, 15, 14]

/** Everything that the tests need beyond Node.js and its packages. */
export const tools = {
  redis: program('redis-server', 'redis-server'),
  memcached: program('memcached', 'memcached'),
  saslPassword: program('saslpasswd2', 'sasl2-bin'),
  saslPlain: {
    paths: ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/sasl2/libplain.so`),
    debianPackage: 'libsasl2-modules',
  },
  mariadb: program('mariadbd', 'mariadb-server', '/usr/libexec'),
  mariadbInstaller: program('mariadb-install-db', 'mariadb-server'),
  postgres: {
    paths: POSTGRES_VERSIONS.map((version) => `/usr/lib/postgresql/${version}/bin/postgres`),
    debianPackage: 'postgresql',
  },
  pgbouncer: program('pgbouncer', 'pgbouncer'),
  java: program('java', 'default-jre-headless'),
  maven: program('mvn', 'maven'),
  chromium: program('chromium', 'chromium'),
  openssl: program('openssl', 'openssl'),
  ps: program('ps', 'procps'),
  curl: program('curl', 'curl'),
} as const satisfies Record<string, Tool>

function program(name: string, debianPackage: string, ...folders: readonly string[]): Tool {
  const all = ['/usr/bin', '/usr/sbin', ...folders, '/usr/local/bin', '/usr/local/sbin']
  return { paths: all.map((folder) => path.join(folder, name)), debianPackage }
}

/** Held by the process that installs, so that test files which run at the same time wait for it. */
const LOCK = '/run/lock/koa-typed-session-packages.lock'
/** How long another program may hold the locks of the package manager, in seconds. */
const PATIENCE = 600

/** The path of a tool, which is installed first where it is missing and that is possible. */
export async function locate(tool: Tool): Promise<string> {
  const present = tool.paths.find((file) => existsSync(file))
  if (present !== undefined) return present
  await install([tool])
  const installed = tool.paths.find((file) => existsSync(file))
  if (installed === undefined) throw new Error(`${tool.debianPackage} was installed without ${tool.paths[0]}`)
  return installed
}

/**
 * Installs the packages of those tools that are missing, in one step.
 * @throws Error that names the packages, where they cannot be installed by this process.
 */
export async function install(wanted: readonly Tool[] = Object.values(tools)): Promise<void> {
  const packages = missing(wanted)
  if (packages.length === 0) return
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0)
    throw new Error(
      `These packages are missing and can only be installed on Debian by root: ${packages.join(', ')}. ` +
        'Install them, or run the tests that need no server: npm run test:embedded',
    )
  const self = fileURLToPath(import.meta.url)
  // Without a TypeScript loader, Node.js below 22.18 needs one: the one that this process was started with.
  const args = [LOCK, process.execPath, ...process.execArgv, self, ...packages]
  const code = await exitCode('flock', args, (line) => process.stderr.write(`${line}\n`))
  if (code !== 0) throw new Error(`Installing ${packages.join(', ')} failed; its output is above.`)
}

function missing(wanted: readonly Tool[]): readonly string[] {
  const absent = wanted.filter(({ paths }) => !paths.some((file) => existsSync(file)))
  return [...new Set(absent.map(({ debianPackage }) => debianPackage))]
}

/** Installs packages while this process holds {@link LOCK}. What another process has installed meanwhile is left out. */
async function installLocked(packages: readonly string[]): Promise<void> {
  const wanted = Object.values<Tool>(tools).filter(({ debianPackage }) => packages.includes(debianPackage))
  const names = missing(wanted)
  if (names.length === 0) return
  console.error(`installing ${names.join(', ')} …`)
  const started = Date.now()
  await aptGet('update')
  await aptGet('install', '--yes', '--no-install-recommends', ...names)
  console.error(`installed ${names.join(', ')} in ${Math.round((Date.now() - started) / 1_000)} s`)
}

/**
 * Runs apt-get. It waits by itself for the lock of dpkg, but not for those of the package lists and of the archives, so
 * while another program holds one of these it is run again.
 */
async function aptGet(...args: readonly string[]): Promise<void> {
  for (let waited = 0; ; waited += 1) {
    const output: string[] = []
    const options = ['-q', '-o', `DPkg::Lock::Timeout=${PATIENCE}`, '-o', 'Dpkg::Use-Pty=0']
    const code = await exitCode('apt-get', [...options, ...args], (line) => {
      output.push(line)
      if (/^(?:Need to get|Setting up|Waiting for cache lock)/.test(line)) console.error(`  ${line}`)
    })
    if (code === 0) return
    const isLocked = output.some((line) => /Could not get lock|Unable to lock/.test(line))
    if (!isLocked || waited === PATIENCE) {
      console.error(output.join('\n'))
      throw new Error(`apt-get ${args[0]} ended with code ${code}`)
    }
    if (waited % 10 === 0) console.error('  another program holds the lock of the package manager; waiting …')
    await delay(1_000)
  }
}

/** Runs a command and hands over each line that it prints, errors included. */
async function exitCode(
  command: string,
  args: readonly string[],
  onLine: (line: string) => void,
): Promise<number | null> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' }
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split(/[\r\n]+/)
      rest = lines.pop() ?? ''
      for (const line of lines) if (line !== '') onLine(line)
    })
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
}

// Run by itself: `packages.ts` installs everything, `packages.ts NAME …` these packages, holding the lock.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2)
  await (names.length === 0 ? install() : installLocked(names))
}

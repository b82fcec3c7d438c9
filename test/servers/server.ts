import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

/** A private server of the test run. */
export interface Server {
  /** How a store reaches it: `redis://127.0.0.1:41234`. */
  readonly url: string
  stop(): Promise<void>
}

/** A program to run in a temporary folder of its own, on a port of its own. */
export interface Program {
  /** The first of these that exists is run. */
  readonly binaries: readonly string[]
  /** The Debian package that brings it. */
  readonly debianPackage: string
  readonly args: (port: number, folder: string) => readonly string[]
  /** Prepares the folder before the start: `initdb` and the like. */
  readonly prepare?: (folder: string) => Promise<void>
  /** Resolves when the server answers; it is asked again until then. */
  readonly answers?: (port: number) => Promise<void>
  /** The user to run as, where the program refuses root. */
  readonly uid?: number
  readonly gid?: number
}

/** A running {@link Program}. */
export interface Running {
  readonly port: number
  readonly folder: string
  readonly child: ChildProcess
  /** Ends it, at once with `SIGKILL`; removes the folder. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

const run = promisify(execFile)

/** Those that run; they end with this process, whatever becomes of it. */
const children = new Set<ChildProcess>()
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')))

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** The path of a program; on Debian as root its package is installed where it is missing. */
export async function install({
  binaries,
  debianPackage,
}: Pick<Program, 'binaries' | 'debianPackage'>): Promise<string> {
  const present = binaries.find((binary) => existsSync(binary))
  if (present !== undefined) return present
  if (existsSync('/etc/debian_version') && process.getuid?.() === 0) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    await run('apt-get', ['update', '-qq'], { env })
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', debianPackage], {
      env,
      maxBuffer: 1 << 26,
    })
    const installed = binaries.find((binary) => existsSync(binary))
    if (installed !== undefined) return installed
  }
  throw new Error(
    `${binaries[0]} is missing: install the package ${debianPackage}, or run the tests that need no server: npm run test:embedded`,
  )
}

/** Starts a program and waits until it answers. It ends with this process, whatever becomes of it. */
export async function start(program: Program): Promise<Running> {
  const binary = await install(program)
  for (let attempts = 1; ; attempts += 1) {
    const outcome = await launch(program, binary)
    if ('port' in outcome) return outcome
    // Between the search for a free port and its use, somebody else may have found it too.
    if (!outcome.hasEnded || attempts === 3)
      throw new Error(`${binary} did not start`, { cause: outcome.error })
  }
}

/** One attempt; where it fails, nothing of it is left. */
async function launch(
  program: Program,
  binary: string,
): Promise<Running | { readonly error: unknown; readonly hasEnded: boolean }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kts-server-'))
  await program.prepare?.(folder)
  const port = await freePort()
  const identity = program.uid === undefined ? {} : { uid: program.uid, gid: program.gid ?? program.uid }
  const child = spawn(binary, program.args(port, folder), { cwd: folder, stdio: 'ignore', ...identity })
  children.add(child)
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const answers = program.answers ?? listens
  const stop = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    children.delete(child)
    if (child.exitCode === null) child.kill(signal)
    await exited
    await rm(folder, { recursive: true, force: true })
  }
  for (let tries = 0; ; tries += 1) {
    try {
      await answers(port)
      return { port, folder, child, stop }
    } catch (error) {
      const hasEnded = child.exitCode !== null
      if (tries < 300 && !hasEnded) {
        await delay(100)
        continue
      }
      await stop()
      return { error, hasEnded }
    }
  }
}

/** Resolves when somebody accepts connections on the port. */
export async function listens(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.destroy()
}

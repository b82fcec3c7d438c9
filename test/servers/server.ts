import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startProcess, temporaryFolder } from '../support/cleanup.ts'
import { locate, type Tool } from './packages.ts'

/** A private server of the test run. */
export interface Server {
  /** How a store reaches it: `redis://127.0.0.1:41234`. */
  readonly url: string
  stop(): Promise<void>
}

/** A program to run in a temporary folder of its own, on a port of its own. */
export interface Program {
  readonly tool: Tool
  /** Instead of a free one: that of a server which was stopped. */
  readonly port?: number
  readonly args: (port: number, folder: string) => readonly string[]
  readonly env?: (folder: string) => Readonly<Record<string, string>>
  /** Prepares the folder before the start: `initdb` and the like. */
  readonly prepare?: (folder: string) => Promise<void>
  /** Resolves when the server answers; it is asked again until then. */
  readonly answers?: (port: number) => Promise<void>
  /** What ends it together with this process, where `SIGKILL` would leave something behind. */
  readonly exitSignal?: NodeJS.Signals
  /** The user to run as, where the program refuses root. */
  readonly uid?: number
  readonly gid?: number
}

/** A running {@link Program}. */
export interface Running {
  readonly port: number
  readonly folder: string
  /** Its process; another one after `restart`. */
  readonly pid: number
  /** Ends its process, at once with `SIGKILL` as when the machine dies. The folder stays. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again after `kill`, on the same port in the same folder, and waits until it answers. */
  restart(): Promise<void>
  /** Ends it, at once with `SIGKILL`; removes the folder. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** How often a start that fails is tried again: the free port that was found may be taken by then. */
const ATTEMPTS = 3
/** How long a server may take until it answers, in tenths of a second. */
const PATIENCE = 300

/** Starts that are under way, and servers that run. */
const starting = new Set<Promise<Running>>()
const running = new Set<Running>()
let failures = 0

/** Starts a program and waits until it answers. It ends with this process. */
export async function start(program: Program): Promise<Running> {
  const begun = startAnew(program)
  starting.add(begun)
  try {
    const server = await begun
    running.add(server)
    return server
  } catch (error) {
    failures += 1
    throw error
  } finally {
    starting.delete(begun)
  }
}

/**
 * Stops all servers of this process if one of them could not be started. Hooks that were to stop the others have often not
 * learned of them then. Resolves with whether there was such a failure.
 */
export async function stopAfterFailedStart(): Promise<boolean> {
  if (failures === 0) return false
  while (starting.size > 0) await Promise.allSettled(starting)
  await Promise.allSettled([...running].map(async (server) => server.stop()))
  return true
}

async function startAnew(program: Program): Promise<Running> {
  const binary = await locate(program.tool)
  for (let attempt = 1; ; attempt += 1) {
    const folder = await temporaryFolder('kts-server-')
    try {
      await program.prepare?.(folder)
      return await launch(program, binary, program.port ?? (await freePort()), folder)
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      if (attempt < ATTEMPTS && error instanceof EarlyEnd) continue
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`${path.basename(binary)} did not start: ${reason}`, { cause: error })
    }
  }
}

/** The process ended before it answered. */
class EarlyEnd extends Error {}

async function launch(program: Program, binary: string, port: number, folder: string): Promise<Running> {
  let child = await spawned(program, binary, port, folder)
  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (hasEnded(child)) return
    child.ref()
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  const server: Running = {
    port,
    folder,
    get pid() {
      return child.pid ?? 0
    },
    kill,
    async restart() {
      child = await spawned(program, binary, port, folder)
    },
    async stop(signal) {
      running.delete(server)
      await kill(signal)
      await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
  return server
}

/** Starts the process and waits until it answers. Where it does not, it is ended. */
async function spawned(
  { args, env, answers = listens, exitSignal, uid, gid = uid }: Program,
  binary: string,
  port: number,
  folder: string,
): Promise<ChildProcess> {
  const log = path.join(folder, 'stderr.log')
  const stderr = openSync(log, 'w')
  const child = startProcess(
    binary,
    args(port, folder),
    {
      cwd: folder,
      stdio: ['ignore', 'ignore', stderr],
      ...(env && { env: { ...process.env, ...env(folder) } }),
      ...(uid !== undefined && { uid, gid }),
    },
    exitSignal,
  )
  closeSync(stderr)
  // A server that was left running must not keep the process of its test file alive.
  child.unref()
  for (let tries = 0; ; tries += 1) {
    try {
      await answers(port)
      return child
    } catch (error) {
      const said = lastLine(log)
      if (hasEnded(child)) {
        const end = child.signalCode ?? `code ${child.exitCode}`
        throw new EarlyEnd(`its process ended with ${end}${said}`, { cause: error })
      }
      if (tries === PATIENCE) {
        child.kill('SIGKILL')
        throw new Error(`it did not answer within ${PATIENCE / 10} s${said}`, { cause: error })
      }
      await delay(100)
    }
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

function lastLine(file: string): string {
  const line = readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? ''
  return line === '' ? '' : `; its last words: ${line.slice(0, 300)}`
}

/** A port that no process listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Resolves when the port accepts connections. */
export async function listens(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.destroy()
}

/** Stops a process until it gets `SIGCONT`, and waits until its last thread has stopped: up to then it may answer. */
export function freeze(pid: number): void {
  const tasks = `/proc/${pid}/task`
  const runs = (id: string): boolean => !/^\d+ \(.*\) T/.test(readFileSync(`${tasks}/${id}/stat`, 'utf8'))
  try {
    process.kill(pid, 'SIGSTOP')
    while (existsSync(tasks) && readdirSync(tasks).some(runs)) continue
  } catch {
    // It has ended meanwhile.
  }
}

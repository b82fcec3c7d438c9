/**
 * What a test process starts, ends with it: other processes, and folders in the temporary directory. That holds when the
 * process is told to stop, when it fails while it loads, and when a server that it needs does not start.
 */
import { execFile, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

const cleanups = new Set<() => void>()

process.once('exit', () => {
  // Latest first: a process ends before the folder that was made for it goes.
  for (const cleanup of [...cleanups].toReversed()) {
    try {
      cleanup()
    } catch {
      // The others still run, and the run as a whole tells what was left behind.
    }
  }
})
// By default these signals end a process without the event above.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => process.exit(128 + constants.signals[signal]))

/** Has `cleanup`, which must be synchronous, run when this process ends. Returns a function that takes this back. */
export function onExit(cleanup: () => void): () => void {
  cleanups.add(cleanup)
  return () => void cleanups.delete(cleanup)
}

/** Starts a process that is killed when this one ends, by `signal`. */
export function startProcess(
  file: string,
  args: readonly string[],
  options: SpawnOptions,
  signal: NodeJS.Signals = 'SIGKILL',
): ChildProcess {
  const child = spawn(file, args, options)
  child.once('exit', killedOnExit(child, signal))
  return child
}

/** Runs a command to its end and resolves with what it printed. It is killed if this process ends before. */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; uid?: number; gid?: number } = {},
): Promise<string> {
  const running = promisify(execFile)(file, args, options)
  const forget = killedOnExit(running.child)
  try {
    return (await running).stdout
  } finally {
    forget()
  }
}

function killedOnExit(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): () => void {
  return onExit(() => child.kill(signal))
}

/** Makes an empty folder in the temporary directory (or in `parent`), which is removed when this process ends. */
export async function temporaryFolder(prefix: string, parent: string = tmpdir()): Promise<string> {
  const folder = await mkdtemp(path.join(parent, prefix))
  // The processes of a server that was killed may write for some milliseconds more: it is tried again for up to 5 s.
  onExit(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  return folder
}

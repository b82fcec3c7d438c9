import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Where tests put what has to be fast; not every system has it. */
const SHARED_MEMORY = '/dev/shm'
/** What tools keep in the temporary directory on purpose. */
const CACHES = /^(?:tsx-\d+|node-compile-cache|node-jiti)$/
/** How long the processes of the run may take to end after it, in tenths of a second. */
const PATIENCE = 50

/** A process of the run. */
export interface RunProcess {
  readonly pid: number
  readonly command: string
}

/** A temporary directory of a test run's own, and a mark on its processes, by which what it leaves behind is found. */
export class Isolation {
  /** The environment of the run's commands. */
  readonly env: Readonly<Record<string, string>>
  readonly #folder: string
  readonly #mark = `KTS_RUN=${randomBytes(8).toString('hex')}`
  readonly #memoryBefore: ReadonlySet<string>

  private constructor(folder: string) {
    const [name = '', value = ''] = this.#mark.split('=')
    this.env = { TMPDIR: folder, [name]: value }
    this.#folder = folder
    this.#memoryBefore = new Set(inSharedMemory())
  }

  static async create(): Promise<Isolation> {
    const folder = await mkdtemp(path.join(tmpdir(), 'kts-run-'))
    // Some servers run as users of their own.
    await chmod(folder, 0o1777)
    return new Isolation(folder)
  }

  /** Ends and removes what the run has left behind, and lists it: a line for each process, file and folder. */
  async end(): Promise<readonly string[]> {
    const processes = await this.#remaining()
    for (const { pid } of processes) kill(pid)
    const files = (await readdir(this.#folder)).filter((name) => !CACHES.test(name))
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10 })
    const memory = inSharedMemory().filter((name) => !this.#memoryBefore.has(name))
    for (const name of memory) await rm(path.join(SHARED_MEMORY, name), { recursive: true, force: true })
    return [
      ...processes.map(({ pid, command }) => `process ${pid}: ${command}`),
      ...files.map((name) => `in the temporary directory: ${name}`),
      ...memory.map((name) => `in ${SHARED_MEMORY}: ${name}`),
    ]
  }

  /** The processes that began in this run and have not ended. Only Linux tells. */
  processes(): readonly RunProcess[] {
    if (!existsSync('/proc/self/environ')) return []
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && `\0${read(name, 'environ')}`.includes(`\0${this.#mark}\0`))
      .map((pid) => ({
        pid: Number(pid),
        command: read(pid, 'cmdline').replaceAll('\0', ' ').trim().slice(0, 200),
      }))
  }

  /** Those that still run after a moment. */
  async #remaining(): Promise<readonly RunProcess[]> {
    for (let tries = 0; ; tries += 1) {
      const processes = this.processes()
      if (processes.length === 0 || tries === PATIENCE) return processes
      await delay(100)
    }
  }
}

function inSharedMemory(): readonly string[] {
  if (!existsSync(SHARED_MEMORY)) return []
  return readdirSync(SHARED_MEMORY).filter((name) => name.startsWith('kts-'))
}

function read(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1')
  } catch {
    return '' // it has ended meanwhile, or is another user's
  }
}

/** Ends a process at once. */
export function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended meanwhile
  }
}

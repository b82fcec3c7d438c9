import { spawn } from 'node:child_process'
import { kill, type RunProcess } from './isolation.ts'

/** A step that prints nothing for so long is stuck, in ms: no test is silent for half of it. */
const SILENCE = 300_000
/** How the process of a test file calls itself: see `test/support/test-process.ts`. */
const TEST_FILE = /^test file /

/** How many checks of a step passed and failed. */
export interface Tally {
  readonly passed: number
  readonly failed: number
}

/** How a step is run. */
export interface Step {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** The processes of the run, of which those of test files are ended when the step is stuck. */
  readonly processes?: () => readonly RunProcess[]
}

/**
 * Runs a command, shows what it prints, and counts: the tests it reports, or itself as one check. A command that is stuck does
 * not hold the run: the test files that hang are named, and ended, which their reporter tells as failures.
 */
export async function run(
  command: string,
  args: readonly string[],
  { env = {}, cwd = '.', processes = () => [] }: Step = {},
): Promise<Tally> {
  console.log(`\n> ${[command, ...args].join(' ')}`)
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  let stuck = 0
  const watchdog = setTimeout(() => {
    stuck += 1
    const all = processes()
    console.log(`\nnothing was printed for ${SILENCE / 60_000} minutes, and these processes run:`)
    for (const { pid, command: name } of all) console.log(`  ${pid} ${name}`)
    const files = all.filter(({ command: name }) => TEST_FILE.test(name))
    if (stuck > 1 || files.length === 0) child.kill('SIGKILL')
    for (const { pid } of stuck > 1 ? all : files) kill(pid)
    watchdog.refresh()
  }, SILENCE)
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk)
    watchdog.refresh()
    output += chunk.toString()
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  clearTimeout(watchdog)
  const passed = counted(output, /^\s*(✔) /gm)
  const failed = counted(output, /^\s*(✘) /gm)
  const skipped = counted(output, /^\s*(?:- \[(?:skip|todo)\]|◌) /gm)
  if (passed + failed === 0)
    return code === 0 && stuck === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
  // A test that was skipped or never ended proves nothing, and an exit code knows of failures that no line counts.
  return { passed, failed: failed + skipped || (code === 0 && stuck === 0 ? 0 : 1) }
}

function counted(output: string, mark: RegExp): number {
  return [...output.matchAll(mark)].length
}

import { spawn } from 'node:child_process'

/** How many checks of a step passed and failed. */
export interface Tally {
  readonly passed: number
  readonly failed: number
}

/** Runs a command, shows what it prints, and counts: the tests it reports, or itself as one check. */
export async function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = '.',
): Promise<Tally> {
  console.log(`\n> ${[command, ...args].join(' ')}`)
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk)
    output += chunk.toString()
  })
  const code = await new Promise((resolve) => child.once('close', resolve))
  const passed = counted(output, /^\s*(✔) /gm)
  const failed = counted(output, /^\s*(✘) /gm)
  const skipped = counted(output, /^\s*(?:- \[(?:skip|todo)\]|◌) /gm)
  if (passed + failed === 0) return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
  // A test that was skipped or never ended proves nothing, and an exit code knows of failures that no line counts.
  return { passed, failed: failed + skipped || (code === 0 ? 0 : 1) }
}

function counted(output: string, mark: RegExp): number {
  return [...output.matchAll(mark)].length
}

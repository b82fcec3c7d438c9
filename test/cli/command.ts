import { spawn } from 'node:child_process'
import path from 'node:path'

/** What the command has printed, and its exit code. */
export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
  /** The one object that `--json` prints. */
  readonly json: Readonly<Record<string, unknown>>
  /** Its arguments and name, as every user of the machine sees them. */
  readonly listed: string
}

const BIN = path.resolve('dist/cli/bin.js')

/** Runs the built command `koa-typed-session`, in `cwd`. */
export async function koaTypedSession(
  args: readonly string[],
  {
    env = {},
    input = '',
    cwd = '.',
  }: { env?: Readonly<Record<string, string>>; input?: string; cwd?: string } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd,
    env: {
      PATH: process.env['PATH'],
      TMPDIR: process.env['TMPDIR'],
      KTS_RUN: process.env['KTS_RUN'],
      ...env,
    },
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
  child.stdin.on('error', () => {}) // a command that reads nothing may be gone
  child.stdin.end(input)
  const code = await closed
  const json: Ran['json'] = out.startsWith('{') ? Object(JSON.parse(out)) : {}
  return { code, out, err, json, listed: child.spawnargs.join(' ') }
}

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { onExit, startProcess, temporaryFolder } from '../support/cleanup.ts'

const folder = new URL('../../examples/koa-app/', import.meta.url)
const dist = new URL('../../dist/index.js', import.meta.url)

/** The example shop, as a process of its own in a process group of its own. */
export interface Shop {
  readonly url: string
  /** What it has printed so far. */
  output(): string
  /** Sends a signal to the whole group and waits for the end; tells how it ended. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; signal: string | null }>
}

/** What cleans up at the end: a test, or the hooks of a test file. */
export interface Owner {
  teardown(end: () => Promise<void>): void
}

/** How a shop is started. */
export interface ShopOptions {
  /** `SESSION_PROVIDER` and whatever else it finds in its environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** Starts the shop on a port of its choice and waits until it is open. It ends with its owner. */
export async function openShop(owner: Owner, { env = {} }: ShopOptions = {}): Promise<Shop> {
  if (!existsSync(dist))
    throw new Error('dist/ is missing, and the shop imports it: run `npm run build` first')
  const child = startProcess(process.execPath, ['--import=tsx', 'src/server.ts'], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: '0', ...env },
  })
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  )
  const kill = (signal: NodeJS.Signals): void => {
    const running = child.exitCode === null && child.signalCode === null
    if (running && child.pid !== undefined) process.kill(-child.pid, signal)
  }
  const forget = onExit(() => kill('SIGKILL'))
  owner.teardown(async () => {
    kill('SIGKILL')
    await exit
    forget()
  })

  let output = ''
  const url = await new Promise<string>((resolve, reject) => {
    const hear = (text: string): void => {
      output += text
      const line = /^The shop is open: (\S+)/m.exec(output)
      if (line?.[1] !== undefined) resolve(line[1])
    }
    child.stdout?.setEncoding('utf8').on('data', hear)
    child.stderr?.setEncoding('utf8').on('data', hear)
    child.once('error', reject)
    void once(child, 'close').then(() => reject(new Error(`the shop did not open: ${output}`)), reject)
  })
  return {
    url: url.replace('localhost', '127.0.0.1'),
    output: () => output,
    end: async (signal) => {
      kill(signal)
      return exit
    },
  }
}

/** A folder for the file engine, removed at the end of the test file, and the environment that names it. */
export async function fileEngine(): Promise<{ folder: string; env: Record<string, string> }> {
  const directory = await temporaryFolder('kts-shop-')
  return { folder: directory, env: { SESSION_PROVIDER: 'file', SESSION_PROVIDER_CONFIG: directory } }
}

/** The environment that names the cookie engine, with a key of its own; nothing is compressed, so that sizes are what they are. */
export function cookieEngine(): Record<string, string> {
  const keys = [randomBytes(32).toString('base64url')]
  return { SESSION_PROVIDER: 'cookie', SESSION_PROVIDER_CONFIG: JSON.stringify({ keys, compress: false }) }
}

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../servers/server.ts'
import { runCommand, startProcess, temporaryFolder } from './cleanup.ts'

/** A program of a page: a TypeScript block that begins with `import`, the blocks after it up to the next such, and its console. */
export interface PageProgram {
  readonly title: string
  readonly code: string
  /** Commands after `$ `, and what each of them prints. */
  readonly session: readonly { readonly command: string; readonly output: string }[]
}

/** The programs of a Markdown page. */
export async function programsOf(file: string): Promise<PageProgram[]> {
  const text = await readFile(file, 'utf8')
  const programs: { title: string; code: string; session: { command: string; output: string }[] }[] = []
  let heading = file
  for (const [, title, language, body = ''] of text.matchAll(/^#+ (.+)$|^```(\w+)\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) heading = title
    const last = programs.at(-1)
    if (language === 'ts' && (last === undefined || body.startsWith('import'))) {
      programs.push({ title: `${file}: ${heading}`, code: body, session: [] })
    } else if (language === 'ts' && last !== undefined) last.code += body
    else if (language === 'console') {
      for (const [, command = '', output = ''] of body.matchAll(/^\$ (.+)\n((?:(?!\$ ).*\n)*)/gm)) {
        last?.session.push({ command, output })
      }
    }
  }
  return programs
}

/** How a program ended: `error` is empty if it succeeded, and `outputs` is what its console commands printed. */
export interface PageResult {
  readonly outputs: readonly string[]
  readonly error: string
}

/** Runs a program in an empty folder inside this package, where it imports the package by name. Port 3000 becomes a free one. */
export async function runProgram(program: PageProgram): Promise<PageResult> {
  await mkdir('.cache', { recursive: true })
  const folder = await temporaryFolder('page-', path.resolve('.cache'))
  const port = await freePort()
  await writeFile(path.join(folder, 'program.mts'), program.code.replaceAll('3000', String(port)))
  const child = startProcess(process.execPath, ['--import=tsx', 'program.mts'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let error = ''
  child.stderr?.on('data', (chunk: Buffer) => (error += chunk.toString()))
  let code: number | null = null
  const ended = new Promise<void>((resolve) =>
    child.once('close', (status) => {
      code = status
      resolve()
    }),
  )
  try {
    const serves = program.code.includes('listen(3000)')
    const ready = serves ? listening(port) : ended
    await Promise.race([ready, ended, delay(30_000).then(() => child.kill('SIGKILL'))])
    if (!serves || code !== null)
      return { outputs: [], error: code === 0 ? '' : error || `it ended with ${code}` }
    const outputs: string[] = []
    for (const { command } of program.session) {
      const args = ['-c', command.replaceAll('3000', String(port))]
      outputs.push(await runCommand('bash', args, { cwd: folder }))
    }
    if (program.session.length === 0) await fetch(`http://localhost:${port}/`)
    return { outputs, error }
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

async function listening(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, 'localhost')
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    })
    socket.destroy()
    if (open) return
    await delay(50)
  }
}

/** The statements of the SQL block of a page that has this text in it. */
export async function statementsOf(file: string, text: string): Promise<string[]> {
  const page = await readFile(file, 'utf8')
  const block = [...page.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].find(([, body = '']) => body.includes(text))
  const statements = (block?.[1] ?? '').split(/;\n/).filter((statement) => statement.trim() !== '')
  if (statements.length === 0) throw new Error(`${file} has no SQL with ${text}`)
  return statements
}

import { execFile, type ExecFileException } from 'node:child_process'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'

export interface Ending {
  readonly signal: string | undefined
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The scripts of a folder of tests as JavaScript, made once: a child that has nothing to compile is there in no time. */
export class Children {
  readonly #folder: string
  readonly #room: string

  private constructor(folder: string, room: string) {
    this.#folder = folder
    this.#room = room
  }

  static async compile(
    folder: string,
    room = 'test/stores/file',
    names: readonly string[] = ['victim', 'holder', 'worker', 'marker', 'cramped', 'overlaid'],
  ): Promise<Children> {
    // Readable by every user, since one of the children runs as the user nobody.
    await fs.chmod(folder, 0o755)
    await fs.writeFile(path.join(folder, 'package.json'), '{ "type": "module" }')
    await fs.symlink(path.resolve('node_modules'), path.join(folder, 'node_modules'))
    const sources = names.map((name) => `${room}/${name}.ts`)
    const options =
      '--ignoreConfig --noCheck --rootDir . --target es2023 --module nodenext --types node ' +
      '--rewriteRelativeImportExtensions --allowImportingTsExtensions --outDir'
    const compiler = ['node_modules/typescript/bin/tsc', ...options.split(' '), folder]
    const { code, stdout } = await run(process.execPath, [...compiler, ...sources])
    if (code !== 0) throw new Error(`the scripts do not compile: ${stdout}`)
    return new Children(folder, room)
  }

  /** Runs a script to its end, whatever that is. */
  async run(script: string, ...args: readonly string[]): Promise<Ending> {
    return run(process.execPath, this.command(script, ...args))
  }

  /** What Node needs to be told to run a script. */
  command(script: string, ...args: readonly string[]): readonly string[] {
    return [path.join(this.#folder, this.#room, `${script}.js`), ...args]
  }
}

/** Runs a command to its end, whatever that is. */
export async function run(command: string, args: readonly string[]): Promise<Ending> {
  return new Promise((resolve) => {
    execFile(command, args, (error: ExecFileException | null, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code ?? 1)
      resolve({ signal: error?.signal ?? undefined, code, stdout, stderr })
    })
  })
}

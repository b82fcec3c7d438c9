import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'

/** The path of a Node.js of this major version; brought from the npm registry the first time. */
export async function nodeOf(major: number): Promise<string> {
  const name = `node-${process.platform}-${process.arch}`
  const folder = path.resolve('.cache', 'nodes', String(major))
  await mkdir(folder, { recursive: true })
  await promisify(execFile)('npm', [
    'install',
    '--silent',
    '--no-save',
    '--no-package-lock',
    '--prefix',
    folder,
    `${name}@${major}`,
  ])
  return path.join(folder, 'node_modules', name, 'bin', 'node')
}

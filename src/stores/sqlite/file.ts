import * as crypto from 'node:crypto'
import { statSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { errnoOf, refusedError } from '../shared/errors.ts'
import { checkOwner, preparePrivateFolder } from '../shared/private-folder.ts'

/** What SQLite keeps beside the file of a database: the log, its index, and the journal of a database that has no log yet. */
const BESIDE = ['-wal', '-shm', '-journal']

/**
 * Creates the file if it is missing, and checks that no other user can write to it, or to what SQLite keeps beside it.
 *
 * A file that is there is only looked at: closing it would end the locks that other connections of this process have on it. So a
 * new one gets its name when it is closed already.
 *
 * @returns the path without symbolic links
 * @throws SessionError `ERR_SESSION_STORE` that says what to change
 */
export async function prepareFile(file: string): Promise<string> {
  const folder = await preparePrivateFolder('sqlite', path.dirname(file))
  const place = path.join(folder, path.basename(file))
  if (!(await isSound(place, 'the file of the database'))) await createFile(place, folder)
  for (const ending of BESIDE) await isSound(`${place}${ending}`, `the file ${ending} of the database`)
  await fs.access(place, fs.constants.R_OK | fs.constants.W_OK)
  return place
}

/** Whether there is a file that only the user of the process may write to; `false` if there is nothing. */
async function isSound(place: string, what: string): Promise<boolean> {
  const stats = await fs.lstat(place).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (stats === undefined) return false
  if (!stats.isFile())
    throw refusedError(
      'sqlite',
      `${what} is not a file but a directory or a symbolic link: give the path of a file`,
    )
  checkOwner('sqlite', stats, what)
  return true
}

/** SQLite gives the files beside it the same mode. */
async function createFile(place: string, folder: string): Promise<void> {
  const draft = `${place}.${crypto.randomBytes(8).toString('hex')}`
  await fs.writeFile(draft, '', { flag: 'wx', mode: 0o600 })
  try {
    await fs.link(draft, place)
  } catch (error) {
    // Another process has created it meanwhile.
    if (errnoOf(error) !== 'EEXIST') throw error
  } finally {
    await fs.unlink(draft)
  }
  await syncFolder(folder)
}

/** Makes the name of a new file survive a power failure. Windows has no such call. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await fs.open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** What tells a file from another one with the same name; `undefined` if there is none that this process can see. */
export function inodeOf(file: string): bigint | undefined {
  try {
    return statSync(file, { bigint: true, throwIfNoEntry: false })?.ino
  } catch {
    return undefined
  }
}

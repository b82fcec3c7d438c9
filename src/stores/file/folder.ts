import type { Stats } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import type { SessionError } from '../../errors.ts'
import { refusedError } from '../shared/errors.ts'
import { unless } from './errors.ts'

/** The name of a shelf: a directory of the folder that holds sessions. */
export const SHELF: RegExp = /^[0-9a-f]{2}$/

/** The bits of a mode by which the group or all users may write. */
const OTHERS_WRITE = 0o022
const ALL_WRITE = 0o002
/** In such a directory only the owner of an entry may rename or remove it, as in `/tmp`. */
const STICKY = 0o1000

/** The user whose files a process makes; `undefined` on Windows, whose files have neither owners nor modes that Node knows. */
function currentUser(): number | undefined {
  return process.geteuid?.()
}

/**
 * Creates the folder if it is missing, and checks that no other user can write to it or replace it. Who can write there could
 * read, end and forge sessions, and have this process write elsewhere.
 *
 * @returns the path without symbolic links, any of which another user could change later
 * @throws SessionError `ERR_SESSION_STORE` that says how to change the folder
 */
export async function prepareFolder(folder: string): Promise<string> {
  await fs.mkdir(folder, { recursive: true, mode: 0o700 })
  const place = await fs.realpath(folder)
  const user = currentUser()
  if (user !== undefined) {
    checkOwner(await fs.stat(place), 'the folder', user)
    await checkParents(place)
  }
  await fs.access(place, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK)
  await checkShelves(place)
  return place
}

/** What is in the folder already may have been put there while others could write to it. Nothing can be put there any more. */
async function checkShelves(place: string): Promise<void> {
  const names = (await fs.readdir(place)).filter((name) => SHELF.test(name))
  const found = await Promise.all(
    names.map(async (name) => unless(fs.lstat(path.join(place, name)), 'ENOENT')),
  )
  for (const stats of found) if (stats !== undefined) checkDirectory(stats, 'a directory in the folder')
}

/** @throws SessionError `ERR_SESSION_STORE` if what `lstat` has found is a link, or a directory of another user */
export function checkDirectory(stats: Stats, what: string): void {
  // The store makes directories only, so a link was put there to redirect it.
  if (!stats.isDirectory()) throw refusal(`${what} is not a directory but a symbolic link or file: remove it`)
  const user = currentUser()
  if (user !== undefined) checkOwner(stats, what, user)
}

function checkOwner({ uid, mode }: Stats, what: string, user: number): void {
  if (uid !== user) {
    throw refusal(
      `${what} belongs to another user (uid ${uid}), who could forge sessions: ` +
        `chown -R it to the user of this process (uid ${user}), or run the process as that user`,
    )
  }
  if ((mode & OTHERS_WRITE) !== 0) {
    throw refusal(
      `other users may write to ${what} (mode ${octal(mode)}), and could forge sessions: chmod -R go-rwx it (700), ` +
        'or give the path of a new directory below it, which the store then makes',
    )
  }
}

/** Who may rename the entries of a parent could put another directory in the place of the folder. */
async function checkParents(place: string): Promise<void> {
  for (let at = path.dirname(place); ; at = path.dirname(at)) {
    // A parent that may not be looked at cannot be used by others either, or this process would not get here.
    const stats = await unless(fs.stat(at), 'EACCES')
    const mode = stats?.mode ?? 0
    if ((mode & ALL_WRITE) !== 0 && (mode & STICKY) === 0) {
      throw refusal(
        `all users may write to a directory above the folder (mode ${octal(mode)}), and could replace the folder: ` +
          'chmod o-w that directory, or chmod +t as /tmp has it',
      )
    }
    if (at === path.dirname(at)) return
  }
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8)
}

/** A refusal by the store itself, which is no outage. */
export function refusal(problem: string): SessionError {
  return refusedError('file', problem)
}

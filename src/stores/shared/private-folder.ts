import type { Stats } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import { errnoOf, refusedError } from './errors.ts'

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
 * @param store the store's name, with which errors begin
 * @returns the path without symbolic links, any of which another user could change later
 * @throws SessionError `ERR_SESSION_STORE` that says how to change the folder
 */
export async function preparePrivateFolder(store: string, folder: string): Promise<string> {
  await fs.mkdir(folder, { recursive: true, mode: 0o700 })
  const place = await fs.realpath(folder)
  if (currentUser() !== undefined) {
    checkOwner(store, await fs.stat(place), 'the folder')
    await checkParents(store, place)
  }
  await fs.access(place, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK)
  return place
}

/** @throws SessionError `ERR_SESSION_STORE` if it belongs to another user than that of the process, or others may write to it */
export function checkOwner(store: string, { uid, mode }: Stats, what: string): void {
  const user = currentUser()
  if (user === undefined) return
  if (uid !== user) {
    throw refusedError(
      store,
      `${what} belongs to another user (uid ${uid}), who could forge sessions: ` +
        `chown -R it to the user of this process (uid ${user}), or run the process as that user`,
    )
  }
  if ((mode & OTHERS_WRITE) !== 0) {
    throw refusedError(
      store,
      `other users may write to ${what} (mode ${octal(mode)}), and could forge sessions: chmod -R go-rwx it (700), ` +
        'or give the path of a new directory below it, which the store then makes',
    )
  }
}

/** Who may rename the entries of a parent could put another directory in the place of the folder. */
async function checkParents(store: string, place: string): Promise<void> {
  for (let at = path.dirname(place); ; at = path.dirname(at)) {
    // A parent that may not be looked at cannot be used by others either, or this process would not get here.
    const stats = await fs.stat(at).catch((error: unknown) => {
      if (errnoOf(error) === 'EACCES') return undefined
      throw error
    })
    const mode = stats?.mode ?? 0
    if ((mode & ALL_WRITE) !== 0 && (mode & STICKY) === 0) {
      throw refusedError(
        store,
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

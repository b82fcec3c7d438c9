import type { Stats } from 'node:fs'
import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import type { SessionError } from '../../errors.ts'
import { refusedError } from '../shared/errors.ts'
import { checkOwner, preparePrivateFolder } from '../shared/private-folder.ts'
import { unless } from './errors.ts'

/** The name of a shelf: a directory of the folder that holds sessions. */
export const SHELF: RegExp = /^[0-9a-f]{2}$/

/**
 * Creates the folder if it is missing, and checks that it and its directories are the process's own.
 *
 * @returns the path without symbolic links, any of which another user could change later
 * @throws SessionError `ERR_SESSION_STORE` that says how to change the folder
 */
export async function prepareFolder(folder: string): Promise<string> {
  const place = await preparePrivateFolder('file', folder)
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
  checkOwner('file', stats, what)
}

/** A refusal by the store itself, which is no outage. */
export function refusal(problem: string): SessionError {
  return refusedError('file', problem)
}

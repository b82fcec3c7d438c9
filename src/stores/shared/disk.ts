import { statfs } from 'node:fs/promises'
import type { Finding } from '../../store.ts'

/** What the codes of the system mean that an operator can do something about, for each store that keeps files. */
export const DISK_REASONS: readonly (readonly [code: string, reason: string])[] = [
  ['ENOSPC', 'there is no room on the disk'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EROFS', 'the file system is read-only'],
  ['EACCES', 'the process may not do this in the folder'],
  ['EPERM', 'the process may not do this in the folder'],
  ['EMFILE', 'the process has too many open files'],
  ['ENFILE', 'the system has too many open files'],
]

/** The file systems of other machines, by the number that Linux gives each. */
const remote: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x00c36400, 'Ceph'],
  [0x01021997, '9p'],
])
const MEMORY = 0x01021994

/** Less than this part of a disk is little. */
const LITTLE = 0.05

/**
 * Looks at the disk below a folder.
 *
 * @param flaw what is wrong with a file system of another machine: 'which keeps no order of renames between machines'
 */
export async function diagnoseDisk(folder: string, flaw: string): Promise<readonly Finding[]> {
  const { type, blocks, bavail, files, ffree } = await statfs(folder)
  return [place(type, flaw), space('space', blocks, bavail), space('files', files, ffree)]
}

function place(type: number, flaw: string): Finding {
  const check = 'file system'
  const name = remote.get(type)
  if (name !== undefined)
    return {
      check,
      ok: false,
      text: `the folder is on ${name}, ${flaw}; use a local disk`,
    }
  if (type === MEMORY)
    return {
      check,
      ok: false,
      text: 'the folder is in memory (tmpfs), so a restart of the machine ends all sessions; use a disk',
    }
  return { check, ok: true, text: 'the folder is on a local file system' }
}

function space(check: string, all: number, free: number): Finding {
  const part = all === 0 ? 1 : free / all
  const ok = part >= LITTLE
  const percent = Math.floor(part * 100)
  const what = check === 'space' ? 'of the disk is free' : 'of the files that the disk can have are free'
  return {
    check,
    ok,
    text: ok ? `${percent} % ${what}` : `only ${percent} % ${what}; a full disk stores no session`,
  }
}

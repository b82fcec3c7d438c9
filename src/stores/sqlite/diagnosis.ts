import * as fs from 'node:fs/promises'
import * as path from 'node:path'
import type { Finding } from '../../store.ts'

const MB = 1024 * 1024

/** A log of more bytes is not copied into the database, since some process reads an old state of it. */
const LONG_LOG: number = 256 * MB

/** With less room on the disk a write may fail soon. */
const LITTLE_ROOM: number = 64 * MB

/** The numbers by which Linux tells file systems of a network: NFS, SMB, CIFS, AFS, Ceph, 9P. */
const NETWORKS: ReadonlySet<number> = new Set([
  0x69_69, 0x51_7b, 0xfe_53_4d_42, 0xff_53_4d_42, 0x53_46_41_4f, 0x00_c3_64_00, 0x01_02_19_97,
])

/** What is told of a file system by `statfs`. */
export interface FileSystem {
  readonly type: number
  /** The free blocks for ordinary users, and the bytes of a block. */
  readonly bavail: number
  readonly bsize: number
}

/** Looks at the file system of a database and at its log. */
export async function diagnoseFile(file: string): Promise<readonly Finding[]> {
  const log = await fs.stat(`${file}-wal`).catch(() => undefined)
  return [...judgeFileSystem(await fs.statfs(path.dirname(file))), judgeLog(log?.size ?? 0)]
}

/** Whether the locks of the file system can be relied on, and whether it has room. */
export function judgeFileSystem({ type, bavail, bsize }: FileSystem): readonly Finding[] {
  const isRemote = NETWORKS.has(type)
  const room = bavail * bsize
  const isFull = room < LITTLE_ROOM
  return [
    {
      check: 'file system',
      ok: !isRemote,
      text: isRemote
        ? 'the database is on a network, where its locks are not reliable: move it to a local disk, or use a server such as Redis'
        : 'the database is on a local disk',
    },
    {
      check: 'room',
      ok: !isFull,
      text: isFull
        ? `the disk has ${Math.floor(room / MB)} MB left: when it is full, sessions are not stored any more`
        : 'the disk has room',
    },
  ]
}

/** Whether the log is copied into the database now and then. */
export function judgeLog(bytes: number): Finding {
  const isLong = bytes > LONG_LOG
  return {
    check: 'log',
    ok: !isLong,
    text: isLong
      ? `the log has ${Math.floor(bytes / MB)} MB: a process keeps a transaction open on the database, and it grows until that one ends`
      : 'the log is short',
  }
}

/** What `PRAGMA quick_check` has answered. */
export function judgeCheck(rows: readonly unknown[]): Finding {
  const isSound = Object(rows[0]).quick_check === 'ok'
  return {
    check: 'damage',
    ok: isSound,
    text: isSound
      ? 'the pages of the database are sound'
      : 'the database is damaged: stop the processes and restore it, or move its files away to begin anew',
  }
}

import type { Finding } from '../../store.ts'

const MB = 1024 * 1024

/** A log of more bytes is not copied into the database, since some process reads an old state of it. */
const LONG_LOG: number = 256 * MB

/** Whether the log is copied into the database now and then. */
export function judgeLog(bytes: number): Finding {
  const isLong = bytes > LONG_LOG
  return {
    check: 'log',
    ok: !isLong,
    text: isLong
      ? `the log has ${Math.floor(bytes / MB)} MB: a process keeps a transaction open on the database, and the log grows until that ends`
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

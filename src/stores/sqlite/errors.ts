import { SessionError } from '../../errors.ts'
import { errnoOf, isMistake, mistakeError, refusedError, storeError } from '../shared/errors.ts'
import { DISK_REASONS } from '../shared/disk.ts'

/** The primary result codes that SQLite answers with, by their numbers. */
const CODES: ReadonlyMap<number, string> = new Map([
  [1, 'SQLITE_ERROR'],
  [2, 'SQLITE_INTERNAL'],
  [3, 'SQLITE_PERM'],
  [4, 'SQLITE_ABORT'],
  [5, 'SQLITE_BUSY'],
  [6, 'SQLITE_LOCKED'],
  [7, 'SQLITE_NOMEM'],
  [8, 'SQLITE_READONLY'],
  [9, 'SQLITE_INTERRUPT'],
  [10, 'SQLITE_IOERR'],
  [11, 'SQLITE_CORRUPT'],
  [13, 'SQLITE_FULL'],
  [14, 'SQLITE_CANTOPEN'],
  [15, 'SQLITE_PROTOCOL'],
  [17, 'SQLITE_SCHEMA'],
  [18, 'SQLITE_TOOBIG'],
  [19, 'SQLITE_CONSTRAINT'],
  [20, 'SQLITE_MISMATCH'],
  [21, 'SQLITE_MISUSE'],
  [22, 'SQLITE_NOLFS'],
  [23, 'SQLITE_AUTH'],
  [26, 'SQLITE_NOTADB'],
])

/** SQLite's own texts, for drivers that give no code with a statement's error. */
const TEXTS: readonly (readonly [text: RegExp, code: string])[] = [
  [/^database(?: table)? is locked/, 'SQLITE_BUSY'],
  [/^locking protocol/, 'SQLITE_PROTOCOL'],
  [/^database or disk is full/, 'SQLITE_FULL'],
  [/^attempt to write a readonly database/, 'SQLITE_READONLY'],
  [/^database disk image is malformed/, 'SQLITE_CORRUPT'],
  [/^file is not a database/, 'SQLITE_NOTADB'],
  [/^disk I\/O error/, 'SQLITE_IOERR'],
  [/unable to open database file/, 'SQLITE_CANTOPEN'],
]

/** What the codes mean that an operator can do something about. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['SQLITE_BUSY', 'another process keeps the database locked'],
  ['SQLITE_LOCKED', 'another connection keeps the table locked'],
  ['SQLITE_PROTOCOL', 'another process keeps the database locked'],
  ['SQLITE_FULL', 'there is no room on the disk, or in the database'],
  ['SQLITE_READONLY', 'the database is read-only'],
  ['SQLITE_PERM', 'the process may not do this with the database'],
  ['SQLITE_AUTH', 'the process may not do this with the database'],
  ['SQLITE_CANTOPEN', 'the file of the database, or one beside it, cannot be opened'],
  [
    'SQLITE_CORRUPT',
    'the database is damaged; stop the processes and restore it, or move its files away to begin anew',
  ],
  ['SQLITE_NOTADB', 'the file is no database of SQLite, or an encrypted one; give the path of another file'],
  ['SQLITE_IOERR', 'the disk failed'],
  ['SQLITE_NOMEM', 'there is not enough memory'],
  ['SQLITE_TOOBIG', 'the payload is larger than the database accepts'],
])

/** The codes of Node for the file and its folder. */
const SYSTEM: ReadonlyMap<string, string> = new Map([
  ...DISK_REASONS,
  ['ENOTDIR', 'a part of the path is no directory'],
  ['EEXIST', 'a part of the path is no directory'],
])

/** After these it is not known what was written, or the driver is in a state that its error does not tell. */
const SILENCE: ReadonlySet<string> = new Set([
  'SQLITE_IOERR',
  'SQLITE_INTERNAL',
  'SQLITE_MISUSE',
  'EIO',
  'ESTALE',
  'ETIMEDOUT',
])

/** Such as `SQLITE_BUSY`, without its extension such as `_SNAPSHOT`; the code of a system call; `''` if the error has none. */
export function sqliteCodeOf(error: unknown): string {
  const { errcode }: { readonly errcode?: unknown } = Object(error)
  if (typeof errcode === 'number') return CODES.get(errcode & 0xff) ?? 'SQLITE_ERROR'
  const code = errnoOf(error)
  const [primary] = /^SQLITE_[A-Z]+/.exec(code) ?? []
  if (primary !== undefined) return primary
  const said = error instanceof Error ? error.message : ''
  const known = TEXTS.find(([text]) => text.test(said))?.[1]
  return known ?? (/^E[A-Z\d]+$/.test(code) ? code : code === 'ERR_SQLITE_ERROR' ? 'SQLITE_ERROR' : '')
}

/** Whether another connection was in the way, so that nothing was applied and the same may succeed in a moment. */
export function isBusy(error: unknown): boolean {
  return ['SQLITE_BUSY', 'SQLITE_LOCKED', 'SQLITE_PROTOCOL'].includes(sqliteCodeOf(error))
}

/** Whether the table was dropped or changed since the store looked at it. */
export function outdatesTable(error: unknown): boolean {
  const said = error instanceof Error ? error.message : ''
  return (
    sqliteCodeOf(error) === 'SQLITE_SCHEMA' || /^no such (?:table|column)|^table .* has no column/.test(said)
  )
}

/**
 * The `SessionError` for a failure of a verb. Of the driver's error it keeps the code alone: its text may contain a path or a
 * stored value.
 */
export function sqliteError(verb: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error
  const code = sqliteCodeOf(error)
  const known = REASONS.get(code) ?? SYSTEM.get(code)
  const said = error instanceof Error ? error.message : ''
  if (code === '' && /\b(?:is|not) (?:not )?(?:open|closed)\b|\bfinalized\b/.test(said))
    return storeError('sqlite', `${verb} failed: the client is closed`, error)
  if (code === '' && isMistake(error)) return mistakeError('sqlite', `${verb} failed`, error)
  const told = code === '' ? 'unknown error' : code
  const reason = outdatesTable(error)
    ? `the table was dropped or changed (${told})`
    : known === undefined
      ? told
      : `${known} (${told})`
  const failure = code === '' || SILENCE.has(code) ? storeError : refusedError
  const cause = code === '' ? error : Object.assign(new Error(told), { code: told })
  return failure('sqlite', `${verb} failed: ${reason}`, cause)
}

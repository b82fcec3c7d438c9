import * as path from 'node:path'
import {
  assertClient,
  assertFunction,
  assertOptions,
  assertTimeout,
  optionError,
  type OptionNames,
  TIMEOUT,
} from '../shared/options.ts'
import type { SqliteClient } from './client.ts'

/** Options of the `SqliteStore`: `path` or `client`, and what differs from the defaults. */
export interface SqliteStoreOptions {
  /**
   * The file of the database, in a folder that belongs to the user of the process and in which no other user may write. What is
   * missing is created: the folder with mode 0700, the file with 0600.
   */
  readonly path?: string
  /**
   * A connection of the store's own to a database in a file: a `DatabaseSync` of `node:sqlite`, a `Database` of `better-sqlite3`, or
   * another client with `exec` and `prepare`. The store sets its journal mode, `synchronous` and `busy_timeout`, and never closes it.
   */
  readonly client?: SqliteClient
  /** The table. It is created if it is missing. Default: `session`. */
  readonly table?: string
  /**
   * Whether a write waits until it is on disk, so that a power failure loses no write that was answered (`synchronous = FULL`).
   * With `false` (`NORMAL`) a killed process still loses nothing, but a power failure may lose the last seconds, and undo a
   * logout. Default: `true`.
   */
  readonly sync?: boolean
  /** How long a verb waits, in ms, while another process keeps the database locked. Default: 5,000. */
  readonly timeout?: number
  /** The clock, in ms since the epoch. The clocks of processes that share a database should agree. Default: `Date.now`. */
  readonly now?: () => number
}

/** The options, checked and with their defaults. */
export interface SqliteSettings {
  /** An absolute path, or the client. */
  readonly source: string | SqliteClient
  readonly table: string
  readonly sync: boolean
  readonly timeout: number
  readonly now: () => number
}

const OPTIONS: OptionNames<SqliteStoreOptions> = {
  path: true,
  client: true,
  table: true,
  sync: true,
  timeout: true,
  now: true,
}

/** Names that need no escape between quotes. */
const TABLE = /^[A-Za-z_]\w{0,58}$/

/** @throws SessionError `ERR_SESSION_OPTIONS` if an option is wrong */
export function sqliteSettings(options: SqliteStoreOptions): SqliteSettings {
  assertOptions('sqlite', options, OPTIONS)
  const { path: file, client, table = 'session', sync = true, timeout = TIMEOUT, now = Date.now } = options
  const expected =
    'a database with exec and prepare: a DatabaseSync of node:sqlite or a Database of better-sqlite3'
  if (typeof client === 'string')
    throw optionError(
      'sqlite',
      `client must be ${expected}; text was given; the name of a file is the option path`,
    )
  assertClient('sqlite', client, { exec: 'function', prepare: 'function' }, expected)
  if (file !== undefined) assertPath(file)
  if (!TABLE.test(table) || /^sqlite_/i.test(table))
    throw optionError('sqlite', 'table must be a plain name such as session, and not begin with sqlite_')
  if (typeof sync !== 'boolean') throw optionError('sqlite', 'sync must be true or false')
  assertTimeout('sqlite', timeout)
  assertFunction('sqlite', 'now', now)
  const source = client ?? (file === undefined ? undefined : path.resolve(file))
  if (source === undefined || (client !== undefined && file !== undefined))
    throw optionError('sqlite', 'give either path or client')
  return { source, table, sync, timeout, now }
}

function assertPath(file: unknown): void {
  if (typeof file !== 'string' || file === '' || file.includes('\0'))
    throw optionError('sqlite', "path must name a file, such as './sessions/sessions.db'")
  if (/^:memory:$/i.test(file))
    throw optionError(
      'sqlite',
      'path must name a file: a database in memory would be lost with the process, and is seen by no other; ' +
        'use the memory store, which also bounds how many sessions there are',
    )
  // The address of a server, with its password, would become the name of a file.
  if (/^(?:[a-z][a-z\d+.-]*:\/\/|file:)/i.test(file))
    throw optionError('sqlite', 'path must be the path of a file, not a URL')
  if (/[/\\]$/.test(file)) throw optionError('sqlite', 'path must name a file, not a directory')
}

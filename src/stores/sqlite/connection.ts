import { SessionError } from '../../errors.ts'
import { driverError } from '../shared/driver.ts'
import { refusedError } from '../shared/errors.ts'
import type { SqliteClient } from './client.ts'
import { inodeOf, prepareFile } from './file.ts'
import type { SqliteSettings } from './options.ts'

/** A connection that the store has opened itself. */
export interface OwnClient extends SqliteClient {
  close(): unknown
}

/** How many bytes of the log are kept when it was larger for a while. */
const LOG_BYTES = 16 * 1024 * 1024

/** Opens the database of a file, with the driver of this Node.js. */
export async function openFile(
  file: string,
): Promise<{ readonly client: OwnClient; readonly inode: bigint | undefined }> {
  const DatabaseSync = await loadDriver()
  const place = await prepareFile(file)
  const client = new DatabaseSync(place)
  return { client, inode: inodeOf(file) }
}

/** What `node:sqlite` exports, and what a package for older versions of Node.js exports too. */
type Driver = new (path: string) => OwnClient

/**
 * `node:sqlite`, which Node.js 22.13 and newer have without a flag; for older ones `@photostructure/sqlite`, which is the same as a
 * package.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that says what to do where there is neither
 */
async function loadDriver(): Promise<Driver> {
  // Not imported, since bundlers stop at the name of a built-in module that they do not know. Its types are not those of Node 20.
  const builtin = Object(process.getBuiltinModule('node:sqlite')) as { readonly DatabaseSync?: Driver }
  if (builtin.DatabaseSync !== undefined) return builtin.DatabaseSync
  try {
    const { DatabaseSync } = await import('@photostructure/sqlite')
    return DatabaseSync
  } catch (cause) {
    if (!(driverError('@photostructure/sqlite', cause) instanceof SessionError)) throw cause
    throw new SessionError(
      'ERR_SESSION_OPTIONS',
      `sqlite: Node.js ${process.versions.node} has no node:sqlite: run Node.js 22.13 or newer, or npm install @photostructure/sqlite, ` +
        'or give a client, such as client: new Database(path) of better-sqlite3',
      { cause },
    )
  }
}

/**
 * Sets what the store needs of a connection. It keeps readers and the writer from waiting for each other (WAL), and never lets
 * SQLite sleep while it waits for another process, since that would stop the whole process.
 *
 * @throws SessionError `ERR_SESSION_STORE` if the database cannot have a log beside it
 */
export function configure(client: SqliteClient, { sync }: Pick<SqliteSettings, 'sync'>): void {
  client.exec('PRAGMA busy_timeout = 0')
  const [row] = client.prepare('PRAGMA journal_mode = WAL').all()
  const mode: unknown = Object(row).journal_mode
  if (mode === undefined)
    throw refusedError('sqlite', 'the client must return each row as an object with the names of the columns')
  if (mode === 'memory')
    throw refusedError(
      'sqlite',
      'the database of the client is in memory: give it one in a file, or use the memory store',
    )
  if (mode !== 'wal')
    throw refusedError(
      'sqlite',
      'the database cannot have a write-ahead log here: it must be on a local file system',
    )
  client.exec(`PRAGMA journal_size_limit = ${LOG_BYTES}`)
  // On macOS a plain fsync does not empty the cache of the disk. Elsewhere this changes nothing.
  client.exec(`PRAGMA fullfsync = ${sync ? 'ON' : 'OFF'}`)
}

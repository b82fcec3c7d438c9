import type { Importer, OldSession } from '../session/adopt/importer.ts'
import {
  mysqlRow,
  postgresRow,
  quoteMysql,
  quotePostgres,
  redisEnd,
  redisValue,
  type MysqlPool,
  type PostgresPool,
  type RedisClient,
} from './clients.ts'
import {
  checkImporter,
  checkOne,
  has,
  importerError,
  isAnyText,
  isCookie,
  isCookieName,
  isFunction,
  isKeys,
  isText,
  keyList,
  type OldCookieOptions,
} from './options.ts'
import {
  checkRecord,
  earlier,
  mapValues,
  parseRecord,
  timeIn,
  without,
  type OldRecord,
  type ValuesOption,
} from './records.ts'
import { unsign, type SigningKeys } from './signatures.ts'

/** The part of a store of express-session that is needed here. */
export interface ExpressSessionStore {
  get(sid: string, callback: (error: unknown, session?: unknown) => void): unknown
  destroy(sid: string, callback: (error?: unknown) => void): unknown
}

/** Options of {@link expressSession}: those that express-session and its store were given, and how the sessions are taken over. */
export interface ExpressSessionImporterOptions {
  /** The name of the cookie. Default: `'connect.sid'`. */
  readonly name?: string

  /** The secret that signs cookies, or a list of them. All of them are accepted. */
  readonly secret: string | Buffer | SigningKeys

  /** A connected client of the Redis in which connect-redis has kept the sessions. */
  readonly redis?: RedisClient

  /** With `redis`: what the keys begin with. Default: `'sess:'`. */
  readonly prefix?: string

  /** A connected pool of the PostgreSQL in which connect-pg-simple has kept the sessions. Its time zone must be that of the old program's connections. */
  readonly postgres?: PostgresPool

  /** A connected pool of mysql2/promise, where express-mysql-session has kept the sessions. */
  readonly mysql?: MysqlPool

  /** Instead of these: any store of express-session. */
  readonly store?: ExpressSessionStore

  /** With `postgres` or `mysql`: the name of the table. Default: `'session'` in PostgreSQL, `'sessions'` in MySQL. */
  readonly table?: string

  /** With `postgres`: the schema of the table. Default: that of the connection. */
  readonly schema?: string

  /** What the new session holds of an old one. Default: all of its keys but `cookie`. */
  readonly values?: ValuesOption

  /** The path and the domain of the cookie. Default: `{ path: '/' }`. */
  readonly cookie?: OldCookieOptions
}

/** What express-session has kept of a session, and where. */
interface Place {
  read(sid: string, now: number): Promise<Found | undefined>
  destroy(sid: string): Promise<unknown>
}

interface Found {
  /** JSON, or the object that was made of it. */
  readonly session: unknown
  readonly end: number | undefined
}

/**
 * Takes the sessions of express-session over: from connect-redis, connect-pg-simple, express-mysql-session or any other of its stores.
 *
 * ```ts
 * app.use(session({ name: 'sid', adopt: [expressSession({ secret, redis: client })] }))
 * ```
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option which is not allowed
 */
export function expressSession(options: ExpressSessionImporterOptions): Importer {
  checkImporter('expressSession', options, {
    name: isCookieName,
    secret: isKeys,
    redis: has('a connected client of Redis, with get and del', 'get', 'del'),
    prefix: isAnyText,
    postgres: has('a connected pool of pg, with query', 'query'),
    mysql: has('a connected pool of mysql2/promise, with query', 'query'),
    store: has('a store of express-session, with get and destroy', 'get', 'destroy'),
    table: isText,
    schema: isText,
    values: isFunction,
    cookie: isCookie,
  })
  checkOne('expressSession', options, ['redis', 'postgres', 'mysql', 'store'])
  const { name: cookieName = 'connect.sid', secret, cookie, mysql } = options
  const { values = (old) => without(old, ['cookie']) } = options
  if (secret === undefined)
    throw importerError('expressSession', 'secret is missing: give that of the old program')
  if (mysql !== undefined && 'promise' in mysql)
    throw importerError('expressSession', 'mysql must be a pool of mysql2/promise: pass pool.promise()')
  const name = `express-session ${cookieName}`
  const keys = keyList(secret)
  const place = placeOf(options)

  const session = (record: OldRecord, end: number | undefined): OldSession => ({
    values: mapValues(name, values, record),
    expiresAt: earlier(timeIn(Object(record['cookie'])['expires']), end),
  })

  return {
    name,
    cookies: [{ name: cookieName, ...cookie }],
    find: (valuesOf) => valuesOf(cookieName).flatMap((value) => sidIn(value, keys) ?? []),
    read: async (sid, now) => {
      const found = await place.read(sid, now)
      if (found === undefined) return undefined
      const { session: stored, end } = found
      const record = typeof stored === 'string' ? parseRecord(name, stored) : checkRecord(name, stored)
      return session(record, end)
    },
    destroy: async (sid) => place.destroy(sid),
  }
}

/** The ID in a cookie: `s:` and the signed ID, with the escapes of a URL. `undefined` if no secret has signed it. */
function sidIn(value: string, secrets: SigningKeys): string | undefined {
  const quoted = /^"(.*)"$/s.exec(value)?.[1] ?? value
  let text = quoted
  try {
    text = decodeURIComponent(quoted)
  } catch {
    // It is taken as it stands, as the package cookie does.
  }
  const sid = text.startsWith('s:') ? unsign(text.slice(2), secrets) : undefined
  return sid === '' ? undefined : sid
}

function placeOf(options: ExpressSessionImporterOptions): Place {
  const { redis, prefix = 'sess:', postgres, mysql, store, schema } = options
  if (redis !== undefined)
    return {
      read: async (sid, now) => {
        const text = await redisValue(redis.get(prefix + sid))
        return text === undefined
          ? undefined
          : { session: text, end: await redisEnd(redis, prefix + sid, now) }
      },
      destroy: async (sid) => redis.del(prefix + sid),
    }
  if (postgres !== undefined) {
    const { table = 'session' } = options
    const place =
      schema === undefined ? quotePostgres(table) : `${quotePostgres(schema)}.${quotePostgres(table)}`
    // The column has no time zone. It is compared as connect-pg-simple does, in that of the connection.
    const select = `SELECT sess, EXTRACT(EPOCH FROM expire::timestamptz) * 1000 AS end FROM ${place} WHERE sid = $1`
    return {
      read: async (sid) => {
        const row = await postgresRow(postgres, select, [sid])
        return row && { session: row['sess'], end: Number(row['end']) }
      },
      destroy: async (sid) => postgres.query(`DELETE FROM ${place} WHERE sid = $1`, [sid]),
    }
  }
  if (mysql !== undefined) {
    const { table = 'sessions' } = options
    const place = quoteMysql(table)
    return {
      read: async (sid) => {
        const row = await mysqlRow(mysql, `SELECT data, expires FROM ${place} WHERE session_id = ?`, [sid])
        // A session is alive during the second in which it ends.
        return row && { session: textOf(row['data']), end: (Number(row['expires']) + 1) * 1000 }
      },
      destroy: async (sid) => mysql.query(`DELETE FROM ${place} WHERE session_id = ?`, [sid]),
    }
  }
  return {
    read: async (sid) => {
      const session = await called((callback) => store?.get(sid, callback))
      return session === undefined || session === null ? undefined : { session, end: undefined }
    },
    destroy: async (sid) => called((callback) => store?.destroy(sid, callback)),
  }
}

/** Columns of a binary type are read as bytes. */
function textOf(data: unknown): unknown {
  return Buffer.isBuffer(data) ? data.toString() : data
}

/** Calls a function that takes a callback. One that has no file for the session says so by an error. */
async function called(
  call: (callback: (error: unknown, result?: unknown) => void) => unknown,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    call((error, result) => {
      if (error === null || error === undefined || Object(error).code === 'ENOENT') resolve(result)
      else reject(error instanceof Error ? error : new Error('the store has failed', { cause: error }))
    })
  })
}

import type { Importer, OldSession } from '../session/adopt/importer.ts'
import {
  mysqlRow,
  postgresRow,
  quoteMysql,
  quotePostgres,
  redisValue,
  type BinaryRedisClient,
  type MysqlPool,
  type PostgresPool,
} from './clients.ts'
import { decodeGob, UnmappedTypeError, type GobMapper } from './gob/decoder.ts'
import { GobError } from './gob/reader.ts'
import {
  checkImporter,
  checkOne,
  has,
  importerError,
  isAnyText,
  isCookie,
  isCookieName,
  isFunction,
  isMs,
  isText,
  type OldCookieOptions,
} from './options.ts'
import { mapValues, unreadable, type ValuesOption } from './records.ts'

/** Options of {@link beego}: the settings of beego's session module, and how its sessions are taken over. */
export interface BeegoImporterOptions {
  /** The name of the cookie: `SessionName`. Default: `'beegosessionID'`. */
  readonly name?: string

  /** A connected client of ioredis, for the provider `redis`, `redis_cluster` or `redis_sentinel`. */
  readonly redis?: BinaryRedisClient

  /** A connected pool of mysql2/promise, for the provider `mysql`. */
  readonly mysql?: MysqlPool

  /** A connected pool of pg, for the provider `postgresql`. Its time zone must be that of the Go program. */
  readonly postgres?: PostgresPool

  /** With `mysql` or `postgres`: the name of the table. Default: `'session'`. */
  readonly table?: string

  /** With `mysql` or `postgres`: how long a session lives after it was last saved, in ms: `SessionGCMaxLifetime`. Default: 1 hour. */
  readonly maxLifetime?: number

  /** What IDs begin with: `SessionIDPrefix`. Default: `''`. */
  readonly idPrefix?: string

  /** How many bytes an ID has: `sessionIDLength`. Default: 16. */
  readonly idLength?: number

  /**
   * What becomes of Go's structs, by the name under which the Go program registered them with `gob.Register`: `{ 'main.User': (fields: UserFields) => new User(fields) }`.
   * A pointer or a slice needs no entry of its own. A session with a struct that has none is not taken over. Default: none.
   */
  readonly types?: Readonly<Record<string, GobMapper>>

  /** What the new session holds of an old one. Default: all of its keys; one that is no text makes an error. */
  readonly values?: ValuesOption<ReadonlyMap<unknown, unknown>>

  /** The path and the domain of the cookie. Default: `{ path: '/' }`. */
  readonly cookie?: OldCookieOptions
}

interface Found {
  readonly gob: Uint8Array
  readonly expiresAt: number | undefined
}

interface Place {
  read(id: string, now: number): Promise<Found | undefined>
  destroy(id: string): Promise<unknown>
}

const HOUR = 60 * 60 * 1000

/**
 * Takes the sessions of the Go framework beego over, from Redis or from its SQL tables.
 *
 * The cookies of beego are not signed: what looks like an ID is looked up, and what is stored under it is removed at a logout only if it is a session.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option which is not allowed
 */
export function beego(options: BeegoImporterOptions): Importer {
  checkImporter('beego', options, {
    name: isCookieName,
    redis: has('a connected client of ioredis, with getBuffer, pttl and del', 'getBuffer', 'pttl', 'del'),
    mysql: has('a connected pool of mysql2/promise, with query', 'query'),
    postgres: has('a connected pool of pg, with query', 'query'),
    table: isText,
    maxLifetime: isMs,
    idPrefix: isAnyText,
    idLength: (value, refuse) => {
      if (!Number.isSafeInteger(value) || Number(value) < 8 || Number(value) > 64)
        refuse('must be a whole number from 8 to 64')
    },
    types: (value, refuse) => {
      const isMap = typeof value === 'object' && value !== null
      if (!isMap || Object.values(value).some((each) => typeof each !== 'function'))
        refuse('must be an object with a function for each type')
    },
    values: isFunction,
    cookie: isCookie,
  })
  checkOne('beego', options, ['redis', 'mysql', 'postgres'])
  const {
    name: cookieName = 'beegosessionID',
    idPrefix = '',
    idLength = 16,
    types = {},
    cookie,
    mysql,
  } = options
  if (mysql !== undefined && 'promise' in mysql)
    throw importerError('beego', 'mysql must be a pool of mysql2/promise: pass pool.promise()')
  const name = `beego ${cookieName}`
  const { values = (old) => textKeys(name, old) } = options
  const mappers = new Map(Object.entries(types).map(([type, mapper]) => [type.replace(/^\*/, ''), mapper]))
  const place = placeOf(options)
  const hexLength = idLength * 2

  function isId(text: string): boolean {
    const hex = text.slice(idPrefix.length)
    return text.startsWith(idPrefix) && hex.length === hexLength && /^[0-9a-f]*$/.test(hex)
  }

  return {
    name,
    cookies: [{ name: cookieName, ...cookie }],
    find: (valuesOf) => valuesOf(cookieName).map(unescaped).filter(isId),
    read: async (id, now): Promise<OldSession | undefined> => {
      const found = await place.read(id, now)
      if (found === undefined) return undefined
      const old = decoded(name, found.gob, mappers)
      return { values: mapValues(name, values, old), expiresAt: found.expiresAt }
    },
    destroy: async (id) => {
      const found = await place.read(id, Date.now())
      if (found !== undefined && looksLikeMap(found.gob)) await place.destroy(id)
    },
  }
}

function decoded(
  name: string,
  gob: Uint8Array,
  mappers: ReadonlyMap<string, GobMapper>,
): ReadonlyMap<unknown, unknown> {
  if (gob.length === 0) return new Map()
  try {
    return decodeGob(gob, mappers)
  } catch (error) {
    if (error instanceof UnmappedTypeError)
      throw unreadable(
        name,
        `holds a Go type${error.type === undefined ? '' : ` ${error.type}`} that the option types does not name`,
      )
    if (error instanceof GobError) throw unreadable(name, `cannot be decoded: ${error.message}`)
    throw unreadable(name, 'could not be mapped by the option types', error)
  }
}

/** Whether bytes begin like the gob of a map, which is described first. Those of an empty session are none. */
function looksLikeMap(gob: Uint8Array): boolean {
  return gob.length === 0 || (gob[1] === 0x7f && gob[2] === 0x04)
}

/** Go's QueryUnescape. What is no escape is no ID. */
function unescaped(value: string): string {
  try {
    return decodeURIComponent(value.replaceAll('+', ' '))
  } catch {
    return ''
  }
}

function textKeys(name: string, old: ReadonlyMap<unknown, unknown>): Record<string, unknown> {
  for (const key of old.keys())
    if (typeof key !== 'string') throw unreadable(name, 'has a key that is no text; give the option values')
  return Object.fromEntries(old)
}

function placeOf({
  redis,
  mysql,
  postgres,
  table = 'session',
  maxLifetime = HOUR,
}: BeegoImporterOptions): Place {
  if (redis !== undefined)
    return {
      read: async (id, now) => {
        const gob = await redisValue(redis.getBuffer(id))
        if (gob === undefined) return undefined
        const ms = await redis.pttl(id)
        return { gob, expiresAt: ms < 0 ? undefined : now + ms }
      },
      destroy: async (id) => redis.del(id),
    }
  if (mysql !== undefined) {
    const place = quoteMysql(table)
    const select = `SELECT session_data, session_expiry FROM ${place} WHERE session_key = ?`
    return {
      read: async (id) => {
        const row = await mysqlRow(mysql, select, [id])
        // The column holds when the session was saved, in seconds. It is alive during the second in which it ends.
        const saved = row && Number(row['session_expiry'])
        return saved === undefined
          ? undefined
          : { gob: bytesOf(row?.['session_data']), expiresAt: saved * 1000 + maxLifetime + 1000 }
      },
      destroy: async (id) => mysql.query(`DELETE FROM ${place} WHERE session_key = ?`, [id]),
    }
  }
  const place = quotePostgres(table)
  // The column holds when the session was saved, without a time zone. It is compared as beego does, in that of the connection.
  const select = `SELECT session_data, EXTRACT(EPOCH FROM current_timestamp - session_expiry) * 1000 AS age FROM ${place} WHERE session_key = $1`
  return {
    read: async (id, now) => {
      const row = postgres && (await postgresRow(postgres, select, [id]))
      return row && { gob: bytesOf(row['session_data']), expiresAt: now - Number(row['age']) + maxLifetime }
    },
    destroy: async (id) => postgres?.query(`DELETE FROM ${place} WHERE session_key = $1`, [id]),
  }
}

/** A column with bytes; a session that was not saved yet has none. */
function bytesOf(data: unknown): Uint8Array {
  return data instanceof Uint8Array
    ? data
    : typeof data === 'string'
      ? Buffer.from(data, 'latin1')
      : new Uint8Array()
}

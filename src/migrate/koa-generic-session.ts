import { SessionError } from '../errors.ts'
import type { Importer, OldSession } from '../session/adopt/importer.ts'
import { redisEnd, redisValue, type RedisClient } from './clients.ts'
import { koaCookieValues } from './koa-cookies.ts'
import type { KoaSessionStore } from './koa-session.ts'
import {
  checkImporter,
  checkOne,
  has,
  importerError,
  isAnyText,
  isBoolean,
  isCookie,
  isCookieName,
  isFunction,
  isKeys,
  koaKeys,
  signedCookies,
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
import type { SignatureVerifier, SigningKeys } from './signatures.ts'

/** Options of {@link koaGenericSession}: those that koa-generic-session was given, and how its sessions are taken over. */
export interface KoaGenericSessionImporterOptions {
  /** The name of the cookie. Default: `'koa.sid'`. */
  readonly key?: string

  /** The keys that sign cookies: what the old program had as `app.keys`. All of them are accepted. Needed unless `signed` is `false`. */
  readonly keys?: string | SigningKeys | SignatureVerifier

  /** Whether the cookies are signed. Default: `true`. */
  readonly signed?: boolean

  /** What the keys of the store begin with. Default: `'koa:sess:'`. */
  readonly prefix?: string

  /** The store of koa-generic-session, such as that of koa-redis: an object with `get` and `destroy`. */
  readonly store?: KoaSessionStore

  /** Instead of `store`: a connected client of the Redis in which koa-redis has kept the sessions as JSON. */
  readonly redis?: RedisClient

  /** What the new session holds of an old one. Default: all of its keys but `cookie`. */
  readonly values?: ValuesOption

  /** The path and the domain of the cookies. Default: `{ path: '/' }`. */
  readonly cookie?: OldCookieOptions
}

/** Without a signature anyone may choose a key of the old store: only what can be an ID is looked up. */
const ID = /^[\w-]{16,128}$/

/**
 * Takes the sessions of koa-generic-session 2 over.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option which is not allowed
 */
export function koaGenericSession(options: KoaGenericSessionImporterOptions): Importer {
  checkImporter('koaGenericSession', options, {
    key: isCookieName,
    keys: isKeys,
    signed: isBoolean,
    prefix: isAnyText,
    store: has('a store of koa-generic-session, with get and destroy', 'get', 'destroy'),
    redis: has('a connected client of Redis, with get and del', 'get', 'del'),
    values: isFunction,
    cookie: isCookie,
  })
  checkOne('koaGenericSession', options, ['store', 'redis'])
  const { key = 'koa.sid', signed = true, prefix = 'koa:sess:', store, redis, cookie } = options
  const { values = (old) => without(old, ['cookie']) } = options
  const name = `koa-generic-session ${key}`
  if (signed && options.keys === undefined)
    throw importerError(
      'koaGenericSession',
      'keys is missing: give those that the old program had as app.keys',
    )
  const keys = signed && options.keys !== undefined ? koaKeys(options.keys) : undefined

  const session = (record: OldRecord, now: number, end?: number): OldSession => {
    const { expires, maxAge }: { readonly expires?: unknown; readonly maxAge?: unknown } = Object(
      record['cookie'],
    )
    const latest = typeof maxAge === 'number' ? now + maxAge : undefined
    return {
      values: mapValues(name, values, record),
      expiresAt: earlier(timeIn(expires), end) ?? timeIn(latest),
    }
  }

  async function read(id: string, now: number): Promise<OldSession | undefined> {
    if (redis !== undefined) {
      const text = await redisValue(redis.get(prefix + id))
      if (text === undefined) return undefined
      return session(parseRecord(name, text), now, await redisEnd(redis, prefix + id, now))
    }
    const record: unknown = await store?.get(prefix + id)
    return record === undefined || record === null ? undefined : session(checkRecord(name, record), now)
  }

  /** What is stored under a key that a client has chosen may be anything. */
  async function isSession(id: string): Promise<boolean> {
    try {
      return (await read(id, Date.now())) !== undefined
    } catch (error) {
      if (error instanceof SessionError) return false
      throw error
    }
  }

  return {
    name,
    cookies: signedCookies(key, signed, cookie),
    find: (valuesOf) => koaCookieValues(valuesOf, key, keys).filter((value) => signed || ID.test(value)),
    read,
    destroy: async (id) => {
      if (!signed && !(await isSession(id))) return
      await (redis === undefined ? store?.destroy(prefix + id) : redis.del(prefix + id))
    },
  }
}

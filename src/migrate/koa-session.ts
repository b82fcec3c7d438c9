import { SessionError } from '../errors.ts'
import type { Importer, OldSession } from '../session/adopt/importer.ts'
import { redisEnd, redisValue, type RedisClient } from './clients.ts'
import { koaCookieValues } from './koa-cookies.ts'
import {
  checkImporter,
  checkOne,
  has,
  importerError,
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
  unreadable,
  without,
  type OldRecord,
  type ValuesOption,
} from './records.ts'
import type { SignatureVerifier, SigningKeys } from './signatures.ts'

/** The part of a store of koa-session or koa-generic-session that is needed here. */
export interface KoaSessionStore {
  /** The session that is stored under the key, as an object. */
  get(key: string, maxAge?: number, options?: { readonly rolling: boolean }): unknown
  destroy(key: string, options?: object): unknown
}

/** Options of {@link koaSession}: those that koa-session was given, and how its sessions are taken over. */
export interface KoaSessionImporterOptions {
  /** The name of the cookie. Default: `'koa.sess'`. */
  readonly key?: string

  /** The keys that sign cookies: what the old program had as `app.keys`. All of them are accepted. Needed unless `signed` is `false`. */
  readonly keys?: string | SigningKeys | SignatureVerifier

  /** Whether the cookies are signed. Default: `true`. */
  readonly signed?: boolean

  /** The store of koa-session, such as that of koa-redis: an object with `get` and `destroy`. Default: the session is in the cookie itself. */
  readonly store?: KoaSessionStore

  /** Instead of `store`: a connected client of the Redis in which koa-redis or egg-session-redis have kept the sessions as JSON. */
  readonly redis?: RedisClient

  /** How cookies were encoded that hold the session themselves. Default: JSON in base64. */
  readonly decode?: (text: string) => unknown

  /** What the new session holds of an old one. Default: all of its keys but `_expire`, `_maxAge` and `_session`. */
  readonly values?: ValuesOption

  /** The path and the domain of the cookies. Default: `{ path: '/' }`. */
  readonly cookie?: OldCookieOptions
}

const OWN = ['_expire', '_maxAge', '_session']
/** Without a signature anyone may choose a key of the old store: only what can be an ID is looked up. */
const ID = /^[\w.:-]{16,128}$/

/**
 * Takes the sessions of koa-session 6 and 7 over, from its store or from its signed cookie.
 *
 * ```ts
 * app.use(session({ name: 'sid', adopt: [koaSession({ keys: app.keys, store: redisStore() })] }))
 * ```
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option which is not allowed
 */
export function koaSession(options: KoaSessionImporterOptions): Importer {
  checkImporter('koaSession', options, {
    key: isCookieName,
    keys: isKeys,
    signed: isBoolean,
    store: has('a store of koa-session, with get and destroy', 'get', 'destroy'),
    redis: has('a connected client of Redis, with get and del', 'get', 'del'),
    decode: isFunction,
    values: isFunction,
    cookie: isCookie,
  })
  checkOne('koaSession', options, ['store', 'redis'], 0)
  const { key = 'koa.sess', signed = true, store, redis, decode, cookie } = options
  const { values = (old) => without(old, OWN) } = options
  const name = `koa-session ${key}`
  if (signed && options.keys === undefined)
    throw importerError('koaSession', 'keys is missing: give those that the old program had as app.keys')
  if (!signed && store === undefined && redis === undefined)
    throw importerError(
      'koaSession',
      'signed cannot be false for sessions in the cookie itself: any client could write its own',
    )
  const keys = signed && options.keys !== undefined ? koaKeys(options.keys) : undefined

  const session = (record: OldRecord, end?: number): OldSession => ({
    values: mapValues(name, values, record),
    expiresAt: earlier(timeIn(record['_expire']), end),
  })

  async function read(id: string, now: number): Promise<OldSession | undefined> {
    if (store !== undefined) {
      const record: unknown = await store.get(id, undefined, { rolling: false })
      return record === undefined || record === null ? undefined : session(checkRecord(name, record))
    }
    if (redis !== undefined) {
      const text = await redisValue(redis.get(id))
      return text === undefined ? undefined : session(parseRecord(name, text), await redisEnd(redis, id, now))
    }
    if (decode === undefined) return session(parseRecord(name, Buffer.from(id, 'base64').toString()))
    return session(checkRecord(name, decoded(name, decode, id)))
  }

  /** What is stored under a key that a client has chosen may be anything. */
  async function isSession(id: string): Promise<boolean> {
    if (signed) return true
    const text = redis && (await redisValue(redis.get(id)))
    try {
      const record = redis === undefined ? await store?.get(id) : text && parseRecord(name, text)
      return typeof record === 'object' && record !== null && ('_expire' in record || '_session' in record)
    } catch (error) {
      if (error instanceof SessionError) return false
      throw error
    }
  }

  const isStored = store !== undefined || redis !== undefined
  return {
    name,
    cookies: signedCookies(key, signed, cookie),
    find: (valuesOf) => koaCookieValues(valuesOf, key, keys).filter((value) => signed || ID.test(value)),
    read,
    ...(isStored && {
      destroy: async (id: string) => {
        if (await isSession(id)) await (redis === undefined ? store?.destroy(id, {}) : redis.del(id))
      },
    }),
  }
}

function decoded(name: string, decode: (text: string) => unknown, text: string): unknown {
  try {
    return decode(text)
  } catch (cause) {
    throw unreadable(name, 'could not be read by the option decode', cause)
  }
}

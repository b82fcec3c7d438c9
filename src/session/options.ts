import type { SealKey } from '../codec/seal/key-ring.ts'
import type { Limits } from '../codec/limits.ts'
import type { Registry } from '../registry.ts'
import type { Store } from '../store.ts'
import type { OldCredential } from './adopt/importer.ts'
import type { Events, SessionEvent } from './events.ts'
import type { Isolation, KeyOptions, KeyRules } from './isolation.ts'
import type { WhenFull } from './owners/owner.ts'
import type { SignedIn } from './owners/sign-in.ts'
import type { Schema, SessionSchema, ValuesOf } from './schema.ts'

/** The default of `idleTimeout`, in ms. */
export const IDLE_TIMEOUT: number = 60 * 60 * 1000

/** Options of a `SessionManager`. All times are in milliseconds. */
export interface ManagerOptions<S extends Schema | undefined = Schema | undefined> {
  /**
   * What events and metrics call this manager, in an application that has several. The middleware takes the name of its cookie or header. Default: `'sid'`.
   */
  readonly name?: string

  /** A store instance, such as `new RedisStore({ client })`. Cannot be combined with `provider`. Default: a store of `provider`. */
  readonly store?: Store

  /**
   * The name of the provider that makes the store: `memory`, `cookie`, `file`, `sqlite`, `redis`, `redis_cluster`,
   * `redis_sentinel`, `memcache`, `couchbase`, `mysql`, `postgres`, or a name given to `registerProvider`. Default: `'memory'`.
   */
  readonly provider?: string

  /** The provider's config string, in beego's syntax or as a URL: `'redis://127.0.0.1:6379/0'`. Default: `''`. */
  readonly providerConfig?: string

  /**
   * Encrypts and authenticates payloads, so that access to the backend is not enough to read or forge a session. For stores on
   * a server only; the cookie store always seals. Default: payloads are stored as readable text.
   */
  readonly seal?: SealOptions

  /** A session ends after this many ms without use. Default: 1 hour. */
  readonly idleTimeout?: number

  /**
   * A session ends this many ms after it began, however much it is used; `regenerate()` does not extend it. Must not be shorter
   * than `idleTimeout`. Default: 7 days, or `idleTimeout` if that is longer.
   */
  readonly absoluteTimeout?: number

  /**
   * The time limit for opening a session, in ms; exceeding it is an error with status 503. Keep it longer than the store's own
   * timeout of 5 seconds, so that the error can name the cause. Default: 6 seconds.
   */
  readonly openTimeout?: number

  /**
   * The time limit for a commit with all its retries, in ms; exceeding it is an error with status 503. A write that was already
   * sent may still be applied, at most once. Default: 12 seconds.
   */
  readonly commitTimeout?: number

  /** How many store calls may be in progress; further calls fail at once, except those of `destroy()`. Default: 1,000. */
  readonly maxPending?: number

  /**
   * Rotates IDs: a session whose ID is older than this many ms gets a new one with the next response that can set it. Limits how
   * long a stolen ID works. IDs in the query string, WebSockets and jobs keep theirs. Default: no rotation.
   */
  readonly rotateAfter?: number

  /**
   * How long the old ID stays valid after a rotation, in ms, for requests that are in progress. Later use is told by
   * {@link onRetired}. Must be shorter than `rotateAfter`. Default: 30 seconds.
   */
  readonly rotateGrace?: number

  /**
   * For how long after that, in ms, the store remembers to which session the old ID belonged, so that its use is recognised
   * and a `destroy()` with it ends the session. One small record for each rotation. Default: 24 hours, and never beyond the
   * session's absolute timeout.
   */
  readonly retiredFor?: number

  /**
   * What happens when an ID is used that was rotated more than `rotateGrace` ago: it was stolen, or its client never received
   * the new one. `'report'`: it opens nothing, and the event `retired-id` tells. `'revoke'`: the session is ended too, for
   * all clients that use it. Default: `'report'`.
   */
  readonly onRetired?: 'report' | 'revoke'

  /** How many sessions an owner may have, and how soon each notices that it was ended. Default: those of {@link OwnerOptions}. */
  readonly owners?: OwnerOptions

  /**
   * The hash that turns an ID into the key under which the store files the session: a name from `crypto.getHashes()` with at
   * least 160 bits. Changing it ends all sessions. Default: `'sha256'`.
   */
  readonly hash?: string

  /** A prefix of every session ID: at most 64 letters, digits, `-` and `_`. Default: `''`. */
  readonly idPrefix?: string

  /** Whether a stored session stays in the store after its last key was deleted. Default: `false`. */
  readonly keepEmpty?: boolean

  /**
   * A schema for each key, such as `{ userId: z.int() }`, of zod 4 or any library that follows Standard Schema. It types the
   * session; `set` throws for a value that does not fit, and for any other key. Schemas must be synchronous and must not change
   * values. Default: any key may hold any value.
   */
  readonly schema?: S

  /**
   * What happens when concurrent requests change the same key: `'snapshot'`, `'serializable'` or `'last-wins'`, see
   * {@link Isolation}. Default: `'snapshot'`.
   */
  readonly isolation?: Isolation

  /**
   * Isolation and merge of single keys, such as `{ tags: { merge: 'items' }, theme: { isolation: 'last-wins' } }`. Default: the
   * `isolation` above, and the `merge` of the value's class.
   */
  readonly keys?: { readonly [K in keyof ValuesOf<S> & string]?: KeyOptions }

  /** The classes whose instances can be stored, from `createRegistry()`. Default: the classes given to `registerType`. */
  readonly registry?: Registry

  /** Limits on what a session may hold, such as `{ bytes: 65_536 }`. Default: those documented at `Limits`. */
  readonly limits?: Partial<Limits>

  /**
   * The interval in ms at which expired sessions are removed from stores whose backend does not expire them; `0` disables it.
   * Default: 1 minute.
   */
  readonly sweepInterval?: number

  /** Receives events for logs and metrics. They contain no IDs and no values. Default: none. */
  readonly onEvent?: (event: SessionEvent) => void

  /** The clock: returns ms since the epoch. For tests. Default: `Date.now`. */
  readonly now?: () => number

  /** Waits for the given number of ms between two tries of a commit. For tests. Default: a timer. */
  readonly pause?: (ms: number) => Promise<void>
}

/** The sessions of owners: see `signIn`. */
export interface OwnerOptions {
  /** How many sessions an owner may have: 1 to 1,000. Default: 100. */
  readonly max?: number

  /**
   * What a sign-in does where there are as many already: `'unused'` ends the one that was not used for the longest time,
   * `'oldest'` the one that signed in first, `'refuse'` makes the commit throw `ERR_SESSION_LIMIT` with status 409. Default: `'unused'`.
   */
  readonly whenFull?: WhenFull

  /**
   * How often each process looks whether a session is still in its owner's record, in ms: what was ended in all ways that the
   * store knows is ended at once, so this is for stores that may lose records. `0` looks with each request. It must be given where
   * a shared store forgets entries to make room (`traits.evicts`). Default: 5 minutes.
   */
  readonly verifyEvery?: number

  /**
   * The store that keeps the records of owners, where the sessions' store may lose them: sessions in memcached, their owners in
   * PostgreSQL. Sealed as the sessions are, and closed with the manager. Default: the store of the sessions.
   */
  readonly store?: Store

  /**
   * Called when a session has signed in, before its client is told: to write a mail about a new device, for instance. It is not
   * waited for. Default: none.
   */
  readonly onSignIn?: (signedIn: SignedIn) => void
}

/** How payloads are encrypted in the store. */
export interface SealOptions {
  /**
   * The first key encrypts, all of them decrypt. Each is at least 32 random bytes, as a Buffer or as their text in base64 or
   * hex: `openssl rand -base64 32`.
   */
  readonly keys: readonly SealKey[]

  /**
   * The name of the application. What another application sealed with the same keys is refused, so that its records cannot be
   * copied here. Default: the prefix or the table of the store; a change of that, or of this name, ends all sessions. Set it if
   * applications that share keys keep their sessions in several databases or folders.
   */
  readonly application?: string

  /**
   * Until this date payloads that were stored without a seal are accepted, and sealed when their session is next used. For
   * turning on `seal` while sessions exist. Default: they are refused.
   */
  readonly plainUntil?: Date
}

/** Properties of the request, job or connection for which a session is opened. */
export interface OpenOptions {
  /** Does not extend the session, as for a page that polls. Default: `false`. */
  readonly passive?: boolean

  /** The user may never see the response, as with a prefetch, so `take` does not delete. Default: `false`. */
  readonly unseen?: boolean

  /**
   * Whether a new session may be stored; asked at most once. `false` makes the commit throw `ERR_SESSION_LIMIT` with status 429.
   * Default: it may.
   */
  readonly mayCreate?: (() => boolean | Promise<boolean>) | undefined

  /** @internal The session as the program writes it, for error messages. Default: `'session'`. */
  readonly expression?: string

  /** @internal The sessions of other libraries that the request has credentials of. `destroy()` ends them too. Default: none. */
  readonly old?: readonly OldCredential[]
}

/** The checked options of a manager with their defaults, as {@link ManagerOptions} documents them. */
export interface ManagerSettings {
  readonly store: Store
  readonly idleTimeout: number
  readonly absoluteTimeout: number
  readonly openTimeout: number
  readonly commitTimeout: number
  readonly maxPending: number
  readonly rotateAfter: number | undefined
  readonly rotateGrace: number
  readonly retiredFor: number
  readonly onRetired: 'report' | 'revoke'
  /** How long a redirect is kept at least, so that requests which began before it find out about it. In ms. */
  readonly redirectLife: number
  readonly owners: Pick<OwnerOptions, 'onSignIn' | 'store' | 'verifyEvery'> &
    Required<Pick<OwnerOptions, 'max' | 'whenFull'>>
  readonly hash: string
  readonly idPrefix: string
  readonly keepEmpty: boolean
  readonly registry: Registry
  readonly rules: KeyRules
  readonly limits: Limits
  readonly schema: SessionSchema | undefined
  readonly sweepInterval: number
  readonly name: string
  readonly events: Events
  readonly now: () => number
  readonly pause: (ms: number) => Promise<void>
}

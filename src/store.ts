/**
 * The contract of a store. Anything that keeps these promises is a store; this file imports nothing.
 *
 * A store keeps text under a key until a given time. The text, the *payload*, is opaque to it, with one exception: the
 * first {@link VERSION_LENGTH} characters are the payload's *version*. They are ASCII and unique to one commit, so a
 * backend without a compare-and-swap token of its own can compare them: `LEFT(session_data, 21)` in SQL,
 * `GETRANGE key 0 20` in Redis, the first 21 bytes of a file.
 *
 * Six rules hold for every verb:
 *
 * 1. **No verb upserts.** Only `create` makes an entry exist. A slow request can therefore never bring back a session
 *    that another request destroyed.
 * 2. **Each verb is one atomic step of the backend.** No other call takes effect between its comparison and its write.
 * 3. **Absence is a value, trouble is a rejection.** `undefined`, `'gone'`, `'exists'` and `'conflict'` are answers. A
 *    rejection means that the outcome is unknown, and should be a `SessionError` with the code `ERR_SESSION_STORE`.
 *    After a write that was rejected, the caller reads the entry and compares versions to find out what happened.
 * 4. **Expired is absent.** Every verb treats an entry whose `expiresAt` has come as absent, within the trait
 *    `resolution`, even if the backend has not removed it yet. So `create` replaces an expired entry.
 * 5. **Only the version identifies a payload.** A store whose token changes with every write, a `touch` included, must
 *    fall back on the version when the token of `base` does not match: an extension by `touch` is no conflict.
 * 6. **A refusal is not an outage.** A rejection says `answered: true` if the backend has answered, and refused: it is full,
 *    read-only, or does not allow this ({@link StoreRejection}). Any other rejection counts as silence.
 *
 * All times are milliseconds since the epoch. A key is 1 to 128 characters of `[0-9a-zA-Z_-]`, and case matters. Calls
 * may overlap. The text of a rejection contains no key, no payload and no password.
 */
export interface Store {
  readonly traits: StoreTraits

  /**
   * What tells the entries of this store from those of another application in the same backend: the prefix of its keys, or
   * the name of its table. Sealed payloads are bound to it. It is the same in all processes. Default: `''`.
   */
  readonly namespace?: string

  /**
   * For a `'client'` store: returns the same store for one carrier, which is the name of a cookie. A credential that one
   * carrier has issued is not accepted by another.
   */
  bind?(carrier: string): Store

  /** For a `'client'` store: a store on a server for what the client cannot keep, such as which sessions a user has. */
  readonly records?: Store

  /** Connects, and rejects if that fails. A store whose `open` is not called connects at its first verb. */
  open?(): Promise<void>

  /**
   * Returns the entry, or `undefined` if it is absent.
   *
   * `extendTo` asks for an extension of the entry's life to that time. A store obeys if the backend can do so in the
   * same round trip and without shortening a life; otherwise it ignores `extendTo`. In both cases the returned
   * `expiresAt` is a time until which the entry is certain to live, and the manager calls `touch` if that is too early.
   *
   * In a `'client'` store `key` is the credential, exactly as the client sent it. A credential that the store did not
   * issue is answered with `undefined`, not with a rejection.
   */
  read(key: string, extendTo?: number): Promise<Entry | undefined>

  /** Adds an entry. Answers `'exists'`, and changes nothing, if there is one already. */
  create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'>

  /**
   * Replaces payload and `expiresAt` if the stored version is still that of `base`. Answers `'gone'` if the entry is
   * absent, and `'conflict'` if it has another version; both change nothing. `base` comes from `read` or from an earlier
   * {@link Written}.
   */
  replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'>

  /**
   * Extends the entry's life to `expiresAt`; if it already lives longer, nothing changes and the answer is `'ok'`. It
   * never shortens a life, never creates an entry, and changes neither payload nor version.
   */
  touch(key: string, expiresAt: number): Promise<'ok' | 'gone'>

  /**
   * Removes the entry. `'gone'` means that it was absent already, which is no error. With `base` it removes the entry
   * only if the stored version is still that one; otherwise it answers `'conflict'` and changes nothing.
   *
   * `until` is a time by which every credential of the session will have expired. A `'client'` store that lists
   * destroyed sessions may forget this one then.
   */
  destroy(key: string, base?: Entry, until?: number): Promise<'ok' | 'conflict' | 'gone'>

  /** Releases what the store opened itself: connections, timers, files. A second call does nothing. */
  close(): Promise<void>
}

/** What a store returns: a payload, how long it lives, and what the backend needs to recognise it. */
export interface Entry {
  readonly payload: string
  /** The entry lives at least until this time, unless it is destroyed. */
  readonly expiresAt: number
  /** The backend's own compare-and-swap token, if it has one. Only the store that made it reads it. */
  readonly token?: unknown
  /** In a `'client'` store: the key under which the entry was created. The credential contains it. */
  readonly key?: string
  /** Whether the payload should be written again at the next occasion, because an old key sealed it. */
  readonly stale?: boolean
}

/**
 * What the error of a rejected verb tells about the backend. A `SessionError` has it; an error of another class may have it.
 *
 * Silence counts towards the circuit breaker: after several such failures in a row the store is left alone for a while. A
 * refusal does not, so that reads, touches and logouts go on where only writes are refused.
 */
export interface StoreRejection {
  /**
   * `true` if the backend has answered with a refusal, and nothing of this call is applied after the rejection. So it must not
   * be `true` if an earlier try of the same write was lost and may still arrive. Default: `false`, which means silence: a refused
   * or reset connection, a timeout, or an error about which the store knows nothing. A `TypeError`, `RangeError`, `ReferenceError`
   * or `AssertionError` without such trouble as its cause is a mistake in a program: it does not count as silence either, and the
   * call is not tried again.
   */
  readonly answered?: boolean
}

/** A write that was applied. */
export interface Written {
  /** The entry as it is stored now. It can be the `base` of the next write. */
  readonly entry: Entry
  /** What the client must hold from now on, if that is not the session ID: the sealed payload of the cookie store. */
  readonly credential?: string
}

/** How stores differ. The manager, the contract suite and the documentation read these, never a store's name. */
export interface StoreTraits {
  /** What error messages and the documentation call the store: `'redis'`. */
  readonly name: string
  /**
   * Where the payload lives. A `'client'` store keeps nothing on the server: each write returns a credential that
   * contains the payload. Its keys are session IDs rather than their hashes, since no backend could leak them. It never
   * answers `'conflict'`, and it does not extend lives.
   */
  readonly location: 'server' | 'client'
  /** Whether `destroy` takes effect at once and everywhere; in a `'client'` store, for all credentials of the session. */
  readonly revocable: boolean
  /** Whether several processes that open the same store see the same sessions. */
  readonly shared: boolean
  /** Whether entries survive a restart of the process. */
  readonly durable: boolean
  /**
   * Whether the store may forget an entry before its time to make room for others. Such a store cannot keep the list of
   * destroyed sessions of the cookie store. Default: `false`.
   */
  readonly evicts?: boolean
  /** The precision of `expiresAt` in ms: an entry is absent at most this long after that time, and never before it. */
  readonly resolution: number
  /** The largest payload in bytes of UTF-8; `Infinity` if the store sets no limit. */
  readonly maxBytes: number
}

/** The length of a version: how many characters at the beginning of a payload. */
export const VERSION_LENGTH = 21

/** The version of a payload. */
export function versionOf(payload: string): string {
  return payload.slice(0, VERSION_LENGTH)
}

/** Whether two payloads come from the same commit. */
export function sameVersion(one: string, other: string): boolean {
  return versionOf(one) === versionOf(other)
}

/** A store whose backend does not remove expired entries by itself. */
export interface Sweeping {
  /** Removes up to `limit` expired entries and returns how many it removed. It leaves all that is not the store's own. */
  sweep(limit: number): Promise<number>
}

/** What was found of one thing that can go wrong with a backend. */
export interface Finding {
  /** The thing, as a word or two: `'eviction'`. */
  readonly check: string
  readonly ok: boolean
  /** One sentence: what was found, and for a fault what to do. It holds nothing secret. */
  readonly text: string
}

/** A store that can look for what may go wrong with its backend, for `npx koa-typed-session doctor`. */
export interface Diagnosing {
  /** Looks, and changes nothing. What it may not look at is left out. */
  diagnose(): Promise<Diagnosis>
}

/** What {@link Diagnosing} has found. */
export interface Diagnosis {
  readonly findings: readonly Finding[]
  /** What the clock of the backend showed, in ms since the epoch, if it has one that matters. */
  readonly clock?: number
  /** Some keys of what is stored under the prefix or in the table of the store, by which others' records there are found. */
  readonly keys?: readonly string[]
}

/** A store that can count its living entries (beego's `SessionAll`). */
export interface Counting {
  count(): Promise<number>
}

/** Whether a verb was rejected by an answer of the backend. An error that does not say so counts as silence. */
export function isAnswer(error: unknown): boolean {
  const { answered }: { readonly answered?: unknown } = Object(error)
  return answered === true
}

/** Whether a store has the method of {@link Sweeping}. */
export function isSweeping(store: object): store is Sweeping {
  return 'sweep' in store && typeof store.sweep === 'function'
}

/** Whether a store has the method of {@link Counting}. */
export function isCounting(store: object): store is Counting {
  return 'count' in store && typeof store.count === 'function'
}

/** Whether a store has the method of {@link Diagnosing}. */
export function isDiagnosing(store: object): store is Diagnosing {
  return 'diagnose' in store && typeof store.diagnose === 'function'
}

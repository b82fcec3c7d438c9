/**
 * The contract of a store. It imports nothing: whoever can keep these promises is a store.
 *
 * A store keeps opaque text under a key, until a moment. It never looks into the text, save for one thing: the first
 * {@link VERSION_LENGTH} characters of a payload are its *version*. They are ASCII, unique to one commit, and all that
 * a backend without a token of its own has to compare: `LEFT(session_data, 21)`, `GETRANGE key 0 20`, the head of a file.
 *
 * Four rules hold for every verb:
 *
 * 1. **No verb upserts.** Only `create` makes something exist. A slow request can therefore never bring back what
 *    another one destroyed.
 * 2. **Each verb is one atomic step of the backend.** Between its look and its leap nobody else gets in.
 * 3. **Absence is a value, trouble is a rejection.** `undefined`, `'gone'`, `'exists'` and `'conflict'` are answers. A
 *    rejection means that the outcome is unknown, and should be a `SessionError` with the code `ERR_SESSION_STORE`.
 * 4. **Expired is absent.** Every verb treats an entry whose `expiresAt` has come as not there, to the trait's
 *    `resolution`, whether or not the backend has removed it yet.
 *
 * All times are milliseconds since the epoch. Keys are 1 to 128 characters of `[0-9a-zA-Z_-]`. Calls may overlap freely. Nothing in a rejection's text shows a key, a payload or a password.
 */
export interface Store {
  readonly traits: StoreTraits

  /**
   * For a `'client'` store: the same store for one carrier alone, a cookie's name. What it hands out opens nothing when it
   * is presented under another name.
   */
  bind?(carrier: string): Store

  /** Connects now, and rejects when that fails. Without it a store connects by itself at the first verb. */
  open?(): Promise<void>

  /**
   * The living entry, or `undefined`.
   *
   * With `extendTo`, a backend that can do so in the same round trip also extends the entry's life to that moment; one
   * that cannot ignores it. Either way the returned `expiresAt` tells how long the entry now lives at least, and that
   * is how the manager knows whether a `touch` is due.
   *
   * In a `'client'` store `key` is the credential, whatever a client may have sent, and what is no credential of ours is nobody.
   */
  read(key: string, extendTo?: number): Promise<Entry | undefined>

  /** Inserts if nobody living is there, else `'exists'` and nothing has changed. */
  create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'>

  /**
   * Replaces payload and life if the stored version is still the one of `base`. Never creates: `'gone'` if nobody is
   * there, `'conflict'` if somebody else's payload is. `base` may come from `read`, or from an earlier `Written`.
   */
  replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'>

  /** Extends the life, and never shortens it. Never creates, never carries data, leaves the version alone. */
  touch(key: string, expiresAt: number): Promise<'ok' | 'gone'>

  /**
   * Ends the entry for good. `'gone'` if nobody was there, which is no error. With `base`, only if the stored version is
   * still that one, else `'conflict'` and nothing has changed.
   *
   * By `until` every credential of the session will have expired: a `'client'` store need not remember its end for longer.
   */
  destroy(key: string, base?: Entry, until?: number): Promise<'ok' | 'conflict' | 'gone'>

  /** Lets go of what the store opened itself: connections, timers, files. Calling it again does nothing. */
  close(): Promise<void>
}

/** What a store hands out: a payload, how long it lives, and whatever the backend needs to recognise it again. */
export interface Entry {
  readonly payload: string
  /** The entry lives at least until then, unless somebody ends it. */
  readonly expiresAt: number
  /** The backend's own compare-and-swap token, where it has one. Only the store that made it looks at it. */
  readonly token?: unknown
  /** In a `'client'` store: the key that the entry was created under, which the credential carries. */
  readonly key?: string
  /** It should be written anew when there is occasion: it was sealed by a key that is on its way out. */
  readonly stale?: boolean
}

/** A write that was applied. */
export interface Written {
  /** The entry as it now stands, good as the `base` of the next write. */
  readonly entry: Entry
  /** What the client must hold from now on, where that is not the session ID: the sealed payload of the cookie store. */
  readonly credential?: string
}

/** How stores differ. The manager, the contract suite and the documentation read this, never a store's name. */
export interface StoreTraits {
  /** What errors and documentation call the store: `'redis'`. */
  readonly name: string
  /**
   * Where the payload lives. A `'client'` store keeps nothing: each write answers with a credential that holds it all. Its keys
   * are session IDs as they are, since there is nothing of which they could leak, and it neither conflicts nor extends.
   */
  readonly location: 'server' | 'client'
  /** Destroyed means gone, everywhere and at once; in a `'client'` store for all credentials of the session. */
  readonly revocable: boolean
  /** Several processes that open the same store see the same sessions. */
  readonly shared: boolean
  /** Entries survive a restart of the process. */
  readonly durable: boolean
  /** The grain of `expiresAt` in ms: an entry is gone at most this long after its moment, and never before it. */
  readonly resolution: number
  /** The largest payload in bytes of UTF-8; `Infinity` if the store sets no limit. */
  readonly maxBytes: number
}

/** How many characters at the head of every payload are its version. */
export const VERSION_LENGTH = 21

/** A store whose backend does not remove expired entries by itself. */
export interface Sweeping {
  /** Removes up to `limit` expired entries and tells how many it removed. Touches nothing that is not the store's own. */
  sweep(limit: number): Promise<number>
}

/** A store that can tell how many entries live in it (beego's `SessionAll`). */
export interface Counting {
  count(): Promise<number>
}

/** Whether a store has what {@link Sweeping} asks for. */
export function isSweeping(store: object): store is Sweeping {
  return 'sweep' in store && typeof store.sweep === 'function'
}

/** Whether a store has what {@link Counting} asks for. */
export function isCounting(store: object): store is Counting {
  return 'count' in store && typeof store.count === 'function'
}

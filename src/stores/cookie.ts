import * as crypto from 'node:crypto'
import { createKeyRing, type SealKey } from '../codec/seal/key-ring.ts'
import { Sealer } from '../codec/seal/sealer.ts'
import {
  isSweeping,
  type Entry,
  type Store,
  type StoreTraits,
  type Sweeping,
  type Written,
} from '../store.ts'
import { parseCookieConfig } from './cookie/config.ts'
import { Credentials } from './cookie/credential.ts'
import {
  assertFunction,
  assertOptions,
  assertWhole,
  optionError,
  type OptionNames,
} from './shared/options.ts'
import { assertFits } from './shared/payload-limit.ts'

export type { SealKey } from '../codec/seal/key-ring.ts'

/** Options of the {@link CookieStore}. */
export interface CookieStoreOptions {
  /**
   * The first key seals, all of them open. Each is at least 32 random bytes, as a Buffer or as their text in base64 or hex:
   * `openssl rand -base64 32`.
   */
  readonly keys: readonly SealKey[]
  /** The name of the application, if several share keys: none accepts the sessions of another. Default: `''`. */
  readonly name?: string
  /**
   * A server-side store for a list of destroyed sessions, each until its last cookie has expired. It makes `destroy` and
   * `regenerate` final. Every request with a session reads it. It must not evict entries (`traits.evicts`); one that only this
   * process can see, or that a restart forgets, gives the warning `KTS_LOCAL_REVOCATIONS`. Default: none.
   */
  readonly revocations?: Store
  /**
   * Whether a session that would need several cookies is compressed. The length of a compressed session gives hints about its
   * content: set `false` if sessions contain both secrets and text that an attacker can choose. Default: `true`.
   */
  readonly compress?: boolean
  /**
   * How much memory the sessions of the cookies that were opened last may take in this process, in bytes, so that a cookie which comes
   * again need not be decrypted again. `0` keeps no session after its request. Default: 4,194,304 (4 MiB).
   */
  readonly cacheBytes?: number
  /** The clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

/** The largest payload. Whatever it contains, its credential is no longer than three cookies can carry. */
const MAX_BYTES = 8_704
const CACHE_BYTES = 4_194_304
/** How long {@link CookieStore.destroy} remembers a session without `until`, in ms: no browser keeps a cookie longer. */
const LONGEST_LIFE = 400 * 24 * 60 * 60 * 1000
/** How much the clocks of two servers may differ, in ms, before a destroyed session could come back. */
const SLACK = 60 * 60 * 1000

const OPTIONS: OptionNames<CookieStoreOptions> = {
  keys: true,
  name: true,
  revocations: true,
  compress: true,
  cacheBytes: true,
  now: true,
}

/**
 * Sessions in the browser: sealed with AES-256-GCM, so that a client can neither read nor change them, and with their expiry
 * inside. The server keeps nothing, except a list of destroyed sessions if `revocations` is given.
 *
 * Concurrent changes of one session cannot be detected: the response that arrives last wins. Without `revocations`, a copy of
 * the cookie of a destroyed session stays valid until it expires.
 *
 * ```ts
 * app.use(session({ store: new CookieStore({ keys: [key] }) }))
 * ```
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` for keys that are short or can be guessed
 */
export class CookieStore implements Store {
  readonly traits: StoreTraits
  /** The store of `revocations`, which keeps the records of owners too. */
  declare readonly records?: Store
  /** Present if the list of destroyed sessions needs sweeps. */
  declare readonly sweep?: Sweeping['sweep']

  readonly #options: CookieStoreOptions
  readonly #credentials: Credentials
  readonly #revocations: Store | undefined
  readonly #now: () => number

  /** A store from the JSON config of this library, or of beego. */
  static fromConfig(config: string, { now }: { readonly now: () => number }): CookieStore {
    const { cookie: _cookie, ...options } = parseCookieConfig(config)
    return new CookieStore({ ...options, now })
  }

  /** @param carrier the name of the cookie that the credentials are for; see {@link bind} */
  constructor(options: CookieStoreOptions, carrier = '') {
    assertOptions('cookie', options, OPTIONS)
    const {
      keys,
      name = '',
      revocations,
      compress = true,
      cacheBytes = CACHE_BYTES,
      now = Date.now,
    } = options
    assertFunction('cookie', 'now', now)
    assertWhole('cookie', 'cacheBytes', cacheBytes, 0)
    if (revocations !== undefined) checkRevocations(revocations)
    this.#options = options
    const sealer = new Sealer(createKeyRing(keys, 'cookie: keys'), ['cookie', name, carrier])
    this.#credentials = new Credentials(sealer, compress, cacheBytes)
    this.#revocations = revocations
    if (revocations !== undefined) this.records = revocations
    this.#now = now
    if (revocations !== undefined && isSweeping(revocations))
      this.sweep = async (limit) => revocations.sweep(limit)
    this.traits = {
      name: 'cookie',
      location: 'client',
      revocable: revocations !== undefined,
      shared: true,
      durable: true,
      resolution: 1,
      maxBytes: MAX_BYTES,
    }
  }

  bind(carrier: string): CookieStore {
    return new CookieStore(this.#options, carrier)
  }

  async open(): Promise<void> {
    await this.#revocations?.open?.()
  }

  /** The session in a credential; `undefined` if it was tampered with, has expired or was destroyed. */
  async read(credential: string): Promise<Entry | undefined> {
    const entry = this.#credentials.open(credential)
    if (entry?.key === undefined || entry.expiresAt <= this.#now()) return undefined
    return (await this.#isRevoked(entry.key)) ? undefined : entry
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written> {
    return this.#seal('create', key, payload, expiresAt)
  }

  /**
   * Reads the list before it seals. A session that is destroyed in between stays destroyed: the list contains sessions, not
   * credentials, so it covers the new credential too.
   */
  async replace(key: string, payload: string, expiresAt: number, base: Entry): Promise<Written | 'gone'> {
    const sealedKey = base.key ?? key
    if (await this.#isRevoked(sealedKey)) return 'gone'
    return this.#seal('replace', sealedKey, payload, expiresAt)
  }

  /** Extends nothing: a longer life needs a new credential, and only `replace` can return one. */
  async touch(key: string): Promise<'ok' | 'gone'> {
    return (await this.#isRevoked(key)) ? 'gone' : 'ok'
  }

  /** Adds the session to the list; of concurrent calls one answers `'ok'`. Without a list it does nothing. */
  async destroy(key: string, base?: Entry, until?: number): Promise<'ok' | 'gone'> {
    if (this.#revocations === undefined) return 'ok'
    const last = until ?? this.#now() + LONGEST_LIFE
    const mark = `kts1 ${crypto.randomBytes(12).toString('base64url')} ended`
    const listed = await this.#revocations.create(listKey(base?.key ?? key), mark, last + SLACK)
    return listed === 'exists' ? 'gone' : 'ok'
  }

  /** Closes the store of `revocations`. */
  async close(): Promise<void> {
    await this.#revocations?.close()
  }

  async #isRevoked(key: string): Promise<boolean> {
    return this.#revocations !== undefined && (await this.#revocations.read(listKey(key))) !== undefined
  }

  #seal(verb: string, key: string, payload: string, expiresAt: number): Written {
    assertFits(this.traits, verb, payload)
    const entry = { payload, expiresAt, key }
    return { entry, credential: this.#credentials.seal(entry) }
  }
}

/** A list that forgets a session before its last cookie has expired would bring back what was ended. */
function checkRevocations(store: Store): void {
  const { traits }: { readonly traits?: StoreTraits } = Object(store)
  if (traits === undefined)
    throw optionError('cookie', 'revocations: must be a store, such as new RedisStore({ url })')
  const { name, location, evicts, shared, durable } = traits
  if (location !== 'server')
    throw optionError('cookie', 'revocations: must be a store that keeps its entries on a server')
  if (evicts === true)
    throw optionError(
      'cookie',
      `revocations: the ${name} store may forget entries to make room, and then ended sessions would live on; give a store that keeps each until its time`,
    )
  if ((shared && durable) || warned) return
  warned = true
  process.emitWarning(
    `The list of ended sessions is in a ${name} store: other processes do not see it, or a restart forgets it, and then ended sessions live on. ` +
      'Use a store outside of this process.',
    { type: 'SessionWarning', code: 'KTS_LOCAL_REVOCATIONS' },
  )
}

let warned = false

/** The key of a session in the list: a hash, as in every store, so that the list reveals no session ID. */
function listKey(key: string): string {
  return crypto.hash('sha256', `ended ${key}`, 'hex')
}

import * as crypto from 'node:crypto'
import { createKeyRing, type SealKey } from '../codec/seal/key-ring.ts'
import { Sealer } from '../codec/seal/sealer.ts'
import { SessionError } from '../errors.ts'
import {
  isSweeping,
  type Entry,
  type Store,
  type StoreTraits,
  type Sweeping,
  type Written,
} from '../store.ts'
import { parseCookieConfig } from './cookie/config.ts'
import { deflate, inflate } from './cookie/deflate.ts'
import { assertFits } from './shared/payload-limit.ts'

export type { SealKey } from '../codec/seal/key-ring.ts'

/** Settings of the {@link CookieStore}. */
export interface CookieStoreOptions {
  /** The first one seals, all of them open. Each has at least 32 random bytes: `crypto.randomBytes(32)`. */
  readonly keys: readonly SealKey[]
  /** Whose sessions these are, where two applications share keys: neither opens what the other one sealed. Default: `''`. */
  readonly name?: string
  /**
   * Where ended sessions are listed until the last of their cookies has expired, so that `destroy` and `regenerate` are
   * final: any store that keeps them on a server. It is asked at every request that brings a session. Default: none.
   */
  readonly revocations?: Store
  /**
   * Whether a session that would need several cookies is compressed. The length of a compressed session tells something
   * about what is in it: set `false` where sessions hold both secrets and text that a stranger can choose. Default: `true`.
   */
  readonly compress?: boolean
  /** The clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

/** The longest credential. Three cookies carry it, and Node, which takes 16 KiB of headers, has room for the others. */
const MAX_CREDENTIAL = 12_000
/** Whatever is in a payload of this size, its credential is no longer than that. */
const MAX_BYTES = 8_704
/** Up to here one cookie is enough, and compression would save nothing but bytes. */
const ONE_COOKIE = 2_800
/** What {@link CookieStore.destroy} assumes where nobody tells it more: no browser keeps a cookie longer. */
const LONGEST_LIFE = 400 * 24 * 60 * 60 * 1000
/** How far the clocks of two servers may be apart before an ended session could come back. */
const SLACK = 60 * 60 * 1000
const LAST_MOMENT = 8.64e15

const SETTINGS = new Set(['keys', 'name', 'revocations', 'compress', 'now'])
const SEALED = /^([\da-z]{1,11}) ([\w-]{1,128})\n/

/**
 * Sessions in the browser: sealed with AES-256-GCM, so that nobody can read or change them, and with their deadline inside.
 * The server keeps nothing, save for a list of ended sessions if it is given one.
 *
 * Of two requests that change one session at the same time, the one whose answer arrives last wins: there is nobody to
 * compare and swap. Without `revocations` an ended session's cookie, if somebody kept it, is good until it expires.
 *
 * ```ts
 * app.use(session({ store: new CookieStore({ keys: [key] }) }))
 * ```
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` for keys that are short or can be guessed
 */
export class CookieStore implements Store {
  readonly traits: StoreTraits
  /** There where the list of ended sessions has to be swept. */
  declare readonly sweep?: Sweeping['sweep']

  readonly #options: CookieStoreOptions
  readonly #sealer: Sealer
  readonly #revocations: Store | undefined
  readonly #now: () => number

  /** A store for our JSON or beego's. */
  static fromConfig(config: string, { now }: { readonly now: () => number }): CookieStore {
    const { cookie: _cookie, ...options } = parseCookieConfig(config)
    return new CookieStore({ ...options, now })
  }

  /** @param carrier the cookie for which the store seals; see {@link bind} */
  constructor(options: CookieStoreOptions, carrier = '') {
    const { keys, name = '', revocations, now = Date.now } = options
    const stray = Object.keys(options).find((field) => !SETTINGS.has(field))
    if (stray !== undefined) throw wrong(stray, 'is not a setting') // a misspelled `revocations` would revoke nothing
    this.#options = options
    this.#sealer = new Sealer(createKeyRing(keys, 'cookie: keys'), ['cookie', name, carrier])
    this.#revocations = revocations
    this.#now = now
    if (revocations !== undefined && revocations.traits.location !== 'server')
      throw wrong('revocations', 'must be a store that keeps its entries on a server')
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

  /** The session in a credential, unless it was tampered with, has expired or was ended. */
  async read(credential: string): Promise<Entry | undefined> {
    const entry = this.#unseal(credential)
    if (entry?.key === undefined || (await this.#isRevoked(entry.key))) return undefined
    return entry
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written> {
    return this.#seal('create', key, payload, expiresAt)
  }

  /**
   * Asks the list before it seals. If the session is ended in between, the new credential is of an ended session all the
   * same: what is listed is the session, not a credential.
   */
  async replace(key: string, payload: string, expiresAt: number, base: Entry): Promise<Written | 'gone'> {
    const mine = base.key ?? key
    if (await this.#isRevoked(mine)) return 'gone'
    return this.#seal('replace', mine, payload, expiresAt)
  }

  /** Extends nothing: a longer life needs another credential, and only `replace` hands one out. */
  async touch(key: string): Promise<'ok' | 'gone'> {
    return (await this.#isRevoked(key)) ? 'gone' : 'ok'
  }

  /** Puts the session on the list; of many at once one is told that it was the one. Without a list it does nothing. */
  async destroy(key: string, base?: Entry, until?: number): Promise<'ok' | 'gone'> {
    if (this.#revocations === undefined) return 'ok'
    const last = until ?? this.#now() + LONGEST_LIFE
    const mark = `kts1 ${crypto.randomBytes(12).toString('base64url')} ended`
    const listed = await this.#revocations.create(listKey(base?.key ?? key), mark, last + SLACK)
    return listed === 'exists' ? 'gone' : 'ok'
  }

  /** Closes the list. */
  async close(): Promise<void> {
    await this.#revocations?.close()
  }

  async #isRevoked(key: string): Promise<boolean> {
    return this.#revocations !== undefined && (await this.#revocations.read(listKey(key))) !== undefined
  }

  #seal(verb: string, key: string, payload: string, expiresAt: number): Written {
    assertFits(this.traits, verb, payload)
    const moment = Math.ceil(Math.min(Math.max(expiresAt, 0), LAST_MOMENT)).toString(36)
    const text = Buffer.from(`${moment} ${key}\n${payload}`)
    const compress = this.#options.compress !== false && text.length > ONE_COOKIE
    const credential = this.#sealer.seal(compress ? deflate(text) : text)
    return { entry: { payload, expiresAt, key }, credential }
  }

  #unseal(credential: string): Entry | undefined {
    const opened = credential.length > MAX_CREDENTIAL ? undefined : this.#sealer.open(credential)
    const text = opened && inflate(opened.plain, MAX_CREDENTIAL)?.toString()
    const [head, moment = '', key] = SEALED.exec(text ?? '') ?? []
    if (opened === undefined || text === undefined || head === undefined || key === undefined)
      return undefined
    const expiresAt = Number.parseInt(moment, 36)
    if (expiresAt <= this.#now()) return undefined
    return { payload: text.slice(head.length), expiresAt, key, stale: opened.stale }
  }
}

/** The list does not show which sessions were ended, as no store shows an ID. */
function listKey(key: string): string {
  return crypto.hash('sha256', `ended ${key}`, 'hex')
}

function wrong(field: string, text: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `cookie: ${field}: ${text}`)
}

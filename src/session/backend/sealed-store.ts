import { createKeyRing } from '../../codec/seal/key-ring.ts'
import { Sealer } from '../../codec/seal/sealer.ts'
import { SessionError } from '../../errors.ts'
import {
  isCounting,
  isDiagnosing,
  isSweeping,
  VERSION_LENGTH,
  versionOf,
  type Counting,
  type Diagnosing,
  type Entry,
  type Store,
  type StoreTraits,
  type Sweeping,
  type Written,
} from '../../store.ts'
import type { SealOptions } from '../options.ts'

/** Separates the version from the sealed rest. In a plain payload a digit follows the version. */
const GAP = ' '
/** What a seal adds to the length besides a third: format tag, key ID, dots, nonce and tag, in base64url. */
const OVERHEAD = 80

/**
 * Payloads are encrypted and authenticated against anyone with access to the backend. The version stays readable, so every
 * backend compares and swaps as before. It and the key of the record are authenticated too, so that a sealed payload opens
 * only in its own record, and only with its own version; and it opens only for its own application, whatever keys are
 * shared.
 */
export class SealedStore implements Store {
  /** Present where the store has them. */
  declare readonly sweep?: Sweeping['sweep']
  declare readonly count?: Counting['count']
  declare readonly diagnose?: Diagnosing['diagnose']

  readonly #store: Store
  /** The traits of the store, as they were when {@link traits} was made of them. */
  #storeTraits: StoreTraits | undefined
  #traits: StoreTraits | undefined
  readonly #sealer: Sealer
  readonly #plainUntil: number
  readonly #now: () => number

  constructor(store: Store, { keys, application, plainUntil }: SealOptions, now: () => number) {
    this.#store = store
    const owner = application === undefined ? ['store', store.namespace ?? ''] : ['application', application]
    this.#sealer = new Sealer(createKeyRing(keys, 'session: seal.keys'), ['record', ...owner])
    this.#plainUntil = plainUntil?.getTime() ?? -Infinity
    this.#now = now
    if (isSweeping(store)) this.sweep = async (limit) => store.sweep(limit)
    if (isCounting(store)) this.count = async () => store.count()
    if (isDiagnosing(store)) this.diagnose = async () => store.diagnose()
  }

  /** Those of the store, which may know some of them only when it has connected. */
  get traits(): StoreTraits {
    const { traits } = this.#store
    if (this.#traits === undefined || traits !== this.#storeTraits) {
      const maxBytes = Math.floor(((traits.maxBytes - VERSION_LENGTH - OVERHEAD) / 4) * 3) + VERSION_LENGTH
      this.#storeTraits = traits
      this.#traits = { ...traits, maxBytes }
    }
    return this.#traits
  }

  async open(): Promise<void> {
    await this.#store.open?.()
  }

  /** @throws SessionError `ERR_SESSION_PAYLOAD` if what is stored was not sealed for this record by a key of the ring */
  async read(key: string, extendTo?: number): Promise<Entry | undefined> {
    const stored = await this.#store.read(key, extendTo)
    if (stored === undefined) return undefined
    const version = versionOf(stored.payload)
    const opened = this.#sealer.open(
      stored.payload.slice(VERSION_LENGTH + GAP.length),
      contextOf(key, version),
    )
    if (opened !== undefined) {
      return entryOf(stored, version + opened.plain.toString(), opened.stale)
    }
    if (this.#now() < this.#plainUntil && isPlain(stored.payload))
      return entryOf(stored, stored.payload, true)
    throw new SessionError(
      'ERR_SESSION_PAYLOAD',
      'the stored session is not sealed for this record and application by one of seal.keys',
    )
  }

  async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    const written = await this.#store.create(key, this.#seal('create', key, payload), expiresAt)
    return typeof written === 'string' ? written : { entry: entryOf(written.entry, payload, false) }
  }

  async replace(
    key: string,
    payload: string,
    expiresAt: number,
    base: Entry,
  ): Promise<Written | 'conflict' | 'gone'> {
    const written = await this.#store.replace(
      key,
      this.#seal('replace', key, payload),
      expiresAt,
      storedOf(base),
    )
    return typeof written === 'string' ? written : { entry: entryOf(written.entry, payload, false) }
  }

  async touch(key: string, expiresAt: number): Promise<'ok' | 'gone'> {
    return this.#store.touch(key, expiresAt)
  }

  async destroy(key: string, base?: Entry): Promise<'ok' | 'conflict' | 'gone'> {
    return this.#store.destroy(key, base && storedOf(base))
  }

  async close(): Promise<void> {
    await this.#store.close()
  }

  #seal(verb: string, key: string, payload: string): string {
    const { name, maxBytes } = this.traits
    if (payload.length * 3 > maxBytes && Buffer.byteLength(payload) > maxBytes) {
      const text = `${name}: ${verb} refused, the payload has ${Buffer.byteLength(payload)} bytes and may have ${maxBytes} before it is sealed`
      throw new SessionError('ERR_SESSION_LIMIT', text)
    }
    const version = versionOf(payload)
    const rest = Buffer.from(payload.slice(VERSION_LENGTH))
    return version + GAP + this.#sealer.seal(rest, contextOf(key, version))
  }
}

function contextOf(key: string, version: string): string {
  return `${key} ${version}`
}

/** The entry as the manager sees it, with the stored entry as its token. */
function entryOf(stored: Entry, payload: string, stale: boolean): Entry {
  return { payload, expiresAt: stored.expiresAt, token: stored, stale }
}

/** The entry that the store itself has handed out. */
function storedOf(base: Entry): Entry {
  return isEntry(base.token) ? base.token : base
}

function isEntry(token: unknown): token is Entry {
  return typeof token === 'object' && token !== null && 'payload' in token && 'expiresAt' in token
}

/** Whether the payload has no sealed format; those are refused whatever the date. */
function isPlain(payload: string): boolean {
  return !/^ s\d+\./.test(payload.slice(VERSION_LENGTH))
}

import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Sealer } from '../../codec/seal/sealer.ts'
import type { Entry } from '../../store.ts'
import { OpenedCredentials } from './opened-credentials.ts'

/** The longest credential. It fits into three cookies, and leaves room for others in the 16 KiB of headers that Node accepts. */
const MAX_CREDENTIAL = 12_000
/** The longest text that fits into one cookie. A compressed session of this length would need one cookie as well. */
const ONE_COOKIE = 2_800
const LAST_MOMENT = 8.64e15

/** The text in a credential: the expiry in ms, base 36, the key, and then the payload. */
const HEAD = /^([\da-z]{1,11}) ([\w-]{1,128})\n/

/** The first byte of a compressed text. No other text begins with it. */
const COMPRESSED = Buffer.of(0)

/** Seals sessions as credentials, and opens these. */
export class Credentials {
  readonly #sealer: Sealer
  readonly #mayCompress: boolean
  readonly #opened: OpenedCredentials

  constructor(sealer: Sealer, mayCompress: boolean, cacheBytes: number) {
    this.#sealer = sealer
    this.#mayCompress = mayCompress
    this.#opened = new OpenedCredentials(cacheBytes)
  }

  /** The credential of a session: sealed, and compressed if that saves a cookie. */
  seal({ payload, expiresAt, key }: Entry): string {
    const moment = Math.ceil(Math.min(Math.max(expiresAt, 0), LAST_MOMENT)).toString(36)
    const text = `${moment} ${key}\n${payload}`
    const bytes = Buffer.from(text)
    const credential = this.#sealer.seal(
      this.#mayCompress && bytes.length > ONE_COOKIE ? deflate(bytes) : bytes,
    )
    // It is what the next request brings. Only of ASCII it is certain without decoding that it comes back as this text.
    const entry = bytes.length === text.length ? entryOf(text, false) : undefined
    if (entry !== undefined) this.#opened.add(credential, entry)
    return credential
  }

  /** The session in a credential; `undefined` if the credential was not issued by this store. It may have expired. */
  open(credential: string): Entry | undefined {
    if (credential.length > MAX_CREDENTIAL) return undefined
    const known = this.#opened.get(credential)
    if (known !== undefined) return known
    const entry = this.#decrypt(credential)
    if (entry !== undefined) this.#opened.add(credential, entry)
    return entry
  }

  #decrypt(credential: string): Entry | undefined {
    const opened = this.#sealer.open(credential)
    const text = opened && inflate(opened.plain)?.toString()
    return opened === undefined || text === undefined ? undefined : entryOf(text, opened.stale)
  }
}

/** The session in the text of a credential. */
function entryOf(text: string, stale: boolean): Entry | undefined {
  const [head, moment = '', key] = HEAD.exec(text) ?? []
  if (head === undefined || key === undefined) return undefined
  return { payload: text.slice(head.length), expiresAt: Number.parseInt(moment, 36), key, stale }
}

/** The bytes compressed, or unchanged if that is shorter. */
function deflate(bytes: Buffer): Buffer {
  const deflated = deflateRawSync(bytes)
  return deflated.length + COMPRESSED.length < bytes.length ? Buffer.concat([COMPRESSED, deflated]) : bytes
}

/** The bytes that {@link deflate} was given; `undefined` if they are damaged or longer than any credential. */
function inflate(bytes: Buffer): Buffer | undefined {
  if (!bytes.subarray(0, COMPRESSED.length).equals(COMPRESSED)) return bytes
  try {
    return inflateRawSync(bytes.subarray(COMPRESSED.length), { maxOutputLength: MAX_CREDENTIAL })
  } catch {
    return undefined
  }
}

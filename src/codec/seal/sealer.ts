import type { KeyRing, RingKey } from './key-ring.ts'
import { XaesKey } from './xaes.ts'

/** The first part of sealed text, so that later formats can be told apart. It is authenticated. */
const FORMAT = 's1'

/** Sealed text, decrypted. */
export interface Opened {
  readonly plain: Buffer
  /** Whether it was sealed by a key that is no longer the first, and should be sealed again. */
  readonly stale: boolean
}

/**
 * Encrypts and authenticates text for one purpose, with the keys of a key ring. The result is
 * `s1.<key ID>.<base64url>`.
 *
 * Each purpose has its own subkeys, so text sealed for one purpose cannot be opened for another. Format, key ID and the
 * `context` given to {@link seal} are associated data: {@link open} needs the same ones.
 */
export class Sealer {
  readonly #keys: ReadonlyMap<string, XaesKey>
  readonly #first: XaesKey
  /** The format and the ID of the first key, as sealed text begins. */
  readonly #head: string

  constructor(ring: KeyRing, purpose: readonly string[]) {
    const keyOf = (key: RingKey): XaesKey => new XaesKey(key.subkey(JSON.stringify(purpose)))
    const [first, ...others] = ring
    this.#head = `${FORMAT}.${first.id}.`
    this.#first = keyOf(first)
    this.#keys = new Map([[first.id, this.#first], ...others.map((key) => [key.id, keyOf(key)] as const)])
  }

  seal(plain: Uint8Array, context = ''): string {
    return this.#head + this.#first.seal(plain, this.#head + context).toString('base64url')
  }

  /** Returns `undefined` if the text was not sealed for this purpose and context by a key of the ring. Never throws. */
  open(text: string, context = ''): Opened | undefined {
    const start = FORMAT.length + 1
    const end = text.indexOf('.', start)
    const id = text.startsWith(`${FORMAT}.`) ? text.slice(start, end) : ''
    const key = this.#keys.get(id)
    if (key === undefined || end === -1) return undefined
    const body = text.slice(end + 1)
    const sealed = Buffer.from(body, 'base64url')
    // Node's decoder accepts several spellings of the same bytes and skips invalid characters. Only one is accepted.
    if (sealed.toString('base64url') !== body) return undefined
    const plain = key.open(sealed, `${FORMAT}.${id}.${context}`)
    return plain && { plain, stale: key !== this.#first }
  }
}

import type { KeyRing, RingKey } from './key-ring.ts'
import { XaesKey } from './xaes.ts'

/** Stands first, so that a later format can be told from this one, and is part of what the seal guards. */
const FORMAT = 's1'

/** What was inside a seal. */
export interface Opened {
  readonly plain: Buffer
  /** It was sealed by a key that is no longer the first: seal it anew when there is occasion. */
  readonly stale: boolean
}

/**
 * Seals text for one purpose, with the keys of a ring: nobody else can read it, or change one bit of it, or use it for
 * anything else. `s1.<key ID>.<base64url>`.
 *
 * Each purpose has subkeys of its own, so what was sealed for one does not open for another. Format, key ID and the
 * `context` given to {@link seal} are associated data: they must be the same to open it.
 */
export class Sealer {
  readonly #keys: ReadonlyMap<string, XaesKey>
  readonly #first: XaesKey
  /** Format and ID of the key that seals. */
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

  /** `undefined` for whatever was not sealed for this purpose and context by a key of the ring; never throws. */
  open(text: string, context = ''): Opened | undefined {
    const start = FORMAT.length + 1
    const end = text.indexOf('.', start)
    const id = text.startsWith(`${FORMAT}.`) ? text.slice(start, end) : ''
    const key = this.#keys.get(id)
    if (key === undefined || end === -1) return undefined
    const body = text.slice(end + 1)
    const sealed = Buffer.from(body, 'base64url')
    // One spelling per seal: base64url as Node reads it has many, and skips what is none.
    if (sealed.toString('base64url') !== body) return undefined
    const plain = key.open(sealed, `${FORMAT}.${id}.${context}`)
    return plain && { plain, stale: key !== this.#first }
  }
}

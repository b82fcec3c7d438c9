/** A pseudo-random generator of 32 bits (Mulberry32, by Tommy Ettinger): the same seed gives the same headers. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const NASTY = [
  '', '""', '"', "'", "' OR 1=1 --", '../../etc/passwd', '%00', '%0d%0aset 1 0 0', '%zz', '\t', '__proto__', 'constructor',
  '{"a":1}', '[object Object]', 'null', 'undefined', '-1', '1e309', 'NaN', ',', '=', '==', '; ', ';;;', '\\', '\x80\xff', 'é',
  '$where', '*', '?', '#', '{{7*7}}', '<script>', 'j:{"a":1}', 's:abc.def', 'kts1 ',
] // prettier-ignore

/** Makes header values that a client could send: noise, and variations on a real one. */
export class Fuzz {
  readonly #random: () => number
  readonly #real: string

  constructor(seed: number, real: string) {
    this.#random = randomOf(seed)
    this.#real = real
  }

  /** A value for a place where an ID is expected. */
  value(): string {
    switch (this.#below(9)) {
      case 0:
        return this.#pick(NASTY)
      case 1:
        return this.#text(this.#below(60))
      case 2:
        return this.#letters(43) // could be a session ID
      case 3:
        return this.#letters(this.#pick([1, 41, 42, 44, 64, 86, 4_000]))
      case 4:
        return this.#real.slice(0, this.#below(this.#real.length + 1))
      case 5:
        return this.#real + this.#pick(NASTY)
      case 6:
        return this.#pick(NASTY) + this.#real
      case 7: {
        const real = this.#real
        const at = this.#below(real.length)
        return real.slice(0, at) + this.#text(1) + real.slice(at + 1)
      }
      default:
        return this.#real
    }
  }

  /** A Cookie header with such values. */
  cookie(name: string): string {
    const pairs: string[] = []
    for (let count = this.#below(4); count >= 0; count -= 1) {
      const key = this.#pick([
        name,
        name,
        name,
        name.toUpperCase(),
        ` ${name} `,
        `x${name}`,
        `${name}.sig`,
        `${name}.1`,
        'theme',
        '',
        '__proto__',
      ])
      pairs.push(this.#below(12) === 0 ? this.value() : `${key}=${this.value()}`)
    }
    return pairs
      .join(this.#pick(['; ', ';', ' ;  ', ';;', ', ', '\t;']))
      .replaceAll(/[\r\n\0]/g, '')
      .trim()
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #pick<T>(from: readonly T[]): T {
    const found = from[this.#below(from.length)]
    if (found === undefined) throw new Error('nothing to pick')
    return found
  }

  #letters(length: number): string {
    let text = ''
    while (text.length < length) text += ALPHABET[this.#below(64)] ?? ''
    return text
  }

  /** All characters that Node accepts in a header: printable ASCII and the upper half of Latin-1. */
  #text(length: number): string {
    let text = ''
    while (text.length < length)
      text += String.fromCharCode(this.#below(4) === 0 ? 0x80 + this.#below(128) : 0x20 + this.#below(95))
    return text
  }
}

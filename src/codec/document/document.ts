import { SessionError } from '../../errors.ts'
import { checksum } from './checksum.ts'
import { damaged, type Header, readHeader, writeHeader } from './header.ts'
import { exceeds, type Limits } from '../limits.ts'
import { Lines, quote } from './lines.ts'

export { createVersion, type Header } from './header.ts'

/** The length of `"" J 0` with its newline. */
const SHORTEST_LINE = 7

/** A payload with more lines is refused, unless the limit of keys is larger: ten times as many as there are by default. */
const MAX_LINES = 10_000

/**
 * An immutable snapshot of one payload: a header line, then one line per key.
 *
 * ```text
 * kts1 <version> <createdAt> <length> #<checksum> [name=value …]
 * "userId" J 4711 #5b2f0c9e
 * "cart" T … #<checksum>
 * ```
 *
 * `length` counts the UTF-16 units after the header line, so a truncated payload is recognised without reading its lines,
 * even if it was cut between two of them.
 *
 * Damage affects only the key that it hit:
 *
 * - A line with a wrong checksum is returned together with that checksum, which makes it text that no codec can decode.
 * - A line whose key cannot be read belongs to no key.
 * - If two lines have the same key, an intact one wins over a damaged one. Two intact ones make the key undecodable: this
 *   library never writes such a payload, so it is unknown which of them is newer.
 *
 * Damaged lines are copied unchanged into the next payload.
 */
export class Document {
  readonly header: Header
  readonly #lines: Lines

  private constructor(header: Header, text: string, top: number) {
    this.header = header
    this.#lines = new Lines(text, top)
  }

  /** A document without keys. */
  static empty(header: Header): Document {
    return new Document(header, '\n', 0)
  }

  /**
   * Reads the header and checks the length. The lines are read when they are asked for.
   *
   * @throws SessionError `ERR_SESSION_PAYLOAD` if the text is damaged, of a newer format, or was not written by this
   *   library; `ERR_SESSION_LIMIT` if it is larger than `limits.bytes`, or has more than 10,000 lines and than
   *   `limits.keys`.
   */
  static parse(payload: string, limits: Limits): Document {
    if (exceeds(payload, limits.bytes)) throw tooLarge()
    const { header, length, end } = readHeader(payload)
    if (payload.length - end - 1 !== length) throw damaged('its length differs from the one in its header')
    if (!payload.endsWith('\n')) throw damaged('its last line does not end with a newline')
    const document = new Document(header, payload, end)
    if (length > MAX_LINES * SHORTEST_LINE) document.#countLines(limits)
    return document
  }

  #countLines({ keys }: Limits): void {
    const most = Math.max(MAX_LINES, keys)
    if (this.#lines.count(most + 1) > most) throw tooManyKeys()
  }

  /** The encoded value of a key: `J 4711`. For a damaged line, text that cannot be decoded. */
  line(key: string): string | undefined {
    return this.#lines.get(key)
  }

  has(key: string): boolean {
    return this.#lines.has(key)
  }

  /** The keys in the order in which they were first written. */
  keys(): readonly string[] {
    return [...this.#lines.keys()]
  }

  get size(): number {
    return this.#lines.size
  }

  /** Whether any line is damaged, in which case a key that seems to be missing may exist. Reads every line. */
  get damaged(): boolean {
    return this.#lines.damaged
  }

  /**
   * Makes the next payload. Changed lines keep their place, new keys come last, and a change to `undefined` removes the
   * key. All other lines are copied unchanged, whether or not they can be decoded here.
   *
   * @param readable whether to drop lines whose key cannot be read
   * @throws SessionError `ERR_SESSION_LIMIT` if there would be too many keys or bytes, or a new key is too long.
   */
  write(
    header: Header,
    changes: ReadonlyMap<string, string | undefined>,
    limits: Limits,
    readable = false,
  ): string {
    const { text, top } = this.#lines
    let found: Set<string> | undefined
    let body = ''
    let removed = 0
    let added = 0
    let copied = top + 1
    for (const { at, key } of this.#lines.placesOf(changes, readable)) {
      const end = text.indexOf('\n', at + 1)
      body += text.slice(copied, at + 1)
      copied = end + 1
      const line = key === undefined || found?.has(key) === true ? undefined : changes.get(key)
      if (key !== undefined) found = (found ?? new Set()).add(key)
      if (key === undefined || line === undefined) removed++
      else body += lineOf(key, line)
    }
    body += text.slice(copied)
    for (const [key, line] of changes) {
      if (line === undefined || found?.has(key) === true) continue
      if (key.length > limits.keyLength)
        throw new SessionError('ERR_SESSION_LIMIT', 'a key is longer than its limit')
      body += lineOf(key, line)
      added++
    }
    const most = Math.floor((text.length - top) / SHORTEST_LINE)
    if (most + added > limits.keys && this.#lines.count(Infinity) - removed + added > limits.keys)
      throw tooManyKeys()
    const payload = `${writeHeader(header, body.length)}\n${body}`
    if (exceeds(payload, limits.bytes)) throw tooLarge()
    return payload
  }
}

function lineOf(key: string, line: string): string {
  const text = `${quote(key)} ${line}`
  return `${text}${checksum(text)}\n`
}

function tooManyKeys(): SessionError {
  return new SessionError('ERR_SESSION_LIMIT', 'the session has too many keys')
}

function tooLarge(): SessionError {
  return new SessionError('ERR_SESSION_LIMIT', 'the session is larger than its limit of bytes')
}

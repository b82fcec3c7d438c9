import { SessionError } from '../../errors.ts'
import { checksum } from './checksum.ts'
import { damaged, type Header, readHeader, writeHeader } from './header.ts'
import { quote } from './key.ts'
import { exceeds, type Limits } from '../limits.ts'
import { Lines } from './lines.ts'

export { createVersion, type Header } from './header.ts'

/** `"" J 0`, with its newline. */
const SHORTEST_LINE = 7

/**
 * An immutable snapshot of one payload: a header line, and under it one line per key.
 *
 * ```text
 * kts1 <version> <createdAt> <length> #<checksum> [name=value …]
 * "userId" J 4711 #5b2f0c9e
 * "cart" T … #<checksum>
 * ```
 *
 * `length` counts the UTF-16 units after the header line, so a payload that was cut anywhere, even between two lines, is
 * recognised without being looked through.
 *
 * Damage costs no more than the key that it hit. A line that ends with another checksum than its own is handed out with
 * it, as text that no codec takes for a value. One whose key cannot be read belongs to nobody. Both are copied as they
 * are from payload to payload. If two lines have one key, a sound one is believed rather than a damaged one, and of two
 * sound ones neither is: no writer of ours makes such, so nobody knows which is the newer.
 */
export class Document {
  readonly header: Header
  readonly #lines: Lines

  private constructor(header: Header, text: string, top: number) {
    this.header = header
    this.#lines = new Lines(text, top)
  }

  /** A session without keys. */
  static empty(header: Header): Document {
    return new Document(header, '\n', 0)
  }

  /**
   * Reads the header and checks the length.
   *
   * @throws SessionError `ERR_SESSION_PAYLOAD` if the text is damaged, not ours, or of a newer format;
   *   `ERR_SESSION_LIMIT` if it is larger than `limits.bytes`.
   */
  static parse(payload: string, limits: Limits): Document {
    if (exceeds(payload, limits.bytes)) throw tooLarge()
    const { header, length, end } = readHeader(payload)
    if (payload.length - end - 1 !== length) throw damaged('its length is not what its header says')
    if (!payload.endsWith('\n')) throw damaged('its last line has no end')
    return new Document(header, payload, end)
  }

  /** The encoded value of a key: `J 4711`. If it is damaged, text that is no encoded value. */
  line(key: string): string | undefined {
    return this.#lines.get(key)
  }

  has(key: string): boolean {
    return this.#lines.get(key) !== undefined
  }

  /** The keys in the order in which they were first written. */
  keys(): readonly string[] {
    return [...this.#lines.all().values.keys()]
  }

  get size(): number {
    return this.#lines.all().values.size
  }

  /** Whether a line in it is damaged, so that a key which seems to be missing may be there. Looks at every line. */
  get damaged(): boolean {
    return this.#lines.all().damaged
  }

  /**
   * The next payload: changed lines in their old place, removed ones (`undefined`) gone, new keys at the end, all others
   * copied as they are, whether or not they can be decoded here. With `readable`, lines whose key cannot be read go.
   *
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
    if (most + added > limits.keys && this.#lines.count() - removed + added > limits.keys)
      throw new SessionError('ERR_SESSION_LIMIT', 'the session has too many keys')
    const payload = `${writeHeader(header, body.length)}\n${body}`
    if (exceeds(payload, limits.bytes)) throw tooLarge()
    return payload
  }
}

function lineOf(key: string, line: string): string {
  const text = `${quote(key)} ${line}`
  return `${text}${checksum(text)}\n`
}

function tooLarge(): SessionError {
  return new SessionError('ERR_SESSION_LIMIT', 'the session is larger than its limit of bytes')
}

/** Whether a payload consists of its header alone. */
export function isEmptyPayload(payload: string): boolean {
  return payload.indexOf('\n') === payload.length - 1
}

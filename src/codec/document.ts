import { SessionError } from '../errors.ts'
import { CHECKSUM_LENGTH, checksum, hasChecksum } from './checksum.ts'
import { damaged, type Header, readHeader, writeHeader } from './header.ts'
import { isEscaped, isSimple, quote, unquote } from './key.ts'
import { exceeds, type Limits } from './limits.ts'

export { createVersion, type Header } from './header.ts'

const QUOTE = 0x22
const SPACE = 0x20
const CHECKSUM = /^ #[0-9a-f]{8}$/
/** Handed out for a key that stands there twice. No encoded value holds a newline. */
const TWICE = '\n'

/** Keys are searched for one by one up to so many; to look at every line costs as much as that. */
const FEW = 8
/** The longest text that V8 finds without preparing for it first. */
const HEAD = 6
/** `"" J 0`, with its newline. */
const SHORTEST_LINE = 7

/** A line that is replaced or removed: where the newline before it stands, and its key if that can be read. */
interface Place {
  readonly at: number
  readonly key: string | undefined
}

/** What a search for one key has found: its value, and where the newline stands before its line if there is just one. */
interface Finding {
  readonly key: string
  readonly value: string | undefined
  readonly count: number
  readonly at: number
}

/** Everything that stands in a payload: the encoded value of each key, and whether anything in it is damaged. */
interface Index {
  readonly lines: ReadonlyMap<string, string>
  readonly damaged: boolean
}

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
 * recognised without being looked through. Lines are looked at when they are asked for. No line can hold a raw newline,
 * so going from newline to newline finds a key without parsing the others.
 *
 * Damage costs no more than the key that it hit. A line that ends with another checksum than its own is handed out with
 * it, as text that no codec takes for a value. One whose key cannot be read belongs to nobody. Both are copied as they
 * are from payload to payload. If two lines have one key, a sound one is believed rather than a damaged one, and of two
 * sound ones neither is: no writer of ours makes such, so nobody knows which is the newer.
 */
export class Document {
  readonly header: Header
  readonly #text: string
  /** Where the newline stands that ends the header. */
  readonly #top: number
  #index: Index | undefined
  /** What was looked for last: who changes a key has read it, mostly. */
  #latest: Finding | undefined

  private constructor(header: Header, text: string, top: number) {
    this.header = header
    this.#text = text
    this.#top = top
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
    return this.#index === undefined ? this.#find(key).value : this.#index.lines.get(key)
  }

  has(key: string): boolean {
    return this.line(key) !== undefined
  }

  /** The keys in the order in which they were first written. */
  keys(): readonly string[] {
    return [...this.#all().lines.keys()]
  }

  get size(): number {
    return this.#all().lines.size
  }

  /** Whether a line in it is damaged, so that a key which seems to be missing may be there. Looks at every line. */
  get damaged(): boolean {
    return this.#all().damaged
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
    const text = this.#text
    let found: Set<string> | undefined
    let body = ''
    let removed = 0
    let added = 0
    let copied = this.#top + 1
    for (const { at, key } of this.#linesOf(changes, readable)) {
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
    const most = Math.floor((text.length - this.#top) / SHORTEST_LINE)
    if (most + added > limits.keys && this.#countLines() - removed + added > limits.keys)
      throw new SessionError('ERR_SESSION_LIMIT', 'the session has too many keys')
    const payload = `${writeHeader(header, body.length)}\n${body}`
    if (exceeds(payload, limits.bytes)) throw tooLarge()
    return payload
  }

  #all(): Index {
    if (this.#index !== undefined) return this.#index
    const lines = new Map<string, string>()
    const text = this.#text
    let unsound = false
    for (let at = this.#top, end = 0; at < text.length - 1; at = end) {
      end = text.indexOf('\n', at + 1)
      const last = this.#endOfKey(at, end)
      const key = this.#keyAt(at, last)
      if (key === undefined) {
        unsound = true
        continue
      }
      const line = this.#valueAt(at, last + 2, end)
      const other = lines.get(key)
      unsound ||= other !== undefined || isDamaged(line)
      lines.set(key, other === undefined ? line : sounder(other, line))
    }
    this.#index = { lines, damaged: unsound }
    return this.#index
  }

  /** The encoded value of a key, without a look at the lines of others. */
  #find(key: string): Finding {
    if (this.#latest?.key === key) return this.#latest
    const opening = `\n${quote(key)} `
    const text = this.#text
    let value: string | undefined
    let count = 0
    let last = -1
    for (let at = this.#next(opening, this.#top); at !== -1; at = this.#next(opening, at + 1)) {
      const line = this.#valueAt(at, at + opening.length, text.indexOf('\n', at + 1))
      value = value === undefined ? line : sounder(value, line)
      count++
      last = at
    }
    return (this.#latest = { key, value, count, at: last })
  }

  /** Where the next line stands that begins so. V8 looks for a few characters many times faster than for all of them. */
  #next(opening: string, from: number): number {
    const text = this.#text
    const head = opening.slice(0, HEAD)
    for (let at = text.indexOf(head, from); at !== -1; at = text.indexOf(head, at + 1)) {
      if (text.startsWith(opening, at)) return at
    }
    return -1
  }

  /** The lines that a write replaces or removes, in their order. Those of a few keys are searched for, instead of reading all. */
  #linesOf(changes: ReadonlyMap<string, unknown>, readable: boolean): Place[] {
    const places: Place[] = []
    if (this.#text.length === this.#top + 1) return places
    if (readable || changes.size > FEW) {
      const text = this.#text
      const values = new Map(Array.from(changes.keys(), (key) => [key, this.line(key)]))
      for (let at = this.#top, end = 0; at < text.length - 1; at = end) {
        end = text.indexOf('\n', at + 1)
        const key = this.#keyAt(at, this.#endOfKey(at, end))
        const isMeant =
          key === undefined ? readable : values.has(key) && this.#holds(values.get(key), key, at, end)
        if (isMeant) places.push({ at, key })
      }
      return places
    }
    for (const key of changes.keys()) {
      const { value, count, at: last } = this.#find(key)
      if (count <= 1) {
        if (count === 1) places.push({ at: last, key })
        continue
      }
      const opening = `\n${quote(key)} `
      for (let at = this.#next(opening, this.#top); at !== -1; at = this.#next(opening, at + 1)) {
        if (this.#holds(value, key, at, this.#text.indexOf('\n', at + 1))) places.push({ at, key })
      }
    }
    return places.length <= 1 ? places : places.toSorted((one, other) => one.at - other.at)
  }

  #countLines(): number {
    let count = 0
    for (let at = this.#text.indexOf('\n', this.#top + 1); at !== -1; at = this.#text.indexOf('\n', at + 1))
      count++
    return count
  }

  /** What stands from `start` on in the line after the newline at `at`; without its checksum if that is right. */
  #valueAt(at: number, start: number, end: number): string {
    const text = this.#text
    const sum = end - CHECKSUM_LENGTH
    return text.slice(start, hasChecksum(text, at + 1, sum) ? sum : end)
  }

  /** Whether the value of a key stands in that line. In a damaged one beside it stands what may be another key's. */
  #holds(value: string | undefined, key: string, at: number, end: number): boolean {
    return value === TWICE || value === this.#valueAt(at, at + quote(key).length + 2, end)
  }

  /** Where the quote stands that ends the key of the line between two newlines; -1 if there is none. */
  #endOfKey(at: number, newline: number): number {
    const text = this.#text
    if (text.charCodeAt(at + 1) !== QUOTE) return -1
    let end = text.indexOf('"', at + 2)
    while (end !== -1 && end < newline && isEscaped(text, end)) end = text.indexOf('"', end + 1)
    return end > newline || text.charCodeAt(end + 1) !== SPACE ? -1 : end
  }

  /** The key that ends with that quote; `undefined` if we would not spell it so. */
  #keyAt(at: number, last: number): string | undefined {
    if (last === -1) return undefined
    const key = this.#text.slice(at + 2, last)
    return isSimple(key) ? key : unquote(this.#text.slice(at + 1, last + 1))
  }
}

function lineOf(key: string, line: string): string {
  const text = `${quote(key)} ${line}`
  return `${text}${checksum(text)}\n`
}

/** A checksum that still stands there is wrong. */
function isDamaged(line: string): boolean {
  const at = line.length - CHECKSUM_LENGTH
  return line.charCodeAt(at) === SPACE && CHECKSUM.test(line.slice(at))
}

/** Which of two lines of one key is believed. */
function sounder(one: string, other: string): string {
  if (isDamaged(one) === isDamaged(other)) return TWICE
  return isDamaged(one) ? other : one
}

function tooLarge(): SessionError {
  return new SessionError('ERR_SESSION_LIMIT', 'the session is larger than its limit of bytes')
}

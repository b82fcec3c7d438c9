import { SessionError } from '../errors.ts'
import { damaged, type Header, readHeader, writeHeader } from './header.ts'
import { exceeds, type Limits } from './limits.ts'

export { createVersion, type Header } from './header.ts'

/** A key that stands in its line as it is, between quotes. */
const SIMPLE_KEY = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
const QUOTE = 0x22
const SPACE = 0x20
const FORMS = 'JTS'

/**
 * An immutable snapshot of one payload: a header line, and under it one line per key.
 *
 * ```text
 * kts1 <version> <createdAt> <length> [name=value …]
 * "userId" J 4711
 * "cart" T …
 * ```
 *
 * `length` counts the UTF-16 units after the header line, so a payload that was cut anywhere, even between two lines, is
 * recognised without being looked through. Lines are looked at when they are asked for. No line can hold a raw newline,
 * so going from newline to newline finds a key without parsing the others.
 *
 * Everything here throws `ERR_SESSION_PAYLOAD` when it meets a line that is not ours, or the same key twice.
 */
export class Document {
  readonly header: Header
  readonly #text: string
  /** Where the newline stands that ends the header. */
  readonly #top: number
  /** Where the value of each key begins, once all keys were asked for. */
  #index: ReadonlyMap<string, number> | undefined

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

  /** The encoded value of a key: `J 4711`. */
  line(key: string): string | undefined {
    const start = this.#index === undefined ? this.#find(key) : this.#index.get(key)
    return start === undefined ? undefined : this.#text.slice(start, this.#text.indexOf('\n', start))
  }

  has(key: string): boolean {
    return this.#index?.has(key) ?? this.#find(key) !== undefined
  }

  /** The keys in the order in which they were first written. */
  keys(): readonly string[] {
    return [...this.#all().keys()]
  }

  get size(): number {
    return this.#all().size
  }

  /**
   * The next payload: changed lines in their old place, removed ones (`undefined`) gone, new keys at the end, all others
   * copied as they are, whether or not they can be decoded here.
   *
   * @throws SessionError `ERR_SESSION_LIMIT` if there would be too many keys or bytes, or a new key is too long.
   */
  write(header: Header, changes: ReadonlyMap<string, string | undefined>, limits: Limits): string {
    const text = this.#text
    const found = new Set<string>()
    let body = ''
    let count = 0
    let copied = this.#top + 1
    for (let at = this.#top, end = 0; at < text.length - 1; at = end) {
      end = text.indexOf('\n', at + 1)
      const key = this.#keyAt(at)
      count++
      if (!changes.has(key)) continue
      if (found.has(key)) throw twice()
      found.add(key)
      body += text.slice(copied, at + 1)
      copied = end + 1
      const line = changes.get(key)
      if (line === undefined) count--
      else body += `${quote(key)} ${line}\n`
    }
    body += text.slice(copied)
    for (const [key, line] of changes) {
      if (line === undefined || found.has(key)) continue
      if (key.length > limits.keyLength)
        throw new SessionError('ERR_SESSION_LIMIT', 'a key is longer than its limit')
      body += `${quote(key)} ${line}\n`
      count++
    }
    if (count > limits.keys) throw new SessionError('ERR_SESSION_LIMIT', 'the session has too many keys')
    const payload = `${writeHeader(header, body.length)}\n${body}`
    if (exceeds(payload, limits.bytes)) throw tooLarge()
    return payload
  }

  #all(): ReadonlyMap<string, number> {
    if (this.#index !== undefined) return this.#index
    const index = new Map<string, number>()
    const text = this.#text
    for (let at = this.#top; at < text.length - 1; at = text.indexOf('\n', at + 1)) {
      const key = this.#keyAt(at)
      if (index.has(key)) throw twice()
      index.set(key, at + quote(key).length + 2)
    }
    this.#index = index
    return index
  }

  /** Where the value of a key begins, without a look at other keys. */
  #find(key: string): number | undefined {
    const opening = `\n${quote(key)} `
    const text = this.#text
    let found: number | undefined
    for (let at = this.#top; at !== -1; at = text.indexOf('\n', at + 1)) {
      if (!text.startsWith(opening, at)) continue
      if (found !== undefined) throw twice()
      found = at + opening.length
    }
    return found
  }

  /** The key of the line after the newline at `at`. It is spelled as we spell it, or it could stand there twice. */
  #keyAt(at: number): string {
    const text = this.#text
    const start = at + 1
    let end = text.indexOf('"', start + 1)
    let key = text.slice(start + 1, end)
    if (!SIMPLE_KEY.test(key)) {
      while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
      key = unquote(text.slice(start, end + 1))
    }
    if (end === -1 || text.charCodeAt(start) !== QUOTE || !isForm(text, end + 1))
      throw damaged('a line in it is not ours')
    return key
  }
}

/** A key in JSON. */
function quote(key: string): string {
  return SIMPLE_KEY.test(key) ? `"${key}"` : JSON.stringify(key)
}

function unquote(json: string): string {
  try {
    const key: unknown = JSON.parse(json)
    if (typeof key === 'string' && quote(key) === json) return key
  } catch {
    // It is no JSON, and so no key.
  }
  throw damaged('a key in it is not ours')
}

/** Whether a line goes on with ` J `, ` T ` or ` S ` there. */
function isForm(text: string, at: number): boolean {
  return (
    text.charCodeAt(at) === SPACE && text.charCodeAt(at + 2) === SPACE && FORMS.includes(text.charAt(at + 1))
  )
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0
  while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++
  return slashes % 2 === 1
}

function twice(): SessionError {
  return damaged('a key stands in it twice')
}

function tooLarge(): SessionError {
  return new SessionError('ERR_SESSION_LIMIT', 'the session is larger than its limit of bytes')
}

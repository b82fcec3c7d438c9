import * as crypto from 'node:crypto'
import { SessionError } from '../errors.ts'
import type { Limits } from './limits.ts'

/** What the first line of a payload says. */
export interface Header {
  /** 16 random characters of base64url, new with each commit. Together with `kts1 ` they are what stores compare. */
  readonly version: string
  /** When the session began, in ms since the epoch. */
  readonly createdAt: number
  /** What else stands in the header, as names and values without spaces. Unknown ones are carried along. */
  readonly attributes: ReadonlyMap<string, string>
}

const FORMAT = 'kts1'
const HEADER = /^kts1 ([\w-]{16}) (0|[1-9]\d{0,15}) (0|[1-9]\d{0,15})((?: [a-z][\w-]*=[\x21-\x7e]*)*)$/
const ATTRIBUTE = /^[a-z][\w-]*=[\x21-\x7e]*$/
const LONGEST_HEADER = 4_096
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map()

const VERSION_BYTES = 12
const pool = Buffer.alloc(VERSION_BYTES * 256)
let poolOffset = pool.length

/** A version for the next commit: 96 random bits as 16 characters of base64url. */
export function createVersion(): string {
  if (poolOffset === pool.length) {
    crypto.randomFillSync(pool)
    poolOffset = 0
  }
  const version = pool.toString('base64url', poolOffset, poolOffset + VERSION_BYTES)
  poolOffset += VERSION_BYTES
  return version
}

/**
 * An immutable snapshot of one payload: a header line, and under it one line per key.
 *
 * ```text
 * kts1 <version> <createdAt> <length> [name=value …]
 * "userId" J 4711
 * "cart" T …
 * ```
 *
 * `length` counts the UTF-16 units after the header line, so a payload cut anywhere, even between two lines, is
 * recognised without looking at it. Nothing else is parsed before it is asked for. JSON never emits a raw newline: a
 * newline, the key in JSON and a space can therefore only be the beginning of a line, and one search finds a key.
 */
export class Document {
  readonly header: Header
  /** From the newline that ends the header to the one that ends the payload, both included. */
  readonly #body: string
  #index: ReadonlyMap<string, string> | undefined

  private constructor(header: Header, body: string) {
    this.header = header
    this.#body = body
  }

  /** A session without keys. */
  static empty(header: Header): Document {
    return new Document(header, '\n')
  }

  /**
   * Reads the header and checks the length. The lines are checked when they are first looked at together.
   *
   * @throws SessionError `ERR_SESSION_PAYLOAD` if the text is damaged, not ours, or of a newer format;
   *   `ERR_SESSION_LIMIT` if it is larger than `limits.bytes`.
   */
  static parse(payload: string, limits: Limits): Document {
    if (exceeds(payload, limits.bytes)) throw tooLarge()
    const end = payload.indexOf('\n')
    if (end === -1 || end > LONGEST_HEADER) throw damaged('it has no header')
    const match = HEADER.exec(payload.slice(0, end))
    if (match === null) {
      if (/^kts[1-9]/.test(payload) && !payload.startsWith(`${FORMAT} `)) throw damaged('its format is newer')
      throw damaged('its header is not ours')
    }
    const [, version = '', createdAt = '', length = '', attributes = ''] = match
    if (payload.length - end - 1 !== Number(length)) throw damaged('its length is not what its header says')
    if (payload.charCodeAt(payload.length - 1) !== 10) throw damaged('its last line has no end')
    if (!Number.isSafeInteger(Number(createdAt))) throw damaged('its header is not ours')
    const header: Header = {
      version,
      createdAt: Number(createdAt),
      attributes: attributes === '' ? NO_ATTRIBUTES : parseAttributes(attributes),
    }
    return new Document(header, payload.slice(end))
  }

  /** The encoded value of a key: `J 4711`. */
  line(key: string): string | undefined {
    const opening = `\n${JSON.stringify(key)} `
    const at = this.#body.indexOf(opening)
    if (at === -1) return undefined
    const start = at + opening.length
    const end = this.#body.indexOf('\n', start)
    if (this.#body.indexOf(opening, end) !== -1) throw damaged('a key stands in it twice')
    return this.#body.slice(start, end)
  }

  has(key: string): boolean {
    return this.#body.includes(`\n${JSON.stringify(key)} `)
  }

  /** The keys in the order in which they were first written. */
  keys(): readonly string[] {
    return [...this.#lines().keys()]
  }

  get size(): number {
    return this.#lines().size
  }

  /**
   * The next payload: changed lines in their old place, removed ones (`undefined`) gone, new keys at the end, all others
   * copied as they are, whether or not they can be decoded here.
   */
  write(header: Header, changes: ReadonlyMap<string, string | undefined>, limits: Limits): string {
    const lines = new Map(this.#lines())
    for (const [key, line] of changes) {
      if (line === undefined) lines.delete(key)
      else {
        if (key.length > limits.keyLength) throw new SessionError('ERR_SESSION_LIMIT', 'a key is too long')
        lines.set(key, line)
      }
    }
    if (lines.size > limits.keys) throw new SessionError('ERR_SESSION_LIMIT', 'the session has too many keys')
    let body = ''
    for (const [key, line] of lines) body += `${JSON.stringify(key)} ${line}\n`
    const payload = `${writeHeader(header, body.length)}\n${body}`
    if (exceeds(payload, limits.bytes)) throw tooLarge()
    return payload
  }

  #lines(): ReadonlyMap<string, string> {
    if (this.#index !== undefined) return this.#index
    const index = new Map<string, string>()
    for (const line of this.#body.slice(1, -1).split('\n')) {
      if (line === '' && this.#body === '\n') break
      const match = /^("(?:[^"\\]|\\.)*") ([JTS] .*)$/.exec(line)
      if (match === null) throw damaged('a line in it is not ours')
      const [, key = '', text = ''] = match
      const parsed: unknown = JSON.parse(key)
      if (typeof parsed !== 'string' || index.has(parsed)) throw damaged('a key stands in it twice')
      index.set(parsed, text)
    }
    this.#index = index
    return index
  }
}

function parseAttributes(text: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>()
  for (const attribute of text.slice(1).split(' ')) {
    const at = attribute.indexOf('=')
    const name = attribute.slice(0, at)
    if (attributes.has(name)) throw damaged('an attribute stands in its header twice')
    attributes.set(name, attribute.slice(at + 1))
  }
  return attributes
}

function writeHeader(header: Header, length: number): string {
  let text = `${FORMAT} ${header.version} ${header.createdAt} ${length}`
  for (const [name, value] of header.attributes) {
    const attribute = `${name}=${value}`
    if (!ATTRIBUTE.test(attribute))
      throw new SessionError('ERR_SESSION_VALUE', 'a header attribute has a space in it')
    text += ` ${attribute}`
  }
  return text
}

/** No character takes more than three bytes per UTF-16 unit, so most texts need not be counted. */
function exceeds(text: string, bytes: number): boolean {
  return text.length * 3 > bytes && Buffer.byteLength(text) > bytes
}

function damaged(why: string): SessionError {
  return new SessionError('ERR_SESSION_PAYLOAD', `the stored session cannot be read: ${why}`)
}

function tooLarge(): SessionError {
  return new SessionError('ERR_SESSION_LIMIT', 'the session is larger than its limit of bytes')
}

import * as crypto from 'node:crypto'
import { SessionError } from '../../errors.ts'
import { checksum, CHECKSUM_LENGTH } from './checksum.ts'

/** The content of a payload's first line. */
export interface Header {
  /** 16 random characters of base64url, new with each commit. Stores compare `kts1 ` and the version. */
  readonly version: string
  /** When the session was created, in ms since the epoch. */
  readonly createdAt: number
  /** Further fields: names and values without spaces. Unknown ones are preserved. */
  readonly attributes: ReadonlyMap<string, string>
}

const FORMAT = 'kts1 '
const HEADER =
  /^(kts1 ([\w-]{16}) (0|[1-9]\d{0,15}) (0|[1-9]\d{0,15}))( #[0-9a-f]{8})?((?: [a-z][\w-]*=[\x21-\x7e]*)*)\n/
/** The longest header line. There are a few attributes, of which the owner, two texts of 256 units, can take some thousand. */
const MAX_LENGTH = 16_384
const NEWER = /^kts[1-9]\d* /
const VERSION = /^[\w-]{16}$/
const ATTRIBUTE = /^[a-z][\w-]*=[\x21-\x7e]*$/
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map()

const VERSION_BYTES = 12
const pool = Buffer.alloc(VERSION_BYTES * 256)
let used = pool.length

/** Creates a version for the next commit: 96 random bits as 16 characters of base64url. */
export function createVersion(): string {
  if (used === pool.length) {
    crypto.randomFillSync(pool)
    used = 0
  }
  const version = pool.toString('base64url', used, used + VERSION_BYTES)
  used += VERSION_BYTES
  return version
}

/**
 * Reads the first line of a payload.
 *
 * @returns the header, the `length` of the lines below it as the header states it, and the position of its newline
 * @throws SessionError `ERR_SESSION_PAYLOAD` if the header is damaged, of a newer format, or was not written by this
 *   library.
 */
export function readHeader(payload: string): { header: Header; length: number; end: number } {
  const top = payload.indexOf('\n')
  // The pattern could take long for a line that is longer, or does not end.
  const match = top !== -1 && top <= MAX_LENGTH ? HEADER.exec(payload) : null
  if (match === null) {
    const newer = NEWER.test(payload) && !payload.startsWith(FORMAT)
    throw damaged(newer ? 'its format is newer' : 'it has no valid header')
  }
  const [line, head = '', version = '', createdAt = '', length = '', sum, attributes = ''] = match
  if (sum !== undefined && sum !== checksum(head + attributes))
    throw damaged('the checksum of its header is wrong')
  const header: Header = {
    version,
    createdAt: Number(createdAt),
    attributes: attributes === '' ? NO_ATTRIBUTES : readAttributes(attributes),
  }
  return { header, length: Number(length), end: line.length - 1 }
}

function readAttributes(text: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>()
  for (const attribute of text.slice(1).split(' ')) {
    const at = attribute.indexOf('=')
    const name = attribute.slice(0, at)
    if (attributes.has(name)) throw damaged('its header has an attribute twice')
    attributes.set(name, attribute.slice(at + 1))
  }
  return attributes
}

/**
 * The first line of a payload, without its newline.
 *
 * @throws SessionError `ERR_SESSION_VALUE` or `ERR_SESSION_LIMIT` for a header that {@link readHeader} would not accept
 */
export function writeHeader({ version, createdAt, attributes }: Header, length: number): string {
  if (!VERSION.test(version) || !Number.isSafeInteger(createdAt) || createdAt < 0)
    throw new SessionError('ERR_SESSION_VALUE', 'the header of a session cannot be written')
  const head = `${FORMAT}${version} ${createdAt} ${length}`
  let text = ''
  for (const [name, value] of attributes) {
    const attribute = `${name}=${value}`
    if (!ATTRIBUTE.test(attribute))
      throw new SessionError('ERR_SESSION_VALUE', 'an attribute of the header cannot be written')
    text += ` ${attribute}`
  }
  if (head.length + text.length + CHECKSUM_LENGTH > MAX_LENGTH)
    throw new SessionError('ERR_SESSION_LIMIT', 'the attributes of the header are longer than their limit')
  // The checksum stands before the attributes: after them it could be read as part of the last value.
  return `${head}${checksum(head + text)}${text}`
}

/** The error for a payload of which nothing can be read. */
export function damaged(why: string): SessionError {
  return new SessionError('ERR_SESSION_PAYLOAD', `the stored session cannot be read: ${why}`)
}

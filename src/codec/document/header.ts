import * as crypto from 'node:crypto'
import { SessionError } from '../../errors.ts'
import { checksum } from './checksum.ts'

/** What the first line of a payload says. */
export interface Header {
  /** 16 random characters of base64url, new with each commit. Together with `kts1 ` they are what stores compare. */
  readonly version: string
  /** When the session began, in ms since the epoch. */
  readonly createdAt: number
  /** What else stands in the header, as names and values without spaces. Unknown ones are carried along. */
  readonly attributes: ReadonlyMap<string, string>
}

const FORMAT = 'kts1 '
const HEADER =
  /^(kts1 ([\w-]{16}) (0|[1-9]\d{0,15}) (0|[1-9]\d{0,15}))( #[0-9a-f]{8})?((?: [a-z][\w-]*=[\x21-\x7e]*)*)\n/
const NEWER = /^kts[1-9]\d* /
const VERSION = /^[\w-]{16}$/
const ATTRIBUTE = /^[a-z][\w-]*=[\x21-\x7e]*$/
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map()

const VERSION_BYTES = 12
const pool = Buffer.alloc(VERSION_BYTES * 256)
let used = pool.length

/** A version for the next commit: 96 random bits as 16 characters of base64url. */
export function createVersion(): string {
  if (used === pool.length) {
    crypto.randomFillSync(pool)
    used = 0
  }
  const version = pool.toString('base64url', used, used + VERSION_BYTES)
  used += VERSION_BYTES
  return version
}

/** Reads the first line of a payload: also how long the lines under it are, and where its newline stands. */
export function readHeader(payload: string): { header: Header; length: number; end: number } {
  const match = HEADER.exec(payload)
  if (match === null) {
    const newer = NEWER.test(payload) && !payload.startsWith(FORMAT)
    throw damaged(newer ? 'its format is newer' : 'its header is not ours')
  }
  const [line, head = '', version = '', createdAt = '', length = '', sum, attributes = ''] = match
  if (sum !== undefined && sum !== checksum(head + attributes)) throw damaged('its header was changed')
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
    if (attributes.has(name)) throw damaged('an attribute stands in its header twice')
    attributes.set(name, attribute.slice(at + 1))
  }
  return attributes
}

/** The first line, without its end. What is written must be what is read. */
export function writeHeader({ version, createdAt, attributes }: Header, length: number): string {
  if (!VERSION.test(version) || !Number.isSafeInteger(createdAt) || createdAt < 0)
    throw new SessionError('ERR_SESSION_VALUE', 'the header of a session cannot be written')
  const head = `${FORMAT}${version} ${createdAt} ${length}`
  let text = ''
  for (const [name, value] of attributes) {
    const attribute = `${name}=${value}`
    if (!ATTRIBUTE.test(attribute))
      throw new SessionError('ERR_SESSION_VALUE', 'an attribute cannot stand in the header of a session')
    text += ` ${attribute}`
  }
  // In front of the attributes, for an attribute could swallow it.
  return `${head}${checksum(head + text)}${text}`
}

/** The whole payload is of no use. */
export function damaged(why: string): SessionError {
  return new SessionError('ERR_SESSION_PAYLOAD', `the stored session cannot be read: ${why}`)
}

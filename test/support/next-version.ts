import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { hashId } from '../../src/session/id.ts'
import type { Store } from '../../src/store.ts'

const HEADER = /^(kts[12]) (\S{16}) (\d+) (\d+) #(\w{8})((?: \S+=\S*)*)\n/
const LIFE = 3_600_000

/** A session as the next version sees it. */
interface Seen {
  format: string
  createdAt: string
  readonly attributes: Map<string, string>
  /** The text of each key, without checksum. */
  readonly lines: Map<string, string>
}

/**
 * A stand-in for a later version of this library on the same store. It reads and writes today's format, adds its own
 * attributes to the header, writes values in a form `Z` that this version does not know, and can move a session to a format
 * `kts2`. It uses nothing of this library but the store, and keeps the same rules: compare and swap, and carry along what it
 * does not know.
 */
export class NextVersion {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  /** Reads a session. Throws if it is absent, or if anything in it is not as it was written. */
  async read(id: string): Promise<Seen> {
    const entry = await this.#store.read(hashId(id))
    if (entry === undefined) throw new Error('the session is gone')
    return parse(entry.payload)
  }

  /** Changes a session, and retries until there is no conflict. */
  async change(id: string, change: (session: Seen) => void): Promise<void> {
    for (;;) {
      const entry = await this.#store.read(hashId(id))
      if (entry === undefined) throw new Error('the session is gone')
      const session = parse(entry.payload)
      change(session)
      const written = await this.#store.replace(hashId(id), write(session), Date.now() + LIFE, entry)
      if (typeof written === 'object') return
      if (written === 'gone') throw new Error('the session is gone')
    }
  }
}

function parse(payload: string): Seen {
  const [head = '', format = '', , createdAt = '', length, sum, attributes = ''] = HEADER.exec(payload) ?? []
  if (
    sumOf(head.slice(0, -1).replace(` #${sum}`, '')) !== sum ||
    payload.length - head.length !== Number(length)
  )
    throw new Error('the header is damaged')
  const lines = payload.slice(head.length).split('\n').slice(0, -1)
  return {
    format,
    createdAt,
    attributes: new Map(
      attributes
        .split(' ')
        .slice(1)
        .map((attribute) => split(attribute, '=')),
    ),
    lines: new Map(lines.map((line) => split(checked(line).slice(1), '" '))),
  }
}

function write({ format, createdAt, attributes, lines }: Seen): string {
  const body = [...lines].map(([key, value]) => summed(`"${key}" ${value}`)).join('')
  const head = `${format} ${randomBytes(12).toString('base64url')} ${createdAt} ${body.length}`
  const tail = [...attributes].map(([name, value]) => ` ${name}=${value}`).join('')
  return `${head} #${sumOf(head + tail)}${tail}\n${body}`
}

function split(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return [text.slice(0, at), text.slice(at + separator.length)]
}

function checked(line: string): string {
  const text = line.slice(0, -10)
  if (`${line}\n` !== summed(text)) throw new Error('a line is damaged')
  return text
}

function summed(text: string): string {
  return `${text} #${sumOf(text)}\n`
}

function sumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}

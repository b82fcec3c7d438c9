import * as crypto from 'node:crypto'
import { SessionError } from '../errors.ts'
import { cookieValues } from './cookie-header.ts'

/** What every browser accepts for one cookie: bytes of its name and value together. */
const COOKIE_BYTES = 4_096
/** Node accepts 16 KiB of request headers, which the session shares with other cookies and headers. */
const MAX_CHUNKS = 3
/** No sealed session is shorter: its ID alone has 43 characters. Shorter cookies cost no attempt to open them. */
const LEAST_CREDENTIAL = 64

const TAG_LENGTH = 11
/** The number of chunks and the tag at the beginning of the first one. Version 0.1.0 wrote no tags. */
const FIRST = /^([2-9])!(?:([\w-]{11})!)?/
/** The tag at the beginning of the others. */
const NEXT = /^(?:([\w-]{11})!)?/

/**
 * Splits a credential that is too long for one cookie into chunks: `sid`, `sid.1`, `sid.2`. The first one begins with the number
 * of chunks, and each has a tag, a hash of the credential: `3!tag!…`, `tag!…`, `tag!…`. So chunks of different credentials are
 * told apart, such as those left over from a longer one, and those that a neighbouring subdomain has planted: it cannot know the
 * tag, however many it plants, so each first chunk makes at most one credential.
 */
export class CookieChunks {
  /** The names of all chunks; the first is the name of the cookie itself. */
  readonly names: readonly string[]

  constructor(name: string) {
    this.names = Array.from({ length: MAX_CHUNKS }, (_, at) => (at === 0 ? name : `${name}.${at}`))
  }

  /**
   * The values of as few cookies as can carry the credential.
   *
   * @throws SessionError `ERR_SESSION_LIMIT` if it is too long for all of them
   */
  cut(credential: string): readonly string[] {
    const rooms = this.names.map((name) => COOKIE_BYTES - name.length)
    if (credential.length <= (rooms[0] ?? 0)) return [credential]
    const tag = `${crypto.hash('sha256', credential, 'base64url').slice(0, TAG_LENGTH)}!`
    for (let count = 2; count <= MAX_CHUNKS; count += 1) {
      let end = 0
      const values = rooms.slice(0, count).map((room, at) => {
        const head = at === 0 ? `${count}!${tag}` : tag
        return head + credential.slice(end, (end += room - head.length))
      })
      if (end >= credential.length) return values
    }
    const most = rooms.reduce((sum, room) => sum + room - tag.length, -'3!'.length)
    throw new SessionError(
      'ERR_SESSION_LIMIT',
      `the session needs ${credential.length} bytes of cookies, and ${MAX_CHUNKS} cookies hold at most ${most}; store less in it`,
    )
  }

  /**
   * The credentials that the cookies of a request may be chunks of, in the order of their first cookies. Each cookie is a part of
   * one credential at most, so that opening them all takes time in proportion to the length of the header.
   */
  join(header: string | undefined): readonly string[] {
    const [name = '', ...otherNames] = this.names
    const credentials = new Set<string>()
    const tags = new Set<string>()
    let others: readonly ReadonlyMap<string, string>[] | undefined
    for (const first of cookieValues(header, name, Infinity)) {
      const [head = '', count = '1', tag = ''] = FIRST.exec(first) ?? []
      let joined: string | undefined = first.slice(head.length)
      if (head !== '') {
        if (tags.has(tag)) continue
        tags.add(tag)
        others ??= otherNames.map((each) => byTag(cookieValues(header, each, Infinity)))
        joined = joinChunks(joined, others, Number(count) - 1, tag)
      }
      if (joined !== undefined && joined.length >= LEAST_CREDENTIAL) credentials.add(joined)
    }
    return [...credentials]
  }

  /** The names of the chunks that a request carries. */
  heldIn(header: string | undefined): readonly string[] {
    return this.names.filter((name) => cookieValues(header, name, 1).length > 0)
  }
}

/** The first chunk and the next ones with its tag, or `undefined` if one of them is missing. */
function joinChunks(
  first: string,
  others: readonly ReadonlyMap<string, string>[],
  count: number,
  tag: string,
): string | undefined {
  let joined = first
  for (let at = 0; at < count; at += 1) {
    const next = others[at]?.get(tag)
    if (next === undefined) return undefined
    joined += next
  }
  return joined
}

/** The text of the first chunk with each tag. */
function byTag(values: readonly string[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (const value of values) {
    const [head = '', tag = ''] = NEXT.exec(value) ?? []
    if (!texts.has(tag)) texts.set(tag, value.slice(head.length))
  }
  return texts
}

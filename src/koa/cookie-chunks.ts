import { cookieValues } from './cookie-header.ts'
import { SessionError } from '../errors.ts'

/** What every browser keeps of one cookie: name and value together. */
const COOKIE_BYTES = 4_096
/** Node takes 16 KiB of headers, and other cookies want to live too. */
const MAX_CHUNKS = 3
/** How many cookies of one name are tried: a neighbouring subdomain can plant some beside the real one. */
const MAX_VALUES = 3
/** How many ways of putting chunks together are tried. */
const MAX_CREDENTIALS = 9
const COUNTED = /^([2-9])!/

/**
 * How a credential that is too long for one cookie travels in several: `sid`, `sid.1`, `sid.2`. The first one begins with how many
 * there are (`3!`), so that one left over from a longer credential does no harm. Whether chunks belong together the seal tells.
 */
export class CookieChunks {
  /** The names of all chunks, the cookie's own first. */
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
    for (let count = 2; count <= MAX_CHUNKS; count += 1) {
      const text = `${count}!${credential}`
      let end = 0
      const values = rooms.slice(0, count).map((room) => text.slice(end, (end += room)))
      if (end >= text.length) return values
    }
    const most = rooms.reduce((sum, room) => sum + room, -2)
    throw new SessionError(
      'ERR_SESSION_LIMIT',
      `the session makes ${credential.length} bytes of cookies, and at most ${most} fit into ${MAX_CHUNKS} of them`,
    )
  }

  /** The credentials that the cookies of a request may be chunks of. */
  join(header: string | undefined): readonly string[] {
    const [firsts = [], ...rest] = this.names.map((name) => cookieValues(header, name, MAX_VALUES))
    const credentials: string[] = []
    for (const first of firsts) {
      const count = Number(COUNTED.exec(first)?.[1] ?? 1)
      let joined = [count === 1 ? first : first.slice('2!'.length)]
      if (count > MAX_CHUNKS) joined = []
      for (const values of rest.slice(0, count - 1))
        joined = joined.flatMap((text) => values.map((value) => text + value))
      credentials.push(...joined)
    }
    return credentials.slice(0, MAX_CREDENTIALS)
  }

  /** The names of ours among the cookies of a request. */
  heldIn(header: string | undefined): readonly string[] {
    return this.names.filter((name) => cookieValues(header, name, 1).length > 0)
  }
}

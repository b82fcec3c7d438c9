import { SessionError } from '../errors.ts'
import { cookieValues } from './cookie-header.ts'

/** What every browser accepts for one cookie: bytes of its name and value together. */
const COOKIE_BYTES = 4_096
/** Node accepts 16 KiB of request headers, which the session shares with other cookies and headers. */
const MAX_CHUNKS = 3
/** How many combinations of chunks are tried, where there are several cookies of one name. */
const MAX_CREDENTIALS = 9
const COUNTED = /^([2-9])!/

/**
 * Splits a credential that is too long for one cookie into chunks: `sid`, `sid.1`, `sid.2`. The first one begins with the number
 * of chunks (`3!`), so a chunk that is left over from a longer credential is ignored. Chunks of different credentials are told
 * apart by the seal, which does not open.
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
    for (let count = 2; count <= MAX_CHUNKS; count += 1) {
      const text = `${count}!${credential}`
      let end = 0
      const values = rooms.slice(0, count).map((room) => text.slice(end, (end += room)))
      if (end >= text.length) return values
    }
    const most = rooms.reduce((sum, room) => sum + room, -2)
    throw new SessionError(
      'ERR_SESSION_LIMIT',
      `the session needs ${credential.length} bytes of cookies, and ${MAX_CHUNKS} cookies hold at most ${most}; store less in it`,
    )
  }

  /** The credentials that the cookies of a request may be chunks of. */
  join(header: string | undefined): readonly string[] {
    const [firsts = [], ...rest] = this.names.map((name) => cookieValues(header, name))
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

  /** The names of the chunks that a request carries. */
  heldIn(header: string | undefined): readonly string[] {
    return this.names.filter((name) => cookieValues(header, name, 1).length > 0)
  }
}

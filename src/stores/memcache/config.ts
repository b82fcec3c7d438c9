import { SessionError } from '../../errors.ts'

/** Where one memcached listens, and who we are to it. */
export interface MemcacheAddress {
  readonly host: string
  readonly port: number
  readonly username?: string
  readonly password?: string
}

const PORT = 11_211
const PLAIN = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d+))?$/i
const SCHEMES = ['memcache:', 'memcached:']
const EXAMPLES = "'127.0.0.1:11211;127.0.0.1:11212' or 'memcache://user:password@127.0.0.1:11211'"

/**
 * Reads a list of servers, separated by `;`. Each is `host:port` or a URL; without a port it is 11211.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS`, which tells the place of the malformed part but never repeats it
 */
export function parseMemcacheAddresses(config: string): readonly MemcacheAddress[] {
  const parts = config.split(';').map((part) => part.trim())
  if (parts.at(-1) === '' && parts.length > 1) parts.pop() // a `;` at the end
  return parts.map((part, at) => {
    const address = part.includes('://') ? fromUrl(part) : fromPlain(part)
    if (address !== undefined && address.port >= 1 && address.port <= 65_535) return address
    const which = parts.length === 1 ? 'the address' : `address ${at + 1} of ${parts.length}`
    const what = part === '' ? 'empty' : 'malformed'
    throw new SessionError('ERR_SESSION_OPTIONS', `memcache: ${which} is ${what}; expected ${EXAMPLES}`)
  })
}

function fromPlain(text: string): MemcacheAddress | undefined {
  const [, six, name, port] = PLAIN.exec(text) ?? []
  const host = six ?? name
  return host === undefined ? undefined : { host, port: Number(port ?? PORT) }
}

/** The parser of URLs knows what may stand in one; host and port are then held to the plain form. */
function fromUrl(text: string): MemcacheAddress | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const bare = ['', '/'].includes(url.pathname) && url.search === '' && url.hash === ''
  const address = fromPlain(url.host)
  if (address === undefined || !bare || !SCHEMES.includes(url.protocol)) return undefined
  const [username, password] = [decoded(url.username), decoded(url.password)]
  if (username === undefined || password === undefined) return undefined
  if ((username === '') !== (password === '')) return undefined
  return username === '' ? address : { ...address, username, password }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

import { optionError, percentDecoded } from '../shared/options.ts'
import type { SessionError } from '../../errors.ts'

/** The address of one server, and the credentials for it. */
export interface MemcacheAddress {
  readonly host: string
  readonly port: number
  readonly username?: string
  readonly password?: string
}

const PORT = 11_211
const PLAIN = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d+))?$/i
const SCHEMES = ['memcache:', 'memcached:']
/** What asks for TLS, or for another protocol than the binary one. */
const SECURE =
  /^(?:memcaches|memcacheds|memcache-tls|memcached-tls|memcache[+]tls|memcached[+]tls|tls|ssl):\/\/|[?&](?:tls|ssl|secure)(?:=(?!false|0|no|off)|&|$)/i
const TEXT = /[?&](?:protocol|mode)=(?:text|ascii|meta)\b|[?&]binary=(?:false|0|no)\b/i
const EXAMPLES = "'127.0.0.1:11211;127.0.0.1:11212' or 'memcache://user:password@127.0.0.1:11211'"

/** Why TLS is refused. The driver has none. */
export const NO_TLS: string =
  'TLS is not supported, since the driver memjs has none: keep memcached in a network of its own, or give the local end of a ' +
  'tunnel such as stunnel'
const NO_TEXT =
  'the text protocol is not supported: the store needs the binary one, which memcached speaks unless it runs with -B ascii'

/**
 * Parses a list of servers, separated by `;`. Each is `host:port` or a URL; the default port is 11211.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS`, which gives the position of a malformed part but never its text
 */
export function parseMemcacheConfig(config: string): readonly MemcacheAddress[] {
  const parts = config.split(';').map((part) => part.trim())
  if (parts.at(-1) === '' && parts.length > 1) parts.pop() // a `;` at the end
  return parts.map((part, at) => {
    const malformed = (): SessionError => {
      const which = parts.length === 1 ? 'the address' : `address ${at + 1} of ${parts.length}`
      const what = part === '' ? 'empty' : 'malformed'
      if (SECURE.test(part)) return optionError('memcache', NO_TLS)
      if (TEXT.test(part)) return optionError('memcache', NO_TEXT)
      return optionError('memcache', `${which} is ${what}; expected ${EXAMPLES}`)
    }
    const address = part.includes('://') ? fromUrl(part, malformed) : fromPlain(part)
    if (address !== undefined && address.port >= 1 && address.port <= 65_535) return address
    throw malformed()
  })
}

function fromPlain(text: string): MemcacheAddress | undefined {
  const [, six, name, port] = PLAIN.exec(text) ?? []
  const host = six ?? name
  return host === undefined ? undefined : { host, port: Number(port ?? PORT) }
}

/** The host and port of a URL must also have the plain form. */
function fromUrl(text: string, malformed: () => SessionError): MemcacheAddress | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const bare = ['', '/'].includes(url.pathname) && url.search === '' && url.hash === ''
  const address = fromPlain(url.host)
  if (address === undefined || !bare || !SCHEMES.includes(url.protocol)) return undefined
  const username = percentDecoded(url.username, malformed)
  const password = percentDecoded(url.password, malformed)
  if ((username === '') !== (password === '')) return undefined
  return username === '' ? address : { ...address, username, password }
}

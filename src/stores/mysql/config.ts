import { SessionError } from '../../errors.ts'
import { readParameters, type MysqlParameters } from './parameters.ts'

/** What a config string says. */
export interface MysqlSettings extends MysqlParameters {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

type Place = Pick<MysqlSettings, 'host' | 'port' | 'socketPath'>

const EXAMPLES =
  'user:password@tcp(127.0.0.1:3306)/database?timeout=5s or mysql://user:password@127.0.0.1:3306/database'
const HOST = '127.0.0.1'
const PORT = 3306
const GO_SOCKET = '/tmp/mysql.sock'

/**
 * Reads `username:password@protocol(address)/dbname?param=value`, as Go's MySQL driver writes it, or a `mysql://` or
 * `mariadb://` URL.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` with what was expected; it shows nothing of the string, save names
 */
export function parseMysqlConfig(config: string): MysqlSettings {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(config)?.[1]?.toLowerCase()
  if (scheme === undefined) return fromDsn(config)
  if (scheme === 'mysql' || scheme === 'mariadb') return fromUrl(config)
  throw wrong('is a URL, but neither of mysql:// nor of mariadb://')
}

/** The last slash ends the address and the last at sign the password, so that both may contain such characters. */
function fromDsn(dsn: string): MysqlSettings {
  const slash = dsn.lastIndexOf('/')
  if (slash === -1) throw wrong('has no slash before the name of the database')
  const [database = '', query = ''] = split(dsn.slice(slash + 1), '?')
  const at = dsn.lastIndexOf('@', slash)
  const [user = '', password = ''] = split(dsn.slice(0, Math.max(at, 0)), ':')
  return {
    ...placeOf(dsn.slice(at + 1, slash)),
    user,
    password,
    database: nameOf(decoded(database)),
    ...readParameters(new URLSearchParams(query), wrong),
  }
}

function fromUrl(text: string): MysqlSettings {
  // Such a character in a password that was not encoded would end the address, and the rest be read as something else.
  if (text.includes('#') || /[?].*@/.test(text))
    throw wrong('has a user or password that is not percent-encoded')
  if (!URL.canParse(text)) throw wrong('is not a valid URL')
  const url = new URL(text)
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1') || HOST,
    port: url.port === '' ? PORT : portOf(url.port),
    user: decoded(url.username),
    password: decoded(url.password),
    database: nameOf(decoded(url.pathname.slice(1))),
    ...readParameters(url.searchParams, wrong),
  }
}

/** `tcp(host:port)`, `unix(/path)`; the address may be left out, and the protocol with it. */
function placeOf(text: string): Place {
  const [, protocol = '', address = ''] =
    /^([a-z0-9]*)(?:\(([^()]*)\))?$/i.exec(text) ?? fail('has no valid protocol(address)')
  if (protocol === 'unix') return { host: HOST, port: PORT, socketPath: address || GO_SOCKET }
  if (protocol !== '' && protocol !== 'tcp') throw wrong('names a protocol other than tcp and unix')
  if (address === '') return { host: HOST, port: PORT }
  const [, v6, name, port] =
    /^(?:\[([0-9a-f:.]+)\]|([^:[\]]*))(?::(\d+))?$/i.exec(address) ??
    fail('has an address that is not host:port')
  return { host: (v6 ?? name) || HOST, port: port === undefined ? PORT : portOf(port) }
}

function portOf(text: string): number {
  const port = Number(text)
  return port >= 1 && port <= 65_535 ? port : fail('has a port that is not between 1 and 65535')
}

function nameOf(database: string): string {
  return /^[^/\\.@?#]{1,64}$/.test(database) ? database : fail('has no valid name of a database')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('has a percent sign that encodes nothing: write it as %25')
  }
}

/** The text before and after the first separator. */
function split(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator)
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

function fail(problem: string): never {
  throw wrong(problem)
}

function wrong(problem: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `mysql: the config string ${problem}; expected ${EXAMPLES}`)
}

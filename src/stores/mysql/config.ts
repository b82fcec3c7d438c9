import { percentDecoded } from '../shared/options.ts'
import { type ConfigWarning, ignoredWarning } from '../shared/warnings.ts'
import { type FoundParameters, type MysqlParameters, readParameters } from './parameters.ts'
import { fail, malformed } from './refusal.ts'
import { type MysqlTls, type MysqlTlsOptions, settleTls, type TlsWish, wishesOfJson, wishOf } from './tls.ts'

/** The contents of a config string. */
export interface MysqlConfig extends MysqlParameters {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly tls?: MysqlTls
  /** Whether the connection is not encrypted if the server cannot. */
  readonly isTlsOptional?: true
  readonly warnings?: readonly ConfigWarning[]
}

/** A config string before its parts are seen together. */
interface Draft extends FoundParameters {
  readonly address: Place & Pick<MysqlConfig, 'user' | 'password' | 'database'>
}

type Place = Pick<MysqlConfig, 'host' | 'port' | 'socketPath'>

const HOST = '127.0.0.1'
const PORT = 3306
const GO_SOCKET = '/tmp/mysql.sock'

/**
 * Parses `username:password@protocol(address)/dbname?param=value`, as Go's MySQL driver writes it, a `mysql://` or
 * `mariadb://` URL, or JSON with one of these as `url`: `{"url":"mysql://…","tls":true,"ca":"/etc/ca.pem"}`.
 *
 * @param tls TLS options in addition to what the string says
 * @throws SessionError `ERR_SESSION_OPTIONS` with what was expected; it repeats only known names from the string
 */
export function parseMysqlConfig(config: string, tls?: MysqlTlsOptions): MysqlConfig {
  const { address, parameters, ignored, tls: wishes } = draftOf(config)
  const { socketPath } = { ...address, ...parameters }
  const all = tls === undefined ? wishes : [...wishes, wishOf(tls)]
  const { warnings, ...settled } = settleTls(all, socketPath ?? address.host)
  const told = [...warnings, ...ignoredWarning(ignored)]
  return { ...address, ...parameters, ...settled, ...(told.length > 0 && { warnings: told }) }
}

function draftOf(config: string): Draft {
  if (config.trimStart().startsWith('{')) return fromJson(config)
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(config)?.[1]?.toLowerCase()
  if (scheme === undefined) return fromDsn(config)
  if (scheme === 'mysql' || scheme === 'mariadb') return fromUrl(config)
  throw malformed('is a URL, but neither mysql:// nor mariadb://')
}

/** The last slash ends the address and the last `@` the password, so that both may contain these characters. */
function fromDsn(dsn: string): Draft {
  const slash = dsn.lastIndexOf('/')
  if (slash === -1) throw malformed('has no slash before the name of the database')
  const [database = '', query = ''] = split(dsn.slice(slash + 1), '?')
  const at = dsn.lastIndexOf('@', slash)
  const [user = '', password = ''] = split(dsn.slice(0, Math.max(at, 0)), ':')
  const place = placeOf(dsn.slice(at + 1, slash))
  const address = { ...place, user, password, database: nameOf(decoded(database)) }
  return { address, ...readParameters(new URLSearchParams(query)) }
}

function fromUrl(text: string): Draft {
  // Such a character in a password would end the address, and the rest would be taken for something else.
  if (text.includes('#') || /[?].*@/.test(text))
    throw malformed('has a user or password that is not percent-encoded')
  if (!URL.canParse(text)) throw malformed('is not a valid URL')
  const url = new URL(text)
  const address = {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1') || HOST,
    port: url.port === '' ? PORT : portOf(url.port),
    user: decoded(url.username),
    password: decoded(url.password),
    database: nameOf(decoded(url.pathname.slice(1))),
  }
  return { address, ...readParameters(url.searchParams) }
}

/** The parameter for which each field of the JSON stands. */
const FIELDS: ReadonlyMap<string, string> = new Map([
  ['tls', 'tls'],
  ['ca', 'ssl-ca'],
  ['cert', 'ssl-cert'],
  ['key', 'ssl-key'],
  ['table', 'table'],
  ['poolSize', 'poolSize'],
])

function fromJson(text: string): Draft {
  const { url, ...fields } = fieldsOf(text)
  if (typeof url !== 'string' || url.trimStart().startsWith('{'))
    throw malformed('is JSON, and needs the address as its url')
  const draft = draftOf(url)
  const pairs: [name: string, value: string][] = []
  const wishes: TlsWish[] = []
  for (const [field, value] of Object.entries(fields)) {
    const parameter = FIELDS.get(field)
    if (parameter === undefined)
      throw malformed(`has an unknown field; known are url, ${[...FIELDS.keys()].join(', ')}`)
    const options = field === 'tls' ? wishesOfJson('tls', value) : undefined
    if (options !== undefined) wishes.push(...options)
    else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      pairs.push([parameter, String(value)])
    else throw malformed(`has a field ${field} without a valid value`)
  }
  const found = readParameters(pairs)
  return {
    ...draft,
    parameters: { ...draft.parameters, ...found.parameters },
    tls: [...draft.tls, ...found.tls, ...wishes],
  }
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text))
  } catch {
    // The error of JSON.parse shows a part of the text, which may be the password.
    throw malformed('begins like JSON but is malformed')
  }
}

/** `tcp(host:port)` or `unix(/path)`. The address may be omitted, and the protocol with it. */
function placeOf(text: string): Place {
  const [, protocol = '', address = ''] =
    /^([a-z0-9]*)(?:\(([^()]*)\))?$/i.exec(text) ?? fail('has no valid protocol(address)')
  if (protocol === 'unix') return { host: HOST, port: PORT, socketPath: address || GO_SOCKET }
  if (protocol !== '' && protocol !== 'tcp') throw malformed('names a protocol other than tcp and unix')
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
  return percentDecoded(text, () => malformed('has a percent sign that encodes nothing: write it as %25'))
}

/** The text before and after the first separator. */
function split(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator)
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

import type { SessionError } from '../../errors.ts'
import { optionError, percentDecoded } from '../shared/options.ts'

/** How the server's certificate is checked: at all, and for its host name. */
export interface MysqlTls {
  readonly rejectUnauthorized: boolean
  readonly verifyIdentity: boolean
}

/** The parameters of a config string, after the question mark. */
interface MysqlParameters {
  readonly socketPath?: string
  readonly tls?: MysqlTls
  /** In ms. */
  readonly connectTimeout?: number
  /** How long a verb may take, in ms. */
  readonly timeout?: number
  readonly poolSize?: number
  readonly table?: string
}

/** The contents of a config string. */
export interface MysqlConfig extends MysqlParameters {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

type Place = Pick<MysqlConfig, 'host' | 'port' | 'socketPath'>

const EXAMPLES =
  'user:password@tcp(127.0.0.1:3306)/database?timeout=5s or mysql://user:password@127.0.0.1:3306/database'
const HOST = '127.0.0.1'
const PORT = 3306
const GO_SOCKET = '/tmp/mysql.sock'

/**
 * Parses `username:password@protocol(address)/dbname?param=value`, as Go's MySQL driver writes it, or a `mysql://` or
 * `mariadb://` URL.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` with what was expected; it repeats only known names from the string
 */
export function parseMysqlConfig(config: string): MysqlConfig {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(config)?.[1]?.toLowerCase()
  if (scheme === undefined) return fromDsn(config)
  if (scheme === 'mysql' || scheme === 'mariadb') return fromUrl(config)
  throw malformed('is a URL, but neither mysql:// nor mariadb://')
}

/** The last slash ends the address and the last `@` the password, so that both may contain these characters. */
function fromDsn(dsn: string): MysqlConfig {
  const slash = dsn.lastIndexOf('/')
  if (slash === -1) throw malformed('has no slash before the name of the database')
  const [database = '', query = ''] = split(dsn.slice(slash + 1), '?')
  const at = dsn.lastIndexOf('@', slash)
  const [user = '', password = ''] = split(dsn.slice(0, Math.max(at, 0)), ':')
  return {
    ...placeOf(dsn.slice(at + 1, slash)),
    user,
    password,
    database: nameOf(decoded(database)),
    ...readParameters(new URLSearchParams(query)),
  }
}

function fromUrl(text: string): MysqlConfig {
  // Such a character in a password would end the address, and the rest would be taken for something else.
  if (text.includes('#') || /[?].*@/.test(text))
    throw malformed('has a user or password that is not percent-encoded')
  if (!URL.canParse(text)) throw malformed('is not a valid URL')
  const url = new URL(text)
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1') || HOST,
    port: url.port === '' ? PORT : portOf(url.port),
    user: decoded(url.username),
    password: decoded(url.password),
    database: nameOf(decoded(url.pathname.slice(1))),
    ...readParameters(url.searchParams),
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

/** Parses the value of a parameter; returns `undefined` if it is not valid. */
type Read = (value: string) => MysqlParameters | undefined

const NONE: MysqlParameters = {}
const ENCRYPTED: MysqlParameters = { tls: { rejectUnauthorized: false, verifyIdentity: false } }
const TRUSTED: MysqlParameters = { tls: { rejectUnauthorized: true, verifyIdentity: false } }
const VERIFIED: MysqlParameters = { tls: { rejectUnauthorized: true, verifyIdentity: true } }

const PARAMETERS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['table', (value) => (isTable(value) ? { table: value } : undefined)],
  ['poolSize', poolSize],
  ['connectionLimit', poolSize],
  ['socketPath', (value) => (value === '' ? undefined : { socketPath: value })],
  ['timeout', (value) => duration(value, (ms) => ({ connectTimeout: ms }))],
  ['readTimeout', (value) => duration(value, (ms) => ({ timeout: ms }))],
  ['writeTimeout', (value) => duration(value, (ms) => ({ timeout: ms }))],
  ['tls', oneOf({ true: VERIFIED, 'skip-verify': ENCRYPTED, false: NONE })],
  ['ssl-mode', oneOf({ DISABLED: NONE, REQUIRED: ENCRYPTED, VERIFY_CA: TRUSTED, VERIFY_IDENTITY: VERIFIED })],
  [
    'ssl',
    oneOf({
      true: VERIFIED,
      false: NONE,
      '{"rejectUnauthorized":true}': VERIFIED,
      '{"rejectUnauthorized":false}': ENCRYPTED,
    }),
  ],
])

/** Parameters of Go's driver without effect here. Those of the character set are among them: keys are ASCII, payloads bytes. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'allowAllFiles',
  'allowNativePasswords',
  'charset',
  'checkConnLiveness',
  'clientFoundRows',
  'collation',
  'columnsWithAlias',
  'connectionAttributes',
  'interpolateParams',
  'loc',
  'maxAllowedPacket',
  'multiStatements',
  'parseTime',
  'rejectReadOnly',
  'timeTruncate',
])

function readParameters(query: URLSearchParams): MysqlParameters {
  let parameters: MysqlParameters = {}
  for (const [name, value] of query) {
    if (WITHOUT_EFFECT.has(name)) continue
    const read = PARAMETERS.get(name)
    // The text in the place of a name may be a part of a password, so it is not shown.
    if (read === undefined)
      throw malformed(`has an unknown parameter; known are ${[...PARAMETERS.keys()].join(', ')}`)
    const found = read(value)
    if (found === undefined) throw malformed(`has a parameter ${name} without a valid value`)
    // The driver does not separate reading from writing, so the longer timeout applies.
    const timeout = Math.max(found.timeout ?? 0, parameters.timeout ?? 0)
    parameters = { ...parameters, ...found, ...(timeout > 0 ? { timeout } : {}) }
  }
  return parameters
}

/** Whether the name can be used in SQL unchanged, between backticks. */
export function isTable(name: string): boolean {
  return /^[\w$]{1,64}$/.test(name)
}

function poolSize(value: string): MysqlParameters | undefined {
  return /^[1-9]\d{0,3}$/.test(value) ? { poolSize: Number(value) } : undefined
}

function oneOf(values: Readonly<Record<string, MysqlParameters>>): Read {
  const known = new Map(Object.entries(values))
  return (value) => known.get(value.replaceAll(' ', ''))
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
])

/** Parses a duration of Go: `500ms`, `5s`, `1m30s`, `1.5s`. It must be one that a timer can wait for. */
function duration(value: string, use: (ms: number) => MysqlParameters): MysqlParameters | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(value)) return undefined
  let ms = 0
  for (const [, amount, unit = ''] of value.matchAll(/([\d.]+)([a-z]+)/g)) {
    ms += Number(amount) * (UNITS.get(unit) ?? NaN)
  }
  ms = Math.ceil(ms)
  return ms >= 1 && ms < 2 ** 31 ? use(ms) : undefined
}

function fail(problem: string): never {
  throw malformed(problem)
}

function malformed(problem: string): SessionError {
  return optionError('mysql', `the config string ${problem}; expected ${EXAMPLES}`)
}

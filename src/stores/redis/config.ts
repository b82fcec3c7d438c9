import { SessionError } from '../../errors.ts'
import { percentDecoded } from '../shared/options.ts'

/** One server, a Redis Cluster, or a primary that is found by Sentinels. */
export type RedisMode = 'single' | 'cluster' | 'sentinel'

/** The address of one server: a port, or a socket file. */
export type RedisAddress = { readonly host: string; readonly port: number } | { readonly path: string }

/** The contents of a config string. */
export interface RedisConfig {
  readonly mode: RedisMode
  /** The addresses of the server, of some nodes of the cluster, or of the Sentinels. */
  readonly addresses: readonly RedisAddress[]
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly db: number
  /** The name of the primary for the Sentinels. */
  readonly master: string
  readonly tls: boolean
  readonly prefix?: string | undefined
  readonly timeout?: number | undefined
}

/** The name of the provider in error messages, and an example of its config string. */
const PROVIDERS: Readonly<Record<RedisMode, { readonly name: string; readonly example: string }>> = {
  single: {
    name: 'redis',
    example: "'127.0.0.1:6379,100,password,0' or 'redis://:password@127.0.0.1:6379/0'",
  },
  cluster: {
    name: 'redis_cluster',
    example: "'10.0.0.1:7000;10.0.0.2:7000' or 'redis://10.0.0.1:7000;10.0.0.2:7000'",
  },
  sentinel: {
    name: 'redis_sentinel',
    example:
      "'10.0.0.1:26379;10.0.0.2:26379,100,password,0,mymaster' or 'redis://10.0.0.1:26379;10.0.0.2:26379/0?master=mymaster'",
  },
}

// beego's pool, idle and retry settings have no effect here, since all verbs share one connection. They are checked, so that
// a field in the wrong place is noticed.
const FIELDS = [
  'save_path',
  'poolsize',
  'password',
  'db_num',
  'idle_timeout',
  'idle_check_frequency',
  'max_retries',
]
const SENTINEL_FIELDS = [...FIELDS.slice(0, 4), 'master_name', ...FIELDS.slice(4)]
const NUMBERS: ReadonlySet<string> = new Set(['poolsize', 'db_num', 'max_retries'])
const DURATIONS: ReadonlySet<string> = new Set(['idle_timeout', 'idle_check_frequency'])
const PARAMETERS: ReadonlySet<string> = new Set(['db', 'master', 'prefix', 'timeout'])

const URL_FORM = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*@)?([^/?#]*)(.*)$/is
const ADDRESS = /^(\[[\da-f:.]+\]|[\w.-]*)(?::(\d{1,5}))?$/i
const DURATION = /^(?:\d+|(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+)$/

/**
 * Parses a config string: fields separated by commas, JSON, or a URL.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` with what is wrong and an example; it repeats only known names from the string
 */
export function parseRedisConfig(config: string, mode: RedisMode): RedisConfig {
  const text = config.trim()
  if (text === '') throw malformed(mode, 'the config string is empty')
  if (text.startsWith('{')) return fromFields(fieldsOfJson(text, mode), mode)
  const url = URL_FORM.exec(text)
  return url === null ? fromFields(fieldsOfCsv(text, mode), mode) : fromUrl(url, mode)
}

function fieldsOfCsv(text: string, mode: RedisMode): ReadonlyMap<string, string> {
  const names = mode === 'sentinel' ? SENTINEL_FIELDS : FIELDS
  const values = text.split(',')
  if (values.length > names.length) {
    throw malformed(mode, `there are ${values.length} fields and at most ${names.length} have a meaning`)
  }
  return new Map(
    names.map((name, at) => [name, name === 'password' ? (values[at] ?? '') : (values[at] ?? '').trim()]),
  )
}

function fieldsOfJson(text: string, mode: RedisMode): ReadonlyMap<string, string> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // The error of JSON.parse shows a part of the text, which may be the password.
    throw malformed(mode, 'the config string begins like JSON but is malformed')
  }
  const names = mode === 'sentinel' ? SENTINEL_FIELDS : FIELDS
  const fields = new Map<string, string>()
  for (const [name, value] of Object.entries(Object(parsed))) {
    if (!names.includes(name))
      throw malformed(mode, `there is an unknown field; known are ${names.join(', ')}`)
    if (typeof value !== 'string' && typeof value !== 'number')
      throw malformed(mode, `${name} must be text or a number`)
    fields.set(name, String(value))
  }
  return fields
}

function fromFields(fields: ReadonlyMap<string, string>, mode: RedisMode): RedisConfig {
  for (const [name, value] of fields) {
    if (value === '') continue
    if (NUMBERS.has(name) && !/^\d+$/.test(value)) throw malformed(mode, `${name} must be a whole number`)
    if (DURATIONS.has(name) && !DURATION.test(value)) {
      throw malformed(mode, `${name} must be a whole number of seconds, or a duration like '5m'`)
    }
  }
  return {
    mode,
    addresses: parseAddresses(fields.get('save_path') ?? '', mode),
    password: fields.get('password') || undefined,
    db: parseDb(fields.get('db_num') || '0', mode),
    master: fields.get('master_name') || 'mymaster',
    tls: false,
  }
}

function fromUrl(
  [, scheme = '', credentials = '', hosts = '', rest = '']: RegExpExecArray,
  mode: RedisMode,
): RedisConfig {
  const protocol = scheme.toLowerCase()
  const isSocket = protocol === 'unix'
  if (!isSocket && protocol !== 'redis' && protocol !== 'rediss') {
    throw malformed(mode, 'the scheme must be redis, rediss or unix')
  }
  if (isSocket && (mode !== 'single' || hosts !== '')) {
    throw malformed(
      mode,
      "the URL of a socket file is 'unix:///path/to/redis.sock', and it is a single server",
    )
  }
  const unreadable = (): SessionError =>
    malformed(mode, 'the URL is malformed; write special characters in user and password as %XX')
  // A `?`, `#` or `/` in a password would end the address, and the text before it would be taken for a host.
  if (/#|[?].*@/s.test(rest) || (!isSocket && rest.includes('@'))) throw unreadable()
  const text = `redis://${credentials}host${rest}`
  if (!URL.canParse(text)) throw unreadable()
  const url = new URL(text)
  const username = percentDecoded(url.username, unreadable)
  const password = percentDecoded(url.password, unreadable)
  const path = percentDecoded(url.pathname, unreadable)
  for (const name of url.searchParams.keys()) {
    if (!PARAMETERS.has(name)) {
      throw malformed(mode, `there is an unknown parameter; known are ${[...PARAMETERS].join(', ')}`)
    }
  }
  const parameter = (name: string): string | undefined => url.searchParams.get(name) ?? undefined
  const timeout = parameter('timeout')
  if (timeout !== undefined && !/^[1-9]\d*$/.test(timeout)) {
    throw malformed(mode, 'timeout must be a whole number of milliseconds')
  }
  return {
    mode,
    addresses: isSocket ? [{ path }] : parseAddresses(hosts, mode),
    username: username || undefined,
    password: password || undefined,
    db: parseDb(parameter('db') ?? ((isSocket ? '' : path.slice(1)) || '0'), mode),
    master: parameter('master') ?? 'mymaster',
    tls: protocol === 'rediss',
    prefix: parameter('prefix'),
    timeout: timeout === undefined ? undefined : Number(timeout),
  }
}

function parseAddresses(text: string, mode: RedisMode): readonly RedisAddress[] {
  if (text === '') throw malformed(mode, 'the address is missing')
  const addresses = text.split(';').map((each) => parseAddress(each.trim(), mode))
  if (mode === 'single' && addresses.length > 1) {
    throw malformed(mode, 'several addresses are for redis_cluster or redis_sentinel')
  }
  return addresses
}

function parseAddress(text: string, mode: RedisMode): RedisAddress {
  if (text.startsWith('/') && mode === 'single') return { path: text }
  const [, host = '', digits] = ADDRESS.exec(text) ?? []
  const port = Number(digits ?? (mode === 'sentinel' ? 26_379 : 6_379))
  if (!ADDRESS.test(text) || text === '' || port < 1 || port > 65_535) {
    throw malformed(mode, 'an address must be host:port, with a port from 1 to 65535')
  }
  // In Go, ':6379' is a port of this machine.
  return { host: host.replace(/^\[|\]$/g, '') || '127.0.0.1', port }
}

function parseDb(text: string, mode: RedisMode): number {
  if (!/^\d{1,9}$/.test(text)) throw malformed(mode, 'the database must be a whole number')
  const db = Number(text)
  if (mode === 'cluster' && db !== 0) throw malformed(mode, 'a Redis Cluster has database 0 and no other')
  return db
}

function malformed(mode: RedisMode, what: string): SessionError {
  const { name, example } = PROVIDERS[mode]
  return new SessionError('ERR_SESSION_OPTIONS', `${name}: ${what}; for example ${example}`)
}

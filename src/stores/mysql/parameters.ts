import { fail, malformed } from './refusal.ts'
import { pemOf, type TlsLevel, type TlsWish, wishesOfJson } from './tls.ts'

/** The parameters of a config string, after the question mark. */
export interface MysqlParameters {
  readonly socketPath?: string
  /** In ms. */
  readonly connectTimeout?: number
  /** How long a verb may take, in ms. */
  readonly timeout?: number
  readonly poolSize?: number
  readonly table?: string
  /** The ms without traffic before the first TCP probe; `false` for none. */
  readonly keepAlive?: number | false
}

/** What parameters say. */
export interface FoundParameters {
  readonly parameters: MysqlParameters
  readonly tls: readonly TlsWish[]
  /** What happens instead, by the name of each parameter that has no effect. */
  readonly ignored: ReadonlyMap<string, string>
}

/** Parses the value of a parameter; returns `undefined` if it is not valid. */
type Read = (value: string) => MysqlParameters | undefined

const PARAMETERS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['table', (value) => (isTable(value) ? { table: value } : undefined)],
  ['poolSize', poolSize],
  ['connectionLimit', poolSize],
  ['connection_limit', poolSize],
  ['socketPath', (value) => (value === '' ? undefined : { socketPath: value })],
  ['socket', (value) => (value === '' ? undefined : { socketPath: value })],
  ['timeout', (value) => duration(value, (ms) => ({ connectTimeout: ms }))],
  ['readTimeout', (value) => duration(value, (ms) => ({ timeout: ms }))],
  ['writeTimeout', (value) => duration(value, (ms) => ({ timeout: ms }))],
  // Prisma's are seconds, those of JDBC and mysql2 are ms. 0 is none.
  ['connect_timeout', (value) => whole(value, 1_000, (ms) => ({ connectTimeout: ms }))],
  ['connectTimeout', (value) => whole(value, 1, (ms) => ({ connectTimeout: ms }))],
  ['socket_timeout', (value) => whole(value, 1_000, (ms) => ({ timeout: ms }))],
  ['socketTimeout', (value) => whole(value, 1, (ms) => ({ timeout: ms }))],
  ['enableKeepAlive', (value) => ({ true: {}, false: { keepAlive: false } as const })[value]],
  ['keepAliveInitialDelay', (value) => (/^\d{1,9}$/.test(value) ? { keepAlive: Number(value) } : undefined)],
])

/** Parses what a parameter says of TLS; returns `undefined` if it is not valid. */
type ReadTls = (value: string, name: string) => readonly TlsWish[] | undefined

/** By names in lower case without `-` and `_`, since every program writes them in its own way. */
const TLS: ReadonlyMap<string, ReadTls> = new Map<string, ReadTls>([
  ['tls', levels({ true: 'verified', 'skip-verify': 'unchecked', preferred: 'preferred', false: 'off' })],
  [
    'sslmode',
    levels({
      disabled: 'off',
      disable: 'off',
      preferred: 'preferred',
      prefer: 'preferred',
      required: 'encrypted',
      require: 'encrypted',
      trust: 'unchecked',
      'verify-ca': 'trusted',
      'verify-identity': 'verified',
      'verify-full': 'verified',
    }),
  ],
  ['usessl', levels({ true: 'encrypted', false: 'off' })],
  ['requiressl', levels({ true: 'encrypted', false: undefined })],
  ['verifyservercertificate', levels({ true: 'trusted', false: undefined })],
  ['sslaccept', levels({ strict: 'verified', 'accept-invalid-certs': 'unchecked' })],
  ['ssl', (value, name) => levels({ true: 'verified', false: 'off' })(value, name) ?? json(value, name)],
  ['sslca', (value, name) => pem('ca', value, name)],
  ['sslcert', (value, name) => pem('cert', value, name)],
  ['sslkey', (value, name) => pem('key', value, name)],
  ['sslpassword', (value, name) => [{ name, options: { passphrase: value } }]],
])

/** The names that errors list. */
const KNOWN = [
  ...PARAMETERS.keys(),
  'tls',
  'ssl-mode',
  'ssl',
  'ssl-ca',
  'ssl-cert',
  'ssl-key',
  'sslaccept',
  'useSSL',
]

/**
 * Parameters of other drivers that change nothing. Those of the character set are among them: keys are ASCII, payloads bytes.
 */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'allowAllFiles',
  'allowNativePasswords',
  'allowPublicKeyRetrieval',
  'autoReconnect',
  'bigNumberStrings',
  'cachePrepStmts',
  'characterEncoding',
  'charset',
  'checkConnLiveness',
  'clientFoundRows',
  'collation',
  'columnsWithAlias',
  'connectionAttributes',
  'dateStrings',
  'decimalNumbers',
  'encoding',
  'interpolateParams',
  'loc',
  'maxAllowedPacket',
  'multiStatements',
  'multipleStatements',
  'namedPlaceholders',
  'parseTime',
  'reconnect',
  'rejectReadOnly',
  'rewriteBatchedStatements',
  'serverTimezone',
  'supportBigNumbers',
  'timeTruncate',
  'timezone',
  'useLegacyDatetimeCode',
  'useServerPrepStmts',
  'useUnicode',
  'waitForConnections',
  'zeroDateTimeBehavior',
])

const NODE_DECIDES = 'Node decides on it; minVersion and ciphers in ssl={…} are known'

/** Parameters of other drivers that ask for something else than what happens, which is told. */
const IGNORED: ReadonlyMap<string, string> = new Map([
  ['compress', 'nothing is compressed'],
  ['idleTimeout', 'idle connections stay open'],
  ['maxIdle', 'idle connections stay open'],
  ['maxPreparedStatements', 'each statement is prepared once per connection'],
  ['pool_timeout', 'a call waits for a connection no longer than its timeout'],
  ['queueLimit', '1,000 calls may wait'],
  ['ssl-cipher', NODE_DECIDES],
  ['ssl-crl', 'no list of revoked certificates is read'],
  ['sslidentity', 'give ssl-cert and ssl-key'],
  ['statement_cache_size', 'each statement is prepared once per connection'],
  ['tls-version', NODE_DECIDES],
])

/** @throws SessionError `ERR_SESSION_OPTIONS` for an unknown parameter, which is not quoted, or a value that is not valid */
export function readParameters(query: Iterable<readonly [name: string, value: string]>): FoundParameters {
  let parameters: MysqlParameters = {}
  const tls: TlsWish[] = []
  const ignored = new Map<string, string>()
  for (const [name, value] of query) {
    const instead = IGNORED.get(name)
    if (instead !== undefined) ignored.set(name, instead)
    if (instead !== undefined || WITHOUT_EFFECT.has(name)) continue
    const readTls = TLS.get(spellingOf(name))
    const wishes = readTls?.(value, name)
    const found = PARAMETERS.get(name)?.(value)
    if (found === undefined && wishes === undefined) {
      // The text in the place of a name may be a part of a password, so it is not shown.
      if (!PARAMETERS.has(name) && readTls === undefined)
        throw malformed(`has an unknown parameter; known are ${KNOWN.join(', ')}`)
      throw malformed(`has a parameter ${name} without a valid value`)
    }
    tls.push(...(wishes ?? []))
    // The driver does not separate reading from writing, so the longer timeout applies.
    const timeout = Math.max(found?.timeout ?? 0, parameters.timeout ?? 0)
    parameters = { ...parameters, ...found, ...(timeout > 0 ? { timeout } : {}) }
  }
  return { parameters, tls: ownCertificate(tls), ignored }
}

function spellingOf(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '')
}

/** What Prisma calls `sslcert` is the authority; as in its strings there is `sslaccept` then, and no key. */
function ownCertificate(wishes: readonly TlsWish[]): readonly TlsWish[] {
  const is = ({ name }: TlsWish, known: string): boolean => spellingOf(name.split('=')[0] ?? '') === known
  const has = (known: string): boolean => wishes.some((wish) => is(wish, known))
  if (!has('sslcert') || has('sslkey')) return wishes
  if (!has('sslaccept')) return fail('has ssl-cert, which needs ssl-key')
  return wishes.map((wish) => {
    const ca = is(wish, 'sslcert') ? wish.options?.cert : undefined
    return ca === undefined ? wish : { name: wish.name, options: { ca } }
  })
}

/** Values in any case, with `_` for `-`. `unchecked` is encrypted, and says in so many words that nothing is checked. */
function levels(values: Readonly<Record<string, TlsLevel | 'unchecked' | undefined>>): ReadTls {
  const known = new Map(Object.entries(values))
  return (value, name) => {
    const spelling = value.toLowerCase().replaceAll('_', '-')
    if (!known.has(spelling)) return undefined
    const level = known.get(spelling)
    if (level === undefined) return []
    if (level === 'unchecked')
      return [{ name: `${name}=${value.toLowerCase()}`, level: 'encrypted', isUnchecked: true }]
    return [{ name, level }]
  }
}

function json(value: string, name: string): readonly TlsWish[] | undefined {
  try {
    return wishesOfJson(name, JSON.parse(value))
  } catch (error) {
    // The error of JSON.parse shows a part of the text.
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function pem(field: 'ca' | 'cert' | 'key', value: string, name: string): readonly TlsWish[] | undefined {
  return value === '' ? undefined : [{ name, options: { [field]: pemOf(name, value) } }]
}

/** Whether the name can be used in SQL unchanged, between backticks. */
export function isTable(name: string): boolean {
  return /^[\w$]{1,64}$/.test(name)
}

function poolSize(value: string): MysqlParameters | undefined {
  return /^[1-9]\d{0,3}$/.test(value) ? { poolSize: Number(value) } : undefined
}

function whole(
  value: string,
  unit: number,
  use: (ms: number) => MysqlParameters,
): MysqlParameters | undefined {
  const ms = /^\d{1,10}$/.test(value) ? Number(value) * unit : Number.NaN
  if (ms === 0) return {}
  return ms < 2 ** 31 ? use(ms) : undefined
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

import type { SessionError } from '../../errors.ts'

/** How TLS is checked: at all, and whether the certificate is for this host. */
export interface MysqlTls {
  readonly rejectUnauthorized: boolean
  readonly verifyIdentity: boolean
}

/** What stands behind the question mark of a config string. */
export interface MysqlParameters {
  readonly socketPath?: string
  readonly tls?: MysqlTls
  /** ms */
  readonly connectTimeout?: number
  /** The deadline of a call, in ms. */
  readonly timeout?: number
  readonly poolSize?: number
  readonly table?: string
}

/** Takes the value of a parameter; `undefined` is what it makes of a wrong one. */
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

/** Settings of Go's driver, and the character set, which make no difference here: keys are ASCII and payloads bytes. */
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

/** @throws what `wrong` makes of the first parameter that is unknown, or that has an impossible value */
export function readParameters(
  query: URLSearchParams,
  wrong: (problem: string) => SessionError,
): MysqlParameters {
  let parameters: MysqlParameters = {}
  for (const [name, value] of query) {
    if (WITHOUT_EFFECT.has(name)) continue
    const read = PARAMETERS.get(name)
    // Anything may stand where a name belongs, half a password too. What does not look like a name is not shown.
    if (read === undefined)
      throw wrong(`has an unknown parameter ${/^[a-z_-]{1,40}$/i.test(name) ? name : ''}`.trim())
    const found = read(value)
    if (found === undefined) throw wrong(`has a parameter ${name} without a valid value`)
    // Reading and writing are one call here, so the longer one of the two counts.
    const timeout = Math.max(found.timeout ?? 0, parameters.timeout ?? 0)
    parameters = { ...parameters, ...found, ...(timeout > 0 ? { timeout } : {}) }
  }
  return parameters
}

/** Whether the text can stand for a table in SQL as it is, between backticks. */
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

/** A duration as Go writes it: `500ms`, `5s`, `1m30s`, `1.5s`. It has to be one that a timer can wait for. */
function duration(value: string, use: (ms: number) => MysqlParameters): MysqlParameters | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(value)) return undefined
  let ms = 0
  for (const [, amount, unit = ''] of value.matchAll(/([\d.]+)([a-z]+)/g)) {
    ms += Number(amount) * (UNITS.get(unit) ?? NaN)
  }
  ms = Math.ceil(ms)
  return ms >= 1 && ms < 2 ** 31 ? use(ms) : undefined
}

/** The words of a config string that have an effect. */
export const APPLIED: ReadonlySet<string> = new Set([
  'host',
  'hostaddr',
  'port',
  'user',
  'password',
  'passfile',
  'dbname',
  'schema',
  'search_path',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslaccept',
  'sslnegotiation',
  'ssl_min_protocol_version',
  'ssl_max_protocol_version',
  'channel_binding',
  'require_auth',
  'gssencmode',
  'target_session_attrs',
  'keepalives',
  'keepalives_idle',
  'connect_timeout',
  'socket_timeout',
  'statement_timeout',
  'connection_limit',
  'pool_max_conns',
  'pgbouncer',
  'application_name',
  'fallback_application_name',
  'client_encoding',
  'options',
])

interface WithoutEffect {
  /** What happens instead. */
  readonly instead: string
  /** The values that ask for nothing else. */
  readonly quiet?: RegExp
}

const UNPREPARED = 'statements are prepared only with the option prepare'
const NO_GSSAPI = 'the driver does not know GSSAPI'
const ONE_POOL = 'idle connections are closed after 10 seconds'
const ANY = /^/

/** Words of libpq, and of the strings of other programs and of vendors, that have none. */
export const WITHOUT_EFFECT: ReadonlyMap<string, WithoutEffect> = new Map<string, WithoutEffect>([
  ['TimeZone', { instead: 'moments are sent without a time zone', quiet: ANY }],
  ['binary_parameters', { instead: 'values are sent as text or bytes', quiet: /^(?:no|0|false)$/ }],
  ['default_query_exec_mode', { instead: UNPREPARED }],
  ['description_cache_capacity', { instead: UNPREPARED }],
  ['gssdelegation', { instead: NO_GSSAPI, quiet: /^0$/ }],
  ['gsslib', { instead: NO_GSSAPI }],
  ['keepalives_count', { instead: 'Node decides on the number of probes' }],
  ['keepalives_interval', { instead: 'Node decides on the time between probes' }],
  ['krbsrvname', { instead: NO_GSSAPI }],
  ['load_balance_hosts', { instead: 'there is one host', quiet: /^disable$/ }],
  ['max_connection_lifetime', { instead: ONE_POOL }],
  ['max_idle_connection_lifetime', { instead: ONE_POOL }],
  ['max_protocol_version', { instead: 'the driver speaks version 3.0 of the protocol', quiet: /^3\.0$/ }],
  ['min_protocol_version', { instead: 'the driver speaks version 3.0 of the protocol', quiet: /^3\.0$/ }],
  ['pool_health_check_period', { instead: ONE_POOL }],
  ['pool_max_conn_idle_time', { instead: ONE_POOL }],
  ['pool_max_conn_lifetime', { instead: ONE_POOL }],
  ['pool_min_conns', { instead: ONE_POOL }],
  ['pool_timeout', { instead: 'a call waits for a connection no longer than the option timeout' }],
  ['prefer_simple_protocol', { instead: UNPREPARED, quiet: /^true$/ }],
  ['requirepeer', { instead: 'the user of the server process is not checked' }],
  ['sslcertmode', { instead: 'a certificate is sent if there is sslcert', quiet: /^allow$/ }],
  ['sslcompression', { instead: 'TLS does not compress', quiet: /^0$/ }],
  ['sslcrl', { instead: 'no list of revoked certificates is read' }],
  ['sslcrldir', { instead: 'no list of revoked certificates is read' }],
  ['sslidentity', { instead: 'give sslcert and sslkey' }],
  ['sslsni', { instead: 'the name of the host is sent', quiet: /^1$/ }],
  ['statement_cache_capacity', { instead: UNPREPARED, quiet: /^0$/ }],
  ['statement_cache_size', { instead: UNPREPARED, quiet: /^0$/ }],
  // Vendors add these for their own use.
  ['supa', { instead: 'nothing', quiet: ANY }],
  ['tcp_user_timeout', { instead: 'a call ends after the option timeout', quiet: /^0$/ }],
  ['uselibpqcompat', { instead: "sslmode has libpq's meaning", quiet: /^true$/ }],
  ['workaround', { instead: 'nothing', quiet: ANY }],
])

/** What happens instead, by the name of each parameter that is given and asks for something else. */
export function ignoredOf(words: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const ignored = new Map<string, string>()
  for (const [word, { instead, quiet }] of WITHOUT_EFFECT) {
    const value = words.get(word)
    if (value !== undefined && quiet?.test(value) !== true) ignored.set(word, instead)
  }
  return ignored
}

/** The variables of libpq that stand for a word which is not given, and that `pg` would not honour. */
export const VARIABLES: ReadonlyMap<string, string> = new Map([
  ['sslmode', 'PGSSLMODE'],
  ['sslrootcert', 'PGSSLROOTCERT'],
  ['sslcert', 'PGSSLCERT'],
  ['sslkey', 'PGSSLKEY'],
  ['sslnegotiation', 'PGSSLNEGOTIATION'],
  ['ssl_min_protocol_version', 'PGSSLMINPROTOCOLVERSION'],
  ['ssl_max_protocol_version', 'PGSSLMAXPROTOCOLVERSION'],
  ['channel_binding', 'PGCHANNELBINDING'],
  ['require_auth', 'PGREQUIREAUTH'],
  ['gssencmode', 'PGGSSENCMODE'],
  ['target_session_attrs', 'PGTARGETSESSIONATTRS'],
])

/** A word: its value, and where that was found. */
export interface Setting {
  readonly value: string
  readonly isVariable: boolean
}

/** Words that may come from the environment. */
export type Settings = ReadonlyMap<string, Setting>

export type Environment = Readonly<Record<string, string | undefined>>

/** The words that decide on encryption, authentication and the kind of server. */
export function settingsOf(words: ReadonlyMap<string, string>, environment: Environment): Settings {
  const settings = new Map<string, Setting>()
  for (const word of [...VARIABLES.keys(), 'sslpassword', 'sslaccept']) {
    const given = words.get(word)
    const variable = environment[VARIABLES.get(word) ?? '']
    if (given !== undefined) settings.set(word, { value: given, isVariable: false })
    // As in libpq an empty name of a file is none, and an empty mode is not a mode.
    else if (variable !== undefined && (variable !== '' || word === 'sslmode'))
      settings.set(word, { value: variable, isVariable: true })
  }
  return settings
}

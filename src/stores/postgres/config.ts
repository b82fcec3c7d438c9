import { isIP } from 'node:net'
import type { ClientConfig } from 'pg'
import { percentDecoded } from '../shared/options.ts'
import { type ConfigWarning, ignoredWarning } from '../shared/warnings.ts'
import { type AuthenticationRules, authenticationRules } from './authentication.ts'
import { type Encryption, encryptionOf, encryptionWarnings, isSocketFile, type Place } from './encryption.ts'
import {
  APPLIED,
  type Environment,
  ignoredOf,
  type Settings,
  settingsOf,
  WITHOUT_EFFECT,
} from './parameters.ts'
import { type Login, passwordFromFile } from './password-file.ts'
import { choiceOf, refusal } from './refusal.ts'

/** The contents of a config string. What is `undefined` is not given. */
export interface PostgresConfig {
  /** The address, the user, and what the driver is told besides. */
  readonly client: ClientConfig
  /** The ways to encrypt, in the order in which they are tried. */
  readonly encryption: Encryption
  readonly authentication: AuthenticationRules
  /** The kind of server that is wanted. */
  readonly target: 'read-write' | 'primary' | undefined
  /** The time after which the server gives up a statement, in ms, if it is shorter than the timeout. */
  readonly statementTimeout: number | undefined
  /** The schema of the table. */
  readonly schema: string | undefined
  readonly maxConnections: number | undefined
  /** How long a verb may take, in ms. */
  readonly timeout: number | undefined
  /** Whether a transaction pooler is between, so that no statement may be prepared. */
  readonly isPooled: boolean
  readonly warnings: readonly ConfigWarning[]
}

const URL_FORM =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?]*)(?::(?<password>[^@/?]*))?@)?(?<host>\[[^\]]*\]|[^@:/?]*)(?::(?<port>[^@/?]*))?(?:\/(?<dbname>[^?@]*))?(?:\?(?<query>[^@]*))?$/s

/** One `keyword = value` as libpq parses it: quotes only around a whole value, and a backslash escapes the next character. */
const PAIR =
  /\s*(?<word>\w+)\s*=\s*(?:'(?<quoted>(?:[^'\\]|\\.)*)'(?=\s|$)|(?<plain>(?!')(?:[^\s\\]|\\.)*))/suy

/** The `ssl` of a URL, as JDBC and `pg` know it, and the mode that it stands for. */
const SSL: ReadonlyMap<string, string> = new Map([
  ['true', 'require'],
  ['1', 'require'],
  ['false', 'disable'],
  ['0', 'disable'],
  ['no-verify', 'no-verify'],
])

/** The time without traffic before the first probe of a connection, in ms. */
const KEEPALIVE_DELAY = 30_000

/**
 * Parses a PostgreSQL URL, or the keywords and values of libpq. What decides on encryption, on authentication or on the kind
 * of server, and is not given, is taken from the environment.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` if it is neither, or a variable has a value that libpq does not know; the text
 *   never holds the password
 */
export function parsePostgresConfig(text: string, environment: Environment = process.env): PostgresConfig {
  const words = /^\w+:\/\//.test(text) ? wordsOfUrl(text) : wordsOfConninfo(text)
  refuseUnknown([...words.keys()])
  const encoding = words.get('client_encoding') ?? 'UTF8'
  if (!/^(?:utf-?8|unicode|auto)$/i.test(encoding)) throw refusal('takes no client_encoding but UTF8')
  const place = placeOf(words, environment)
  const settings = settingsOf(words, environment)
  const authentication = authenticationRules(settings)
  const { sslnegotiation, encryption } = negotiatedEncryption(settings, place, authentication)
  const client = { ...clientOf(words, place), sslnegotiation }
  return {
    client: { ...client, ...passwordOf(words, client, place, environment) },
    encryption,
    authentication,
    target: targetOf(settings),
    statementTimeout: wholeNumber(words, 'statement_timeout') || undefined,
    schema: words.get('schema') || undefined,
    maxConnections: connectionLimit(words),
    timeout: milliseconds(words, 'socket_timeout'),
    isPooled: words.get('pgbouncer') === 'true',
    warnings: [...encryptionWarnings(settings, place), ...ignoredWarning(ignored(words, settings))],
  }
}

function placeOf(words: ReadonlyMap<string, string>, environment: Environment): Place {
  const host = words.get('host')
  const address = words.get('hostaddr') || undefined
  if (host?.includes(',') === true || address?.includes(',') === true) throw refusal('takes one host')
  // Other text may be the next word, even the password, without a blank before it.
  if (!/^(?:\/.*|[\w.:%-]*)$/s.test(host ?? ''))
    throw refusal('has a host that is neither a name nor a folder')
  if (address !== undefined && isIP(address) === 0) throw refusal('must have an IP address as hostaddr')
  const named = host || (address === undefined ? environment['PGHOST'] : undefined) || undefined
  if (address !== undefined && named?.startsWith('/') === true)
    throw refusal('cannot have a folder as host together with hostaddr')
  return { host: named ?? address ?? 'localhost', address }
}

/** The error names the known word before the unknown one, which may be the rest of a password that is not quoted. */
function refuseUnknown(words: readonly string[]): void {
  const at = words.findIndex((word) => !APPLIED.has(word) && !WITHOUT_EFFECT.has(word))
  if (at === -1) return
  const where = at === 0 ? 'at its beginning' : `after ${words[at - 1]}`
  throw refusal(`has an unknown word ${where} (known are ${[...APPLIED].join(', ')})`)
}

function wordsOfUrl(text: string): ReadonlyMap<string, string> {
  const parts = URL_FORM.exec(text)?.groups
  if (parts === undefined) throw refusal('is no URL of PostgreSQL (special characters need percent-encoding)')
  const { query = '', ...named } = parts
  const words = new Map<string, string>()
  for (const [word, value] of Object.entries(named)) {
    if (value !== undefined && value !== '') words.set(word, decoded(value.replace(/^\[(.*)\]$/, '$1')))
  }
  for (const pair of query.split('&').filter((each) => each !== '')) {
    const [word = '', ...rest] = pair.split('=')
    const value = decoded(rest.join('=').replaceAll('+', ' '))
    const mode = word === 'ssl' ? SSL.get(value) : undefined
    if (mode === undefined) words.set(decoded(word), value)
    else words.set('sslmode', mode)
  }
  return words
}

function decoded(text: string): string {
  return percentDecoded(text, () => refusal('has a % that is not followed by two hexadecimal digits'))
}

function wordsOfConninfo(text: string): ReadonlyMap<string, string> {
  const words = new Map<string, string>()
  const rest = text.trimEnd()
  if (rest === '') throw refusal('is empty')
  PAIR.lastIndex = 0
  while (PAIR.lastIndex < rest.length) {
    const { word, quoted, plain } = PAIR.exec(rest)?.groups ?? {}
    if (word === undefined) throw refusal('is not a list of keyword=value')
    words.set(word, (quoted ?? plain ?? '').replace(/\\(.)/gs, '$1'))
  }
  return words
}

function clientOf(words: ReadonlyMap<string, string>, { address }: Place): ClientConfig {
  const timeout = milliseconds(words, 'connect_timeout')
  const path = words.get('search_path')
  const options = [words.get('options'), path && `-c search_path=${path.replaceAll(/[\s\\]/g, '\\$&')}`]
  return {
    host: address ?? (words.get('host') || undefined),
    port: words.has('port') ? wholeNumber(words, 'port', 1, 65_535) : undefined,
    user: words.get('user') || undefined,
    password: words.get('password') || undefined,
    database: words.get('dbname') || undefined,
    options: options.filter(Boolean).join(' ') || undefined,
    application_name: words.get('application_name') || undefined,
    fallback_application_name: words.get('fallback_application_name') || 'koa-typed-session',
    ...keepAliveOf(words),
    ...(timeout !== undefined && { connectionTimeoutMillis: timeout }),
  }
}

function keepAliveOf(words: ReadonlyMap<string, string>): ClientConfig {
  if ((wholeNumber(words, 'keepalives', 0, 1) ?? 1) === 0) return { keepAlive: false }
  const idle = wholeNumber(words, 'keepalives_idle', 0, 2_147_483)
  return {
    keepAlive: true,
    keepAliveInitialDelayMillis: idle === undefined ? KEEPALIVE_DELAY : idle * 1_000,
  }
}

/** The password of the file, where neither the string nor the environment has one. */
function passwordOf(
  words: ReadonlyMap<string, string>,
  client: ClientConfig,
  { host }: Place,
  environment: Environment,
): ClientConfig {
  const file = words.get('passfile') || undefined
  if (file === undefined || client.password !== undefined || environment['PGPASSWORD']) return {}
  const user = client.user ?? (environment['PGUSER'] || environment['USER'] || environment['USERNAME'] || '')
  const login: Login = {
    host,
    port: client.port ?? Number(environment['PGPORT'] || 5432),
    database: client.database ?? (environment['PGDATABASE'] || user),
    user,
  }
  return { password: passwordFromFile(file, login) }
}

/** The ways to encrypt that are left by what asks for TLS. */
function negotiatedEncryption(
  settings: Settings,
  place: Place,
  { binding }: AuthenticationRules,
): { readonly sslnegotiation: 'direct' | 'postgres'; readonly encryption: Encryption } {
  const sslnegotiation = choiceOf(settings, 'sslnegotiation', ['postgres', 'direct']) ?? 'postgres'
  const gssencmode = choiceOf(settings, 'gssencmode', ['disable', 'prefer', 'require'])
  if (gssencmode === 'require')
    throw refusal(
      'cannot have gssencmode=require, since the driver does not know GSSAPI',
      settings,
      'gssencmode',
    )
  const encryption = encryptionOf(settings, place)
  if (isSocketFile(place) && binding !== 'require') return { sslnegotiation: 'postgres', encryption }
  // Without TLS there is no channel to bind to.
  const ways = binding === 'require' ? encryption.filter((way) => way !== false) : encryption
  if (ways.length === 0)
    throw refusal(
      'cannot have channel_binding=require without TLS, as with sslmode=disable or a socket file',
      settings,
      'channel_binding',
    )
  if (sslnegotiation === 'direct' && ways.includes(false))
    throw refusal(
      'must have sslmode=require or a stricter one with sslnegotiation=direct',
      settings,
      'sslnegotiation',
    )
  return { sslnegotiation, encryption: ways }
}

/** `read-only` and `standby` ask for servers on which a store cannot write. */
function targetOf(settings: Settings): PostgresConfig['target'] {
  const word = 'target_session_attrs'
  const wanted = choiceOf(settings, word, TARGETS)
  if (wanted === 'read-only' || wanted === 'standby')
    throw refusal(`cannot have ${word}=${wanted}, since a store of sessions writes`, settings, word)
  return wanted === 'any' || wanted === 'prefer-standby' ? undefined : wanted
}

const TARGETS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const

function ignored(words: ReadonlyMap<string, string>, settings: Settings): ReadonlyMap<string, string> {
  const found = new Map(ignoredOf(words))
  if (settings.get('target_session_attrs')?.value === 'prefer-standby')
    found.set('target_session_attrs=prefer-standby', 'there is one host')
  return found
}

function connectionLimit(words: ReadonlyMap<string, string>): number | undefined {
  return wholeNumber(words, 'connection_limit', 1, 10_000) ?? wholeNumber(words, 'pool_max_conns', 1, 10_000)
}

/** A number of seconds in ms, of which 0 is none. */
function milliseconds(words: ReadonlyMap<string, string>, word: string): number | undefined {
  const seconds = wholeNumber(words, word, 0, 2_147_483)
  return seconds === undefined || seconds === 0 ? undefined : seconds * 1_000
}

function wholeNumber(
  words: ReadonlyMap<string, string>,
  word: string,
  least = 0,
  most = 2_147_483_647,
): number | undefined {
  const text = words.get(word)
  if (text === undefined) return undefined
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw refusal(`must have a whole number from ${least} to ${most} as ${word}`)
}

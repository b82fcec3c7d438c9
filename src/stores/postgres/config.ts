import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type { ClientConfig } from 'pg'
import type { SessionError } from '../../errors.ts'
import { errnoOf } from '../shared/errors.ts'
import { optionError, percentDecoded } from '../shared/options.ts'

/** The address and the user, and the ways to encrypt in the order in which they are tried. */
export interface PostgresConfig {
  readonly client: ClientConfig
  readonly encryption: readonly (false | ConnectionOptions)[]
}

const URL_FORM =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?]*)(?::(?<password>[^@/?]*))?@)?(?<host>\[[^\]]*\]|[^@:/?]*)(?::(?<port>[^@/?]*))?(?:\/(?<dbname>[^?@]*))?(?:\?(?<query>[^@]*))?$/s

/** One `keyword = value` as libpq parses it: quotes only around a whole value, and a backslash escapes the next character. */
const PAIR =
  /\s*(?<word>\w+)\s*=\s*(?:'(?<quoted>(?:[^'\\]|\\.)*)'(?=\s|$)|(?<plain>(?!')(?:[^\s\\]|\\.)*))/suy

const KNOWN: ReadonlySet<string> = new Set([
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslpassword',
  'connect_timeout',
  'application_name',
  'fallback_application_name',
  'client_encoding',
  'options',
  'search_path',
])

/** The variables of libpq that stand for a keyword which is not given, and that `pg` would not honour. */
const VARIABLES: ReadonlyMap<string, string> = new Map([
  ['sslmode', 'PGSSLMODE'],
  ['sslrootcert', 'PGSSLROOTCERT'],
  ['sslcert', 'PGSSLCERT'],
  ['sslkey', 'PGSSLKEY'],
])

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Parses a PostgreSQL URL, or the keywords and values of libpq. What decides on encryption and is not given is taken from the
 * environment.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` if it is neither, or a variable has a value that libpq does not know; the text
 *   never holds the password
 */
export function parsePostgresConfig(text: string, environment: Environment = process.env): PostgresConfig {
  const words = /^\w+:\/\//.test(text) ? wordsOfUrl(text) : wordsOfConninfo(text)
  refuseUnknown([...words.keys()])
  const host = words.get('host')
  if (host?.includes(',') === true) throw refusal('takes one host')
  // Other text may be the next word, even the password, without a blank before it.
  if (!/^(?:\/.*|[\w.:%-]*)$/s.test(host ?? ''))
    throw refusal('has a host that is neither a name nor a folder')
  const encoding = words.get('client_encoding') ?? 'UTF8'
  if (!/^(?:utf-?8|unicode|auto)$/i.test(encoding)) throw refusal('takes no client_encoding but UTF8')
  const isFile = (host || environment['PGHOST'] || '').startsWith('/')
  return { client: clientOf(words), encryption: encryptionOf(tlsOf(words, environment), isFile) }
}

/** A keyword about encryption: its value, and where that was found. */
interface Setting {
  readonly value: string
  readonly isVariable: boolean
}

type Settings = ReadonlyMap<string, Setting>

function tlsOf(words: ReadonlyMap<string, string>, environment: Environment): Settings {
  const settings = new Map<string, Setting>()
  for (const word of [...VARIABLES.keys(), 'sslpassword']) {
    const given = words.get(word)
    const variable = environment[VARIABLES.get(word) ?? '']
    if (given !== undefined) settings.set(word, { value: given, isVariable: false })
    // As in libpq an empty name of a file is none, and an empty mode is not a mode.
    else if (variable !== undefined && (variable !== '' || word === 'sslmode'))
      settings.set(word, { value: variable, isVariable: true })
  }
  return settings
}

/** The error names the known word before the unknown one, which may be the rest of a password that is not quoted. */
function refuseUnknown(words: readonly string[]): void {
  const at = words.findIndex((word) => !KNOWN.has(word))
  if (at === -1) return
  const where = at === 0 ? 'at its beginning' : `after ${words[at - 1]}`
  throw refusal(`has an unknown word ${where} (known are ${[...KNOWN].join(', ')})`)
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
    if (word === 'ssl' && value === 'true') words.set('sslmode', 'require')
    else words.set(decoded(word), value)
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

function clientOf(words: ReadonlyMap<string, string>): ClientConfig {
  const port = words.get('port')
  const timeout = words.get('connect_timeout')
  const path = words.get('search_path')
  const options = [words.get('options'), path && `-c search_path=${path.replaceAll(/[\s\\]/g, '\\$&')}`]
  return {
    host: words.get('host') || undefined,
    port: port === undefined ? undefined : wholeNumber('port', port, 1, 65_535),
    user: words.get('user') || undefined,
    password: words.get('password') || undefined,
    database: words.get('dbname') || undefined,
    options: options.filter(Boolean).join(' ') || undefined,
    application_name: words.get('application_name') || undefined,
    fallback_application_name: words.get('fallback_application_name') || 'koa-typed-session',
    ...(timeout !== undefined && timeout !== '0'
      ? { connectionTimeoutMillis: wholeNumber('connect_timeout', timeout, 0, 2_147_483) * 1_000 }
      : {}),
  }
}

function wholeNumber(word: string, text: string, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  throw refusal(`must have a whole number from ${least} to ${most} as ${word}`)
}

/**
 * The meaning of libpq's `sslmode`. As there, `require` with a root certificate checks it, `sslrootcert=system` is only for
 * `verify-full` and makes that the default, and a socket file is not encrypted whatever the mode.
 */
function encryptionOf(settings: Settings, isFile: boolean): PostgresConfig['encryption'] {
  const root = settings.get('sslrootcert')?.value
  const mode = settings.get('sslmode')?.value ?? (root === 'system' ? 'verify-full' : 'prefer')
  const passphrase = settings.get('sslpassword')?.value
  const identity: ConnectionOptions = {
    ...certificate(settings, 'sslcert', 'cert'),
    ...certificate(settings, 'sslkey', 'key'),
    ...(passphrase !== undefined && { passphrase }),
  }
  const unchecked = { ...identity, rejectUnauthorized: false }
  const checked = {
    ...identity,
    rejectUnauthorized: true,
    ...(root === 'system' ? {} : certificate(settings, 'sslrootcert', 'ca')),
  }
  const anyHost = { ...checked, checkServerIdentity: () => undefined }
  const ways = new Map<string, PostgresConfig['encryption']>([
    ['disable', [false]],
    ['allow', [false, unchecked]],
    ['prefer', [unchecked, false]],
    ['require', [root === undefined ? unchecked : anyHost]],
    ['verify-ca', [anyHost]],
    ['verify-full', [checked]],
  ])
  const encryption = ways.get(mode)
  if (encryption === undefined)
    throw refusal(
      'knows the sslmodes disable, allow, prefer, require, verify-ca and verify-full',
      settings,
      'sslmode',
    )
  // A certificate of a public authority proves nothing without a check of the host name.
  if (root === 'system' && mode !== 'verify-full')
    throw refusal('must be sslmode=verify-full with sslrootcert=system', settings, 'sslmode')
  if (root === undefined && mode === 'verify-ca')
    throw refusal('needs sslrootcert for sslmode=verify-ca', settings, 'sslmode')
  return isFile ? [false] : encryption
}

function certificate(settings: Settings, word: string, field: string): ConnectionOptions {
  const file = settings.get(word)?.value
  if (file === undefined) return {}
  try {
    return { [field]: readFileSync(file) }
  } catch (error) {
    throw refusal(`names a file as ${word} that cannot be read (${errnoOf(error)})`, settings, word)
  }
}

/** @param word the keyword at fault, which may be the environment's */
function refusal(what: string, settings?: Settings, word = ''): SessionError {
  if (settings?.get(word)?.isVariable === true)
    return optionError('postgres', `${VARIABLES.get(word)} in the environment ${what}`)
  return optionError(
    'postgres',
    `the config string ${what}; expected a URL such as ` +
      'postgres://user:password@localhost:5432/dbname?sslmode=verify-full, ' +
      'or keywords such as host=localhost user=user password=password dbname=dbname',
  )
}

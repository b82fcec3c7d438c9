import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import type { SecureVersion } from 'node:tls'
import { errnoOf } from '../shared/errors.ts'
import { type ConfigWarning, isLocal, notRequiredWarning, notVerifiedWarning } from '../shared/warnings.ts'
import { fail } from './refusal.ts'

/** TLS options of the `MysqlStore`. None has a default of its own: Node decides. */
export interface MysqlTlsOptions {
  /** The authorities that are trusted, as PEM, in the place of those of Node. */
  readonly ca?: string | Buffer
  /** The certificate of the client, as PEM. */
  readonly cert?: string | Buffer
  /** Its key, as PEM. */
  readonly key?: string | Buffer
  /** What the key is encrypted with. */
  readonly passphrase?: string
  /** The ciphers that are allowed, as OpenSSL lists them. */
  readonly ciphers?: string
  /** The oldest version of TLS: `TLSv1.2`. */
  readonly minVersion?: SecureVersion
  /** The newest version of TLS: `TLSv1.3`. */
  readonly maxVersion?: SecureVersion
  /** Whether the certificate of the server is checked. `false` gives the process warning `KTS_TLS_NOT_VERIFIED`. */
  readonly rejectUnauthorized?: boolean
}

/** How the server's certificate is checked: at all, and for its host name. */
export interface MysqlTls extends MysqlTlsOptions {
  readonly rejectUnauthorized: boolean
  readonly verifyIdentity: boolean
}

/** From less to more: `encrypted` accepts any certificate, `trusted` one for another host. */
const LEVELS = ['off', 'preferred', 'encrypted', 'trusted', 'verified'] as const
export type TlsLevel = (typeof LEVELS)[number]

/** What one parameter says of TLS. */
export interface TlsWish {
  /** The parameter, with its value if that is a known one. */
  readonly name: string
  readonly level?: TlsLevel
  /** Whether it says in so many words that any certificate is accepted. */
  readonly isUnchecked?: boolean
  /** Certificates and versions. */
  readonly options?: MysqlTlsOptions
}

/** What all of them come to. `tls` is absent where nothing is encrypted. */
export interface TlsSettings {
  readonly tls?: MysqlTls
  /** Whether the connection is not encrypted if the server cannot. */
  readonly isTlsOptional?: true
  readonly warnings: readonly ConfigWarning[]
}

const ADVICE = 'Set ssl-mode=VERIFY_IDENTITY, with ssl-ca if the authority is your own.'

/**
 * The strictest of the wishes. An authority makes no sense without a check, so it asks for one.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` if they contradict each other
 */
export function settleTls(wishes: readonly TlsWish[], host: string): TlsSettings {
  const levels = wishes.flatMap(({ level }) => (level === undefined ? [] : [LEVELS.indexOf(level)]))
  const options: MysqlTlsOptions = Object.assign({}, ...wishes.map((wish) => wish.options))
  const least = Math.min(...levels)
  let level = LEVELS[Math.max(...levels)]
  if (Object.keys(options).length > 0) level ??= 'verified'
  const unchecked = wishes.find(({ isUnchecked }) => isUnchecked === true)
  const hasAuthority = options.ca !== undefined && unchecked === undefined
  if (hasAuthority && (level === 'preferred' || level === 'encrypted')) level = 'trusted'
  if (LEVELS[least] === 'off' && (level !== 'off' || Object.keys(options).length > 0))
    fail('asks for TLS and turns it off')
  if (unchecked !== undefined && (level === 'trusted' || level === 'verified' || options.ca !== undefined))
    fail('asks for a check of the certificate and accepts any')
  if (level === undefined || level === 'off') return { warnings: [] }
  const tls: MysqlTls = {
    ...options,
    rejectUnauthorized: level === 'trusted' || level === 'verified',
    verifyIdentity: level === 'verified',
  }
  if (level !== 'preferred')
    return { tls, warnings: unchecked === undefined ? [] : [notVerifiedWarning(unchecked.name, ADVICE)] }
  const warnings = isLocal(host) ? [] : [notRequiredWarning('ssl-mode=PREFERRED', ADVICE)]
  return { tls, isTlsOptional: true, warnings }
}

/** The options of the constructor as a wish. */
export function wishOf(options: MysqlTlsOptions): TlsWish {
  const { rejectUnauthorized, ...others } = options
  if (rejectUnauthorized === false)
    return { name: 'tls.rejectUnauthorized=false', level: 'encrypted', isUnchecked: true, options: others }
  return { name: 'tls', ...(rejectUnauthorized === true && { level: 'verified' }), options: others }
}

/** A certificate or a key: its text, or the file that has it. */
export function pemOf(name: string, value: string): string | Buffer {
  if (value.startsWith('-----BEGIN ')) return value
  try {
    return readFileSync(value)
  } catch (error) {
    return fail(`names a file as ${name} that cannot be read (${errnoOf(error)})`)
  }
}

const VERSIONS: ReadonlyMap<unknown, SecureVersion> = new Map(
  (['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const).map((version) => [version, version]),
)

/** How each field of the JSON is read; `undefined` for a value that is not valid. */
const FIELDS: ReadonlyMap<string, (value: unknown) => Omit<TlsWish, 'name'> | undefined> = new Map([
  ['ca', (value: unknown) => pemField('ca', value)],
  ['cert', (value: unknown) => pemField('cert', value)],
  ['key', (value: unknown) => pemField('key', value)],
  [
    'passphrase',
    (value: unknown) => (typeof value === 'string' ? { options: { passphrase: value } } : undefined),
  ],
  ['ciphers', (value: unknown) => (typeof value === 'string' ? { options: { ciphers: value } } : undefined)],
  ['minVersion', (value: unknown) => versionField('minVersion', value)],
  ['maxVersion', (value: unknown) => versionField('maxVersion', value)],
  [
    'rejectUnauthorized',
    (value: unknown) => {
      if (value === false) return { level: 'encrypted', isUnchecked: true }
      return value === true ? { level: 'trusted' } : undefined
    },
  ],
  ['verifyIdentity', (value: unknown) => (typeof value === 'boolean' ? {} : undefined)],
])

/**
 * The TLS options of mysql2 as JSON, `{"minVersion":"TLSv1.2","rejectUnauthorized":true}`: the certificate is checked for the
 * host unless it says otherwise.
 */
export function wishesOfJson(name: string, value: unknown): readonly TlsWish[] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const fields: Readonly<Record<string, unknown>> = { ...value }
  const wishes: TlsWish[] = []
  for (const [field, content] of Object.entries(fields)) {
    const wish = FIELDS.get(field)?.(content)
    if (wish === undefined) return undefined
    wishes.push({ name: `${name}.${field}${wish.isUnchecked === true ? '=false' : ''}`, ...wish })
  }
  const isChecked = fields['rejectUnauthorized'] !== false
  if (isChecked) wishes.push({ name, level: fields['verifyIdentity'] === false ? 'trusted' : 'verified' })
  return wishes
}

function pemField(field: 'ca' | 'cert' | 'key', value: unknown): Omit<TlsWish, 'name'> | undefined {
  return typeof value === 'string' && value !== '' ? { options: { [field]: pemOf(field, value) } } : undefined
}

function versionField(field: 'maxVersion' | 'minVersion', value: unknown): Omit<TlsWish, 'name'> | undefined {
  const version = VERSIONS.get(value)
  return version === undefined ? undefined : { options: { [field]: version } }
}

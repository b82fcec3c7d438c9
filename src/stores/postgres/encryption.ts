import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { ConnectionOptions, SecureVersion } from 'node:tls'
import { errnoOf } from '../shared/errors.ts'
import { type ConfigWarning, isLocal, notRequiredWarning, notVerifiedWarning } from '../shared/warnings.ts'
import type { Settings } from './parameters.ts'
import { choiceOf, refusal } from './refusal.ts'

/** Ways to encrypt, in the order in which they are tried. `false` is a connection without TLS. */
export type Encryption = readonly (false | ConnectionOptions)[]

/** Where the connection leads. */
export interface Place {
  /** The name or the address that is given, `localhost` by default, or the folder of a socket file. */
  readonly host: string
  /** The address to connect to in the place of that of the host. */
  readonly address: string | undefined
}

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'] as const
type Mode = (typeof MODES)[number]

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const satisfies SecureVersion[]

const ADVICE = 'Set sslmode=verify-full, with sslrootcert if the authority is your own.'

/**
 * The meaning of libpq's `sslmode`. As there, `require` with a root certificate checks it, `sslrootcert=system` is only for
 * `verify-full` and makes that the default, and a socket file is not encrypted whatever the mode. `no-verify` is a word of `pg`.
 */
export function encryptionOf(settings: Settings, place: Place): Encryption {
  const root = rootOf(settings)
  const mode = modeOf(settings)
  const names: ConnectionOptions = place.address === undefined ? {} : namesOf(place.host)
  const passphrase = settings.get('sslpassword')?.value
  const minVersion = choiceOf(settings, 'ssl_min_protocol_version', VERSIONS)
  const maxVersion = choiceOf(settings, 'ssl_max_protocol_version', VERSIONS)
  const common: ConnectionOptions = {
    ...names,
    ...(isOwnCertificate(settings) && certificate(settings, 'sslcert', 'cert')),
    ...certificate(settings, 'sslkey', 'key'),
    ...(passphrase !== undefined && { passphrase }),
    ...(minVersion !== undefined && { minVersion }),
    ...(maxVersion !== undefined && { maxVersion }),
  }
  const unchecked = { ...common, rejectUnauthorized: false }
  const checked = {
    ...common,
    rejectUnauthorized: true,
    ...(root === undefined || settings.get(root)?.value === 'system'
      ? {}
      : certificate(settings, root, 'ca')),
  }
  const anyHost = { ...checked, checkServerIdentity: () => undefined }
  const ways: Readonly<Record<Mode, Encryption>> = {
    disable: [false],
    allow: [false, unchecked],
    prefer: [unchecked, false],
    require: [root === undefined ? unchecked : anyHost],
    'verify-ca': [anyHost],
    'verify-full': [checked],
    'no-verify': [unchecked],
  }
  // A certificate of a public authority proves nothing without a check of the host name.
  if (settings.get('sslrootcert')?.value === 'system' && mode !== 'verify-full')
    throw refusal('must be sslmode=verify-full with sslrootcert=system', settings, 'sslmode')
  if (root === undefined && mode === 'verify-ca')
    throw refusal('needs sslrootcert for sslmode=verify-ca', settings, 'sslmode')
  return isSocketFile(place) ? [false] : ways[mode]
}

/** What is probably not meant about encryption. */
export function encryptionWarnings(settings: Settings, place: Place): readonly ConfigWarning[] {
  if (isSocketFile(place)) return []
  const mode = modeOf(settings)
  const isGiven = settings.has('sslmode')
  if (mode === 'no-verify') return [notVerifiedWarning('sslmode=no-verify', ADVICE)]
  if (settings.get('sslaccept')?.value === 'accept_invalid_certs' && mode !== 'disable')
    return [notVerifiedWarning('sslaccept=accept_invalid_certs', ADVICE)]
  if ((mode !== 'prefer' && mode !== 'allow') || isLocal(place.address ?? place.host)) return []
  return [notRequiredWarning(isGiven ? `sslmode=${mode}` : 'sslmode=prefer, the default,', ADVICE)]
}

export function isSocketFile({ host, address }: Place): boolean {
  return address === undefined && host.startsWith('/')
}

/** The mode, with what `sslaccept` of Prisma adds to it. */
function modeOf(settings: Settings): Mode {
  const isSystem = settings.get('sslrootcert')?.value === 'system'
  const given = settings.get('sslmode')?.value
  const mode = MODES.find((each) => each === (given ?? (isSystem ? 'verify-full' : 'prefer')))
  if (mode === undefined)
    throw refusal(
      'knows the sslmodes disable, allow, prefer, require, verify-ca, verify-full and no-verify',
      settings,
      'sslmode',
    )
  const accept = choiceOf(settings, 'sslaccept', ['strict', 'accept_invalid_certs'])
  if (accept === 'strict') {
    if (mode === 'disable' || mode === 'no-verify')
      throw refusal(`cannot have sslaccept=strict with sslmode=${mode}`)
    return 'verify-full'
  }
  if (accept === 'accept_invalid_certs') {
    if (mode.startsWith('verify-'))
      throw refusal(`cannot have sslaccept=accept_invalid_certs with sslmode=${mode}`)
    if (mode === 'require') return 'no-verify'
  }
  return mode
}

/** The word that names the file of the authorities. Prisma calls it `sslcert`, and has another word for the own certificate. */
function rootOf(settings: Settings): string | undefined {
  if (settings.has('sslrootcert')) return 'sslrootcert'
  return settings.has('sslcert') && !isOwnCertificate(settings) ? 'sslcert' : undefined
}

function isOwnCertificate(settings: Settings): boolean {
  return settings.has('sslkey') || !settings.has('sslaccept')
}

/** The name that the certificate must be for, where the connection goes to an address. */
function namesOf(host: string): ConnectionOptions {
  return isIP(host) === 0 ? { host, servername: host } : { host }
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

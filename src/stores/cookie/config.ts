import * as crypto from 'node:crypto'
import { weaknessOfText, type SealKey } from '../../codec/seal/key-ring.ts'
import type { SessionError } from '../../errors.ts'
import { optionError } from '../shared/options.ts'

/** What a config string says about the cookie. The middleware applies it. */
export interface CookieWishes {
  /** From `cookieName`. */
  readonly name?: string
  readonly secure?: true
  /** In ms; `maxage` is in seconds. */
  readonly maxAge?: number
}

/** The contents of a config string of the cookie store. */
export interface CookieConfig {
  readonly keys: readonly SealKey[]
  readonly name?: string
  readonly compress?: boolean
  readonly cacheBytes?: number
  readonly cookie: CookieWishes
}

type Fields = ReadonlyMap<string, unknown>

const known = new Set([
  'keys',
  'name',
  'compress',
  'cachebytes',
  'securitykey',
  'blockkey',
  'securityname',
  'cookiename',
  'secure',
  'maxage',
])
/** The lengths of an AES key, which beego requires for `blockKey`. */
const BLOCK_KEYS = [16, 24, 32]

/**
 * Parses `{"keys": ["…"], "name": "…", "compress": true, "cacheBytes": 4194304}`, or beego's JSON: `securityKey` and `blockKey`, of which one key is
 * made, `securityName`, and the attributes of the cookie: `cookieName`, `secure`, `maxage` in seconds. As in Go, the case of
 * names does not matter.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` with the name of the wrong field, never with a key
 */
export function parseCookieConfig(config: string): CookieConfig {
  const fields = fieldsOf(config)
  const name = textIn(fields, 'name', 'name') ?? textIn(fields, 'securityname', 'securityName')
  const cookieName = textIn(fields, 'cookiename', 'cookieName')
  const secure = flagIn(fields, 'secure') ?? false
  const compress = flagIn(fields, 'compress')
  const cacheBytes = fields.get('cachebytes')
  if (cacheBytes !== undefined && typeof cacheBytes !== 'number')
    throw wrong('cacheBytes', 'must be a whole number of bytes, 0 or more')
  const seconds = fields.get('maxage') ?? 0
  if (typeof seconds !== 'number' || !Number.isSafeInteger(seconds) || seconds < 0)
    throw wrong('maxage', 'must be a whole number of seconds, 0 or more')
  return {
    keys: keysIn(fields),
    ...(name !== undefined && { name }),
    ...(compress !== undefined && { compress }),
    ...(cacheBytes !== undefined && { cacheBytes }),
    cookie: {
      ...(cookieName !== undefined && { name: cookieName }),
      ...(secure && { secure }),
      ...(seconds > 0 && { maxAge: seconds * 1000 }),
    },
  }
}

function fieldsOf(config: string): Fields {
  let parsed: unknown
  try {
    parsed = JSON.parse(config)
  } catch {
    parsed = undefined
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw optionError('cookie', 'the config must be JSON, such as {"keys":["…"]}')
  const fields = new Map<string, unknown>()
  for (const [field, value] of Object.entries(parsed)) {
    // An unknown name may be a misplaced key.
    if (!known.has(field.toLowerCase()))
      throw optionError('cookie', `the config has an unknown setting; known are ${[...known].join(', ')}`)
    fields.set(field.toLowerCase(), value)
  }
  return fields
}

/** Beego's two keys become one secret: both are needed to seal. */
function keysIn(fields: Fields): readonly SealKey[] {
  const security = textIn(fields, 'securitykey', 'securityKey')
  const block = textIn(fields, 'blockkey', 'blockKey')
  const keys = fields.get('keys')
  if (keys !== undefined) {
    if (security !== undefined || block !== undefined)
      throw wrong('keys', 'cannot be given together with securityKey or blockKey')
    if (!Array.isArray(keys)) throw wrong('keys', 'must be a list of keys')
    return keys
  }
  if (security === undefined) throw wrong('securityKey', 'is missing, and keys too: one of them is needed')
  if (block === undefined) throw wrong('blockKey', 'is missing: cookies are always encrypted')
  const weakness = weaknessOfText(security)
  if (weakness !== undefined) throw wrong('securityKey', weakness)
  if (!BLOCK_KEYS.includes(Buffer.byteLength(block))) throw wrong('blockKey', 'must have 16, 24 or 32 bytes')
  return [crypto.hash('sha256', `${security} ${block}`, 'buffer')]
}

function textIn(fields: Fields, field: string, shown: string): string | undefined {
  const value = fields.get(field)
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string') throw wrong(shown, 'must be a string')
  return value
}

function flagIn(fields: Fields, field: string): boolean | undefined {
  const value = fields.get(field)
  if (value === undefined || typeof value === 'boolean') return value
  throw wrong(field, 'must be true or false')
}

function wrong(field: string, text: string): SessionError {
  return optionError('cookie', `${field}: ${text}`)
}

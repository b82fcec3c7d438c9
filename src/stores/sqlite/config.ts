import type { SessionError } from '../../errors.ts'
import { knownNames } from '../../nearest-name.ts'
import { optionError, percentDecoded } from '../shared/options.ts'

/** What a config string says: the file, and settings that differ from the defaults. */
export interface SqliteConfig {
  readonly path: string
  readonly table?: string
  readonly sync?: boolean
  readonly timeout?: number
}

const EXAMPLES = [
  "'./sessions/sessions.db'",
  "'sqlite:./sessions/sessions.db?sync=false'",
  `'{"path":"./sessions/sessions.db"}'`,
]

/** The settings beside the path. */
const SETTINGS = ['table', 'sync', 'timeout']

/**
 * Parses the path of a file, a `sqlite:` URL with settings as parameters, or JSON with the same names.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS`, which says what is wrong but never repeats the string
 */
export function parseSqliteConfig(config: string): SqliteConfig {
  const text = config.trim()
  if (text === '') throw malformed('the path is empty')
  if (text.startsWith('{')) return fromJson(text)
  return text.startsWith('sqlite:') ? fromUrl(text.slice('sqlite:'.length)) : { path: text }
}

function fromUrl(text: string): SqliteConfig {
  const at = text.indexOf('?')
  const name = at < 0 ? text : text.slice(0, at)
  // `sqlite:///var/lib/app/sessions.db` has no host, and a host is no part of a path.
  const [, host = '', rest = name] = /^\/\/([^/]*)(\/.*)?$/.exec(name) ?? []
  if (host !== '' || name === '//') throw malformed('after sqlite:// a path begins with a third /')
  const path = percentDecoded(rest, () => malformed('the path has a % that begins no %XX'))
  const settings: Record<string, unknown> = {}
  for (const [key, value] of new URLSearchParams(at < 0 ? '' : text.slice(at))) {
    if (Object.hasOwn(settings, key)) throw malformed('a parameter is given twice')
    settings[key] = key === 'sync' ? switchOf(value) : key === 'timeout' ? numberOf(value) : value
  }
  return checked({ ...settings, path })
}

function fromJson(text: string): SqliteConfig {
  let settings: unknown
  try {
    settings = JSON.parse(text)
  } catch {
    throw malformed('the JSON is malformed')
  }
  return checked(Object(settings))
}

function checked({ path, ...settings }: Readonly<Record<string, unknown>>): SqliteConfig {
  if (typeof path !== 'string' || path === '') throw malformed('the path is empty')
  const { table, sync, timeout } = settings
  // Only a name that is nearly one of ours is told: others may be a piece of something secret.
  const other = Object.keys(settings).find((name) => !SETTINGS.includes(name))
  if (other !== undefined) throw malformed(`there is an unknown setting${knownNames(other, SETTINGS)}`)
  if (table !== undefined && typeof table !== 'string') throw malformed('table is not text')
  if (sync !== undefined && typeof sync !== 'boolean') throw malformed('sync is neither true nor false')
  if (timeout !== undefined && typeof timeout !== 'number') throw malformed('timeout is not a number')
  return {
    path,
    ...(table !== undefined && { table }),
    ...(sync !== undefined && { sync }),
    ...(timeout !== undefined && { timeout }),
  }
}

function switchOf(text: string): unknown {
  return text === 'true' ? true : text === 'false' ? false : text
}

function numberOf(text: string): unknown {
  return /^\d{1,15}$/.test(text) ? Number(text) : text
}

function malformed(what: string): SessionError {
  return optionError('sqlite', `${what}; expected ${EXAMPLES.join(', ')}`)
}

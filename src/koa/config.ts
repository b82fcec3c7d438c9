import { readFileSync } from 'node:fs'
import { SessionError } from '../errors.ts'
import { parseIni } from './ini.ts'
import type { CookieOptions, SessionOptions } from '../session/options.ts'
import { cookieWishes } from '../session/providers.ts'

/** One setting's value as it stands in a file, an object or the environment. */
export type ConfigValue = string | number | boolean | undefined

/** Settings under beego's names, in any case: `{ SessionOn: true }`, `{ sessionon: 'true' }`, `process.env`. */
export type ConfigObject = Readonly<Record<string, ConfigValue | Readonly<Record<string, ConfigValue>>>>

type Environment = Readonly<Record<string, string | undefined>>
type Settings = ReadonlyMap<string, ConfigValue>

/** The names in a `sessionConfig` JSON text, and what each is called on its own. */
const jsonNames: Readonly<Record<string, string>> = {
  providerconfig: 'sessionproviderconfig',
  cookiename: 'sessionname',
  enablesetcookie: 'sessionautosetcookie',
  gclifetime: 'sessiongcmaxlifetime',
  maxlifetime: 'sessionmaxlifetime',
  cookielifetime: 'sessioncookielifetime',
  secure: 'sessionsecure',
  domain: 'sessiondomain',
  disablehttponly: 'sessiondisablehttponly',
  cookiesamesite: 'sessioncookiesamesite',
  sessionidlength: 'sessionidlength',
  sessionidprefix: 'sessionidprefix',
  enablesidinhttpheader: 'sessionenablesidinhttpheader',
  sessionnameinhttpheader: 'sessionnameinhttpheader',
  enablesidinurlquery: 'sessionenablesidinurlquery',
}
const known = new Set([
  ...Object.values(jsonNames),
  'sessionon',
  'sessionprovider',
  'sessionhashfunc',
  'sessionconfig',
])

/**
 * Options for `session()` from beego's settings: the path of an ini file, an object with their names, or `process.env`
 * with `SESSION_ON`, `SESSION_PROVIDER`, `SESSION_PROVIDER_CONFIG` and so on. A section named like the run mode
 * (`BEEGO_RUNMODE`, `runmode` in the file, or `NODE_ENV`) goes before what stands at the top.
 *
 * As in beego, sessions are off unless `sessionon` is true, and the cookie is called `beegosessionID`.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the setting and what was expected, never its value
 */
export function fromConfig(
  source: string | ConfigObject,
  env: Environment = process.env,
): SessionOptions<undefined, 'session'> {
  const settings = settingsOf(source, env)
  const json = textOf(settings, 'sessionconfig')
  if (json === undefined) return optionsOf(settings)
  const inside = fromJson(json)
  const kept = ['sessionon', 'sessionprovider'].map((name): [string, ConfigValue] => [
    name,
    settings.get(name),
  ])
  return optionsOf(new Map([...kept, ...inside]))
}

function settingsOf(source: string | ConfigObject, env: Environment): Settings {
  const top = new Map<string, ConfigValue>()
  const sections = new Map<string, Map<string, ConfigValue>>()
  if (typeof source === 'string') {
    const file = parseIni(readFile(source), env)
    for (const [name, value] of file.top) take(top, name, value)
    for (const [section, values] of file.sections) {
      const taken = new Map<string, ConfigValue>()
      for (const [name, value] of values) take(taken, name, value)
      sections.set(section, taken)
    }
  } else {
    for (const [name, value] of Object.entries(source)) {
      if (typeof value !== 'object') {
        take(top, name, value)
        continue
      }
      const taken = new Map<string, ConfigValue>()
      for (const [inner, innerValue] of Object.entries(value)) take(taken, inner, innerValue)
      sections.set(name.toLowerCase(), taken)
    }
  }
  const mode = (env['BEEGO_RUNMODE'] ?? textOf(top, 'runmode') ?? env['NODE_ENV'] ?? 'dev').toLowerCase()
  const short = { development: 'dev', production: 'prod' }[mode] ?? mode
  return new Map([...top, ...(sections.get(mode) ?? sections.get(short) ?? [])])
}

/** Keeps what is about sessions. A stray variable such as SESSION_MANAGER is not ours; a misspelled setting is an error. */
function take(settings: Map<string, ConfigValue>, name: string, value: ConfigValue): void {
  const plain = name.replaceAll('_', '').toLowerCase()
  if (plain === 'runmode' || known.has(plain)) settings.set(plain, value)
  else if (plain.startsWith('session') && !name.includes('_')) throw wrong(plain, 'is not a setting')
}

function optionsOf(settings: Settings): SessionOptions<undefined, 'session'> {
  const idle = secondsOf(settings, 'sessionmaxlifetime') || secondsOf(settings, 'sessiongcmaxlifetime')
  const provider = textOf(settings, 'sessionprovider')
  const providerConfig = textOf(settings, 'sessionproviderconfig')
  const name =
    textOf(settings, 'sessionname') ?? cookieWishes(provider, providerConfig).name ?? 'beegosessionID'
  const idPrefix = textOf(settings, 'sessionidprefix')
  const hash = textOf(settings, 'sessionhashfunc')
  const byHeader = flagOf(settings, 'sessionenablesidinhttpheader') ?? false
  const byQuery = flagOf(settings, 'sessionenablesidinurlquery') ?? false
  return {
    enabled: flagOf(settings, 'sessionon') ?? false,
    name,
    cookie: (flagOf(settings, 'sessionautosetcookie') ?? true) && cookieOf(settings),
    ...(provider !== undefined && { provider }),
    ...(providerConfig !== undefined && { providerConfig }),
    ...(idle !== undefined && idle > 0 && { idleTimeout: idle * 1000 }),
    ...(idPrefix !== undefined && { idPrefix }),
    ...(hash !== undefined && { hash }),
    ...(byHeader && { header: textOf(settings, 'sessionnameinhttpheader') ?? 'Beegosessionid' }),
    ...(byQuery && { query: name }),
  }
}

function cookieOf(settings: Settings): CookieOptions {
  const life = secondsOf(settings, 'sessioncookielifetime') ?? 0
  const domain = textOf(settings, 'sessiondomain')
  const sameSite = secondsOf(settings, 'sessioncookiesamesite') ?? 0
  if (sameSite > 4)
    throw wrong('sessioncookiesamesite', 'must be 0 or 1 (our default, Lax), 2 (Lax), 3 (Strict) or 4 (None)')
  const secure = flagOf(settings, 'sessionsecure') ?? (sameSite === 4 ? true : undefined)
  return {
    sameSite: (['lax', 'lax', 'lax', 'strict', 'none'] as const)[sameSite] ?? 'lax',
    httpOnly: !(flagOf(settings, 'sessiondisablehttponly') ?? false),
    ...(secure === true && { secure }),
    ...(life > 0 && { maxAge: life * 1000 }),
    ...(domain !== undefined && { domain }),
  }
}

function fromJson(json: string): Map<string, ConfigValue> {
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch {
    parsed = undefined
  }
  if (typeof parsed !== 'object' || parsed === null) throw wrong('sessionconfig', 'must be a JSON object')
  const settings = new Map<string, ConfigValue>()
  for (const [field, value] of Object.entries(parsed)) {
    const lower = field.toLowerCase()
    const name = Object.hasOwn(jsonNames, lower) ? jsonNames[lower] : undefined
    if (name === undefined) throw wrong(`sessionconfig.${field}`, 'is not a setting')
    settings.set(name, typeof value === 'object' ? JSON.stringify(value) : value)
  }
  return settings
}

function textOf(settings: Settings, name: string): string | undefined {
  const value = settings.get(name)
  return value === undefined || value === '' ? undefined : String(value)
}

function flagOf(settings: Settings, name: string): boolean | undefined {
  const text = textOf(settings, name)?.toLowerCase()
  if (text === undefined) return undefined
  if (['true', '1', 'yes', 'on', 't', 'y'].includes(text)) return true
  if (['false', '0', 'no', 'off', 'f', 'n'].includes(text)) return false
  throw wrong(name, 'must be true or false')
}

function secondsOf(settings: Settings, name: string): number | undefined {
  const text = textOf(settings, name)
  if (text === undefined) return undefined
  if (!/^\d{1,10}$/.test(text)) throw wrong(name, 'must be a whole number, 0 or more')
  return Number(text)
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new SessionError('ERR_SESSION_OPTIONS', `fromConfig: ${path} cannot be read`, { cause })
  }
}

function wrong(name: string, text: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `fromConfig: ${name}: ${text}`)
}

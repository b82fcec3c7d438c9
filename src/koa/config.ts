import { readFileSync } from 'node:fs'
import { SessionError } from '../errors.ts'
import { nearestName } from '../nearest-name.ts'
import { cookieSettings } from '../session/providers.ts'
import type { CookieOptions, SessionOptions } from './options.ts'

/** The value of one beego setting. Text is converted: `'true'` is a boolean, `'3600'` a number. */
export type ConfigValue = string | number | boolean | undefined

/**
 * beego settings. Names are compared without case and underscores: `{ SessionOn: true }`, `{ sessionon: 'true' }`,
 * `{ SESSION_ON: 'true' }`. A nested object is the section of a run mode: `{ prod: { SessionOn: true } }`. `SESSIONNAME` in capitals is
 * left out, since Windows sets it for every process: write `SESSION_NAME` or `SessionName`.
 */
export type ConfigObject = Readonly<Record<string, ConfigValue | Readonly<Record<string, ConfigValue>>>>

type Environment = Readonly<Record<string, string | undefined>>
/** By names in lower case without underscores. */
type Settings = ReadonlyMap<string, ConfigValue>
/** `where` is the line of an ini file. */
type ConfigLine = readonly [section: string | undefined, name: string, value: ConfigValue, where?: string]

/**
 * A variable that Windows sets for every process, to `Console` or `RDP-Tcp#0`: it would be the name of the cookie. In an environment
 * that setting is `SESSION_NAME`.
 */
const OF_WINDOWS = 'SESSIONNAME'

/** The fields of the JSON in `sessionConfig`, and the setting that each stands for. */
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
 * Converts beego settings to options of `session()`.
 *
 * As in beego, sessions are off unless `sessionon` is true, the cookie is called `beegosessionID`, and times are in seconds.
 * Settings in the section of the current run mode replace those outside of sections; the run mode is `BEEGO_RUNMODE`, `runmode`
 * in the file, or `NODE_ENV`.
 *
 * ```ts
 * app.use(session(fromConfig('conf/app.conf')))
 * app.use(session(fromConfig(process.env))) // SESSION_ON, SESSION_PROVIDER, SESSION_PROVIDER_CONFIG …
 * ```
 *
 * @param source the path of an ini file, or an object
 * @param env the environment variables for `${NAME||default}` and the run mode
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the setting and what is allowed. It quotes nothing from the file or
 *   object but the names of settings that exist: any other text may be a misplaced password
 */
export function fromConfig(
  source: string | ConfigObject,
  env: Readonly<Record<string, string | undefined>> = process.env,
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
  const lines = typeof source === 'string' ? readIni(source, env) : readObject(source)
  for (const [section, name, value, where] of lines) {
    if (where === undefined && name === OF_WINDOWS) continue
    const plain = name.replaceAll('_', '').toLowerCase()
    if (plain !== 'runmode' && !known.has(plain)) {
      // A misspelled setting is an error; one in capitals, or with an underscore, may be a variable of another program.
      const isVariable = name.includes('_') || (name === name.toUpperCase() && hint(plain, known) === '')
      if (plain.startsWith('session') && !isVariable)
        throw configError(
          where ?? 'options',
          `has an unknown setting that begins with 'session'${hint(plain, known)}`,
        )
      continue
    }
    let settings = section === undefined ? top : sections.get(section)
    if (settings === undefined) sections.set(section ?? '', (settings = new Map()))
    settings.set(plain, value)
  }
  const mode = (env['BEEGO_RUNMODE'] ?? textOf(top, 'runmode') ?? env['NODE_ENV'] ?? 'dev').toLowerCase()
  const short = { development: 'dev', production: 'prod' }[mode] ?? mode
  return new Map([...top, ...(sections.get(mode) ?? sections.get(short) ?? [])])
}

function* readObject(source: ConfigObject): Generator<ConfigLine> {
  for (const [name, value] of Object.entries(source)) {
    if (typeof value !== 'object') yield [undefined, name, value]
    else for (const [inner, text] of Object.entries(value)) yield [name.toLowerCase(), inner, text]
  }
}

/**
 * Reads an ini file as beego does: `;` and `#` start a comment only at the beginning of a line, because addresses and passwords
 * contain them; quotes around a value are removed; `${NAME||default}` is replaced by the environment variable.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` with the number of a line that is malformed
 */
function* readIni(path: string, env: Environment): Generator<ConfigLine> {
  const lines = readFile(path)
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
  let section: string | undefined
  for (const [index, raw] of lines.entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue
    const header = /^\[([^\]]+)\]$/.exec(line)?.[1]
    const at = line.indexOf('=')
    if (header !== undefined) section = header.trim().toLowerCase()
    else if (at < 1) throw configError(`line ${index + 1}`, 'is neither name = value nor [section]')
    else {
      const value = expand(unquote(line.slice(at + 1).trim()), env)
      yield [section, line.slice(0, at).trim(), value, `line ${index + 1}`]
    }
  }
}

function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    // The error of the file system contains the path, which is a config string where the two were mixed up.
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw configError(
      'source',
      `the file cannot be read (${code}); give the path of an ini file, or an object`,
    )
  }
}

function unquote(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}

function expand(value: string, env: Environment): string {
  const [, name, fallback = ''] = /^\$\{([^}|]+)(?:\|\|([^}]*))?\}$/.exec(value) ?? []
  return name === undefined ? value : (env[name] ?? fallback)
}

function optionsOf(settings: Settings): SessionOptions<undefined, 'session'> {
  const idle = secondsOf(settings, 'sessionmaxlifetime') || secondsOf(settings, 'sessiongcmaxlifetime')
  const provider = textOf(settings, 'sessionprovider')
  const providerConfig = textOf(settings, 'sessionproviderconfig')
  const name =
    textOf(settings, 'sessionname') ?? cookieSettings(provider, providerConfig).name ?? 'beegosessionID'
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
    throw configError(
      'sessioncookiesamesite',
      'must be 0 or 1 (the default, Lax), 2 (Lax), 3 (Strict) or 4 (None)',
    )
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
  if (typeof parsed !== 'object' || parsed === null)
    throw configError('sessionconfig', 'must be a JSON object')
  const settings = new Map<string, ConfigValue>()
  for (const [field, value] of Object.entries(parsed)) {
    const lower = field.toLowerCase()
    const name = Object.hasOwn(jsonNames, lower) ? jsonNames[lower] : undefined
    if (name === undefined)
      throw configError('sessionconfig', `has an unknown field${hint(lower, Object.keys(jsonNames))}`)
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
  throw configError(name, 'must be true or false')
}

function secondsOf(settings: Settings, name: string): number | undefined {
  const text = textOf(settings, name)
  if (text === undefined) return undefined
  if (!/^\d{1,10}$/.test(text)) throw configError(name, 'must be a whole number, 0 or more')
  return Number(text)
}

/** The end of a sentence about an unknown name: the name that may have been meant, if one is similar. */
function hint(unknown: string, names: Iterable<string>): string {
  const similar = nearestName(unknown, names)
  return similar === undefined ? '' : `; did you mean ${similar}?`
}

function configError(name: string, text: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `fromConfig: ${name}: ${text}`)
}

import { SessionError } from '../errors.ts'

/** The settings of an ini file: those at its top, and those of its sections. Names are in lower case. */
export interface IniFile {
  readonly top: ReadonlyMap<string, string>
  readonly sections: ReadonlyMap<string, ReadonlyMap<string, string>>
}

/**
 * Reads an ini file as beego does: a comment is a line of its own, so that `;` and `#` may stand in a value (both do, in
 * addresses and passwords); quotes around a value are taken off; `${NAME||default}` is the environment variable.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` with the number of the line
 */
export function parseIni(text: string, env: Readonly<Record<string, string | undefined>>): IniFile {
  const top = new Map<string, string>()
  const sections = new Map<string, Map<string, string>>()
  let section = top
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\r|\n/)
    .entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue
    const name = /^\[([^\]]+)\]$/.exec(line)?.[1]?.trim().toLowerCase()
    if (name !== undefined) {
      section = sections.get(name) ?? new Map<string, string>()
      sections.set(name, section)
      continue
    }
    const at = line.indexOf('=')
    if (at < 1)
      throw new SessionError('ERR_SESSION_OPTIONS', `line ${index + 1} is neither name = value nor [section]`)
    section.set(line.slice(0, at).trim().toLowerCase(), expand(unquote(line.slice(at + 1).trim()), env))
  }
  return { top, sections }
}

function unquote(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
}

function expand(value: string, env: Readonly<Record<string, string | undefined>>): string {
  const [, name, fallback = ''] = /^\$\{([^}|]+)(?:\|\|([^}]*))?\}$/.exec(value) ?? []
  if (name === undefined) return value
  return env[name] ?? fallback
}

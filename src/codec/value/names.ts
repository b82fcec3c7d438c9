import { Buffer } from 'node:buffer'
import { damaged, TILDE } from './tokens.ts'

/**
 * What JSON writes with a backslash. V8 13 (Node 24) parses such a property name as another one if it has parsed an
 * object with a similar name before: `{"a":1,"\\":2}` and then `{"a":1,"\n":2}` gives a property `\`. A client can bring that
 * about by what it posts. So no name in our text has a backslash; strings as values are not concerned.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const ESCAPED = /["\\\u0000-\u001f\ud800-\udfff]/

/** Strings of a JSON text, and whether each is a property's name. */
const STRING = /"(?:[^"\\]|\\.)*"(:?)/g

/** A property's name as it stands in T and S: itself, or `~` and its UTF-16 in base64url. */
export function writeName(name: string): string {
  if (name.charCodeAt(0) !== TILDE && !ESCAPED.test(name)) return name
  return `~${Buffer.from(name, 'utf16le').toString('base64url')}`
}

/** Gives the fields that are spelled like that their names, in place and in order. */
export function readNames(fields: Record<string, unknown>): void {
  for (const [spelled, value] of Object.entries(fields)) {
    Reflect.deleteProperty(fields, spelled)
    const name = spelled.charCodeAt(0) === TILDE ? readName(spelled) : spelled
    if (name === '__proto__' || Object.hasOwn(fields, name)) throw damaged()
    fields[name] = value
  }
}

/** Whether a JSON text that we wrote has a name with a backslash in it. */
export function hasEscapedName(json: string): boolean {
  if (!json.includes('\\')) return false
  for (const [text, colon] of json.matchAll(STRING)) if (colon === ':' && text.includes('\\')) return true
  return false
}

function readName(spelled: string): string {
  const name = Buffer.from(spelled.slice(1), 'base64url').toString('utf16le')
  if (writeName(name) !== spelled) throw damaged()
  return name
}

import { SessionError } from '../../errors.ts'
import { MAX_ERRORS, type Limits } from '../limits.ts'
import { damaged } from './tokens.ts'

/** `JSON.parse` is slow on deeply nested text, so the depth of text from this length on is checked first. */
const LONG = 65_536

/** An escaped character of `__proto__` begins like this. `JSON.stringify` escapes no character of that range so. */
const ESCAPED_LETTER = /\\u00[4-7]/
const ESCAPED = String.raw`\u00`

/** What a property takes at least: `"":1,`. */
const SHORTEST_PROPERTY = 5

/**
 * Parses JSON. Too many names are refused here, because objects with names of their own are the slowest text to parse; of
 * depth and objects only what is far too much. The decoder enforces their exact limits.
 *
 * @param names how many names the text may have
 */
export function parseJson(text: string, limits: Limits, names: number = limits.names): unknown {
  if (text.length > LONG || text.length > names * SHORTEST_PROPERTY) {
    const nesting = nestingOf(text)
    // Each level of a value takes at most two levels of JSON, and the surrounding lists a few more.
    if (nesting.depth > limits.depth * 2 + 8) throw tooDeep()
    // An error takes two objects of JSON, anything else at most one.
    if (nesting.objects > limits.nodes + MAX_ERRORS) throw tooMany()
    if (nesting.names > names) throw tooManyOf('names')
  }
  return JSON.parse(text)
}

/** Parses plain JSON. The result is inspected only if the text may be nested too deeply or contain a `__proto__`. */
export function parsePlain(text: string, limits: Limits): unknown {
  const value: unknown = parseJson(text, limits)
  if (typeof value !== 'object' || value === null) return value
  const isLong = text.length > limits.depth
  if ((isLong && mayNest(text, limits.depth)) || mayHoldProto(text)) new Inspection(limits).pass(value, 1)
  return value
}

/** Whether the text has more than `depth` opening brackets. */
function mayNest(text: string, depth: number): boolean {
  let left = depth
  for (const bracket of ['[', '{']) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      if (left-- === 0) return true
    }
  }
  return false
}

/** Whether the text may contain the name `__proto__`, escaped or not. */
function mayHoldProto(text: string): boolean {
  return text.includes('__proto__') || (text.includes(ESCAPED) && ESCAPED_LETTER.test(text))
}

/** Applies the limits to a parsed value, and refuses `__proto__`. */
class Inspection {
  readonly #limits: Limits
  #count = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  pass(value: object, depth: number): void {
    if (depth > this.#limits.depth) throw tooDeep()
    if (++this.#count > this.#limits.nodes) throw tooMany()
    if (Array.isArray(value)) {
      for (const element of value) if (isObject(element)) this.pass(element, depth + 1)
      return
    }
    const fields = value as Record<string, unknown> // it is fresh from JSON.parse: all own names are data properties
    for (const name in fields) {
      if (name === '__proto__') throw damaged()
      const field = fields[name]
      if (isObject(field) && Object.hasOwn(fields, name)) this.pass(field, depth + 1)
    }
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Whether a parsed value is a JSON object, not an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return isObject(value) && !Array.isArray(value)
}

/** The depth to which brackets are nested in a JSON text, and how many objects and property names it has. */
function nestingOf(text: string): { depth: number; objects: number; names: number } {
  let depth = 0
  let deepest = 0
  let objects = 0
  let names = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x7b: // {
        objects++
        if (++depth > deepest) deepest = depth
        break
      case 0x5b: // [
        if (++depth > deepest) deepest = depth
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
        break
      case 0x3a: // :
        names++
        break
      case 0x22: // "
        at = endOfString(text, at)
        break
      default:
    }
  }
  return { depth: deepest, objects, names }
}

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end === -1 ? text.length : end
}

/** Whether a character is preceded by an odd number of backslashes. */
function isEscaped(text: string, at: number): boolean {
  let slashes = 0
  while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++
  return slashes % 2 === 1
}

export function tooDeep(): SessionError {
  return new SessionError('ERR_SESSION_DECODE', 'it is nested too deeply')
}

export function tooMany(): SessionError {
  return tooManyOf('objects')
}

export function tooManyOf(what: string): SessionError {
  return new SessionError('ERR_SESSION_DECODE', `it has too many ${what}`)
}

import { SessionError } from '../../errors.ts'
import type { Limits } from '../limits.ts'
import { damaged } from './tokens.ts'

/** `JSON.parse` takes its time with deeply nested text, so text that could be is looked through before. */
const LONG = 65_536

/** `__proto__` has only letters that can be spelled like this, and nothing that an encoder escapes is among them. */
const ESCAPED_LETTER = /\\u00[4-7]/
const ESCAPED = String.raw`\u00`

/** Parses JSON that may be nested a few levels deeper than its limit says, but not a hundred thousand. */
export function parseJson(text: string, limits: Limits): unknown {
  // Each level of a value takes at most two of JSON, and there are the lists around it.
  if (text.length > LONG && depthOf(text) > limits.depth * 2 + 8) throw tooDeep()
  return JSON.parse(text)
}

/** Parses plain JSON, which needs a second look only if it could be nested too deeply or have a `__proto__`. */
export function parsePlain(text: string, limits: Limits): unknown {
  const value: unknown = parseJson(text, limits)
  if (typeof value !== 'object' || value === null) return value
  const isLong = text.length > limits.depth
  if ((isLong && mayNest(text, limits.depth)) || mayHoldProto(text)) new Inspection(limits).pass(value, 1)
  return value
}

/** Whether there are more than `depth` opening brackets. */
function mayNest(text: string, depth: number): boolean {
  let left = depth
  for (const bracket of ['[', '{']) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      if (left-- === 0) return true
    }
  }
  return false
}

/** Whether `__proto__` may stand in the text, as it is or with letters escaped. */
function mayHoldProto(text: string): boolean {
  return text.includes('__proto__') || (text.includes(ESCAPED) && ESCAPED_LETTER.test(text))
}

/** A walk through what was parsed, under the same budgets as it was written. */
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
    // JSON.parse made it: every own name is a data property.
    const fields = value as Record<string, unknown>
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

/** How deep the brackets of a JSON text are nested. Strings are skipped. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > deepest) deepest = depth
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
        break
      case 0x22: // "
        at = endOfString(text, at)
        break
      default:
    }
  }
  return deepest
}

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end === -1 ? text.length : end
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0
  while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++
  return slashes % 2 === 1
}

export function tooDeep(): SessionError {
  return new SessionError('ERR_SESSION_DECODE', 'it is nested too deeply')
}

export function tooMany(): SessionError {
  return new SessionError('ERR_SESSION_DECODE', 'it has too many objects')
}

import { types } from 'node:util'
import { SuperJSON } from 'superjson'
import { SessionError } from '../../errors.ts'
import { viewTypes } from './builtins.ts'
import { countKeys } from './own-properties.ts'
import { isRecord, tooManyOf } from './safe-parse.ts'
import { damaged, readBase64 } from './tokens.ts'

/** The output of superjson for a list of leaves: their JSON, and an annotation for each. */
type Written = ReturnType<SuperJSON['serialize']>

const MAX_LEAVES = 1_000
/** How many names there are in what is written for them: `json`, `meta`, `values` and `v`, and one for each. */
export const MOST_NAMES_OF_LEAVES: number = MAX_LEAVES + 4
const MAX_URL_LENGTH = 8_192
/** All URLs of one value together. */
const MAX_URL_UNITS = 50_000
/** DNS allows 253. To check a host name takes longer than to read other parts of a URL. */
const MAX_HOST_LENGTH = 255
/** The text of a URL as `href` spells it. To bring other text, such as a host name in Unicode, into that form is slow. */
const HREF = /^[\x20-\x7e]*$/

const MAX_PATTERN_LENGTH = 1_000
/** How many patterns one value may have, how long they may be together, and how often they may say `\p` or `\P`. */
const MAX_PATTERNS = 100
const MAX_PATTERN_UNITS = 5_000
const MAX_PROPERTY_CLASSES = 50
/** Without `v`: a class of `v` with `i` takes V8 a hundred times as long as any other part of a pattern. */
const FLAGS = /^[dgimsuy]{0,7}$/
const PROPERTY_CLASS = /\\p/gi

const superjson = new SuperJSON()

/** superjson itself loses NaN and -0 in typed arrays, and does not support DataView and ArrayBuffer. */
superjson.registerCustom<ArrayBufferView | ArrayBuffer, string[]>(
  {
    isApplicable: (value): value is ArrayBufferView | ArrayBuffer =>
      ArrayBuffer.isView(value) || types.isArrayBuffer(value),
    serialize: writeMemory,
    deserialize: readMemory,
  },
  'memory',
)

/**
 * What the leaves of one value may cost, when it is written and when it is read: `new RegExp` and `new URL` take longer for
 * each character than anything else, and their time cannot be limited.
 */
export class LeafBudget {
  readonly #allowsRegExps: boolean
  #leaves = 0
  #patterns = 0
  #patternUnits = 0
  #propertyClasses = 0
  #urlUnits = 0

  constructor(allowsRegExps: boolean) {
    this.#allowsRegExps = allowsRegExps
  }

  /** Counts an instance of a class that has leaves. Says why it cannot be stored; `undefined` if it can. */
  refusalOf(value: object): string | undefined {
    if (types.isRegExp(value)) return this.#refusalOfRegExp(value)
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return undefined
    if (!isUrl(value)) return 'it has the prototype of a built-in class, but is not an instance of it'
    if (countKeys(value) > 0) return 'named properties on it cannot be stored'
    return isReadable(value) ? undefined : 'a URL of this length cannot be stored'
  }

  #refusalOfRegExp(value: RegExp): string | undefined {
    if (!this.#allowsRegExps) return `a RegExp cannot be stored unless ${ALLOW_REGEXPS}`
    if (countKeys(value) > 1) return 'named properties on it cannot be stored'
    if (value.lastIndex !== 0) return 'a RegExp whose `lastIndex` is not 0 cannot be stored'
    if (!FLAGS.test(value.flags)) return 'a RegExp with the flag `v` cannot be stored'
    return value.source.length > MAX_PATTERN_LENGTH ? 'a RegExp of this length cannot be stored' : undefined
  }

  /** Counts a leaf. Says of what there are too many; `undefined` if there are not. */
  excessWith(value: object): string | undefined {
    if (++this.#leaves > MAX_LEAVES) return TOO_MANY_LEAVES
    if (types.isRegExp(value)) return this.#excessWithPattern(value.source)
    return value instanceof URL ? this.#excessWithUrl(value.href) : undefined
  }

  /** Checks the text of a leaf before anything is made of it. Throws if it is not what a writer makes, or too much. */
  pass(leaf: unknown, annotation: unknown): void {
    if (++this.#leaves > MAX_LEAVES) throw tooManyOf(TOO_MANY_LEAVES)
    switch (JSON.stringify(annotation)) {
      case '["URL"]':
        return this.#passUrl(leaf)
      case '["regexp"]':
        return this.#passPattern(leaf)
      case '[["custom","memory"]]':
        if (Array.isArray(leaf) && leaf.length === 2 && leaf.every((part) => typeof part === 'string')) return
        throw damaged()
      default:
        throw damaged()
    }
  }

  #passUrl(text: unknown): void {
    if (typeof text !== 'string' || text.length > MAX_URL_LENGTH || !HREF.test(text)) throw damaged()
    const excess = this.#excessWithUrl(text)
    if (excess !== undefined) throw tooManyOf(excess)
    const url = new URL(text)
    if (url.href !== text || !isReadable(url)) throw damaged()
  }

  #passPattern(text: unknown): void {
    if (!this.#allowsRegExps)
      throw new SessionError('ERR_SESSION_DECODE', `it has a RegExp; ${ALLOW_REGEXPS}`)
    const end = typeof text === 'string' && text.startsWith('/') ? text.lastIndexOf('/') : 0
    if (typeof text !== 'string' || end === 0 || end > MAX_PATTERN_LENGTH + 1) throw damaged()
    if (!FLAGS.test(text.slice(end + 1))) throw damaged()
    const excess = this.#excessWithPattern(text.slice(1, end))
    if (excess !== undefined) throw tooManyOf(excess)
  }

  #excessWithUrl(href: string): string | undefined {
    this.#urlUnits += href.length
    return this.#urlUnits > MAX_URL_UNITS ? 'characters in URLs' : undefined
  }

  #excessWithPattern(source: string): string | undefined {
    this.#patternUnits += source.length
    if (++this.#patterns > MAX_PATTERNS) return 'regular expressions'
    if (this.#patternUnits > MAX_PATTERN_UNITS) return 'characters in regular expressions'
    this.#propertyClasses += source.match(PROPERTY_CLASS)?.length ?? 0
    return this.#propertyClasses > MAX_PROPERTY_CLASSES ? 'Unicode classes in regular expressions' : undefined
  }
}

const TOO_MANY_LEAVES = 'URLs, regular expressions and typed arrays'
const ALLOW_REGEXPS = 'the program allows it with registerType(RegExp)'

/** Whether {@link LeafBudget.pass} accepts what is written for a URL. */
function isReadable(url: URL): boolean {
  return url.href.length <= MAX_URL_LENGTH && url.hostname.length <= MAX_HOST_LENGTH
}

function isUrl(value: object): value is URL {
  if (Object.getPrototypeOf(value) !== URL.prototype) return false
  try {
    return URL.prototype.toString.call(value) !== ''
  } catch {
    return false
  }
}

/**
 * Writes instances of the built-in classes that have no token in our grammar: URL, RegExp, ArrayBuffer and views.
 * superjson gets them as one flat list and never sees the surrounding value, so its paths are plain indices.
 */
export function writeLeaves(leaves: readonly object[]): unknown {
  return superjson.serialize(leaves)
}

/** Reads what {@link writeLeaves} wrote. The text may be forged, so every leaf and annotation is checked first. */
export function readLeaves(written: unknown, budget: LeafBudget): readonly unknown[] {
  if (!isWritten(written)) throw damaged()
  const { json, meta } = written
  for (const [index, leaf] of json.entries()) budget.pass(leaf, meta.values[index])
  return superjson.deserialize(written as Written)
}

/** Whether an object has the form of superjson's output for a list, with one annotation for each element. */
function isWritten(written: unknown): written is {
  readonly json: readonly unknown[]
  readonly meta: { readonly values: Readonly<Record<string, unknown>> }
} {
  if (!isRecord(written) || Object.keys(written).length !== 2) return false
  const { json, meta } = written
  if (!Array.isArray(json) || json.length === 0 || json.length > MAX_LEAVES) return false
  if (!isRecord(meta) || Object.keys(meta).length !== 2 || meta['v'] !== 1 || !isRecord(meta['values']))
    return false
  return Object.keys(meta['values']).length === json.length
}

function writeMemory(value: ArrayBufferView | ArrayBuffer): string[] {
  const bytes = ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(value)
  return [Object.getPrototypeOf(value).constructor.name, bytes.toString('base64url')]
}

function readMemory([name = '', text = '']: string[]): ArrayBufferView | ArrayBuffer {
  const bytes = new Uint8Array(readBase64(text))
  if (name === 'ArrayBuffer') return bytes.buffer
  const type = viewTypes.get(name)
  if (type !== undefined) return new type(bytes.buffer)
  throw damaged()
}

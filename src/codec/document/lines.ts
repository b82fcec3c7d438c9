import { CHECKSUM_LENGTH, hasChecksum } from './checksum.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20
const CHECKSUM = /^ #[0-9a-f]{8}$/
/** A key in JSON and the space after it. It matches only what `JSON.parse` accepts: an exception costs too much. */
// oxlint-disable-next-line no-control-regex
const KEY = /"[^"\\\0-\x1f]*(?:\\(?:["\\bfnrt]|u[0-9a-f]{4})[^"\\\0-\x1f]*)*" /y
/** Returned for a key that has two intact lines. No encoded value contains a newline. */
const AMBIGUOUS = '\n'

/** Up to this many keys are searched for one by one. Beyond it, reading all lines is cheaper. */
const FEW = 8
/** V8 searches for a text of up to this length without preparing a table first. */
const PREFIX_LENGTH = 6

/** A line to be replaced or removed: the position of the newline before it, and its key if that can be read. */
interface Place {
  readonly at: number
  readonly key: string | undefined
}

/** The result of a search for one key: its value, how many lines it has, and the newline before the last of them. */
interface Finding {
  readonly key: string
  readonly value: string | undefined
  readonly count: number
  readonly at: number
}

/** The content of all lines: the encoded value of each key, and whether any line is damaged. */
interface Index {
  readonly values: ReadonlyMap<string, string>
  readonly damaged: boolean
}

/**
 * The lines of a payload, read when they are asked for. No line contains a raw newline, so a key can be found without
 * parsing the lines of others.
 */
export class Lines {
  readonly text: string
  /** The position of the newline that ends the header. */
  readonly top: number
  #index: Index | undefined
  /** The latest search, because a key that is changed has usually just been read. */
  #latest: Finding | undefined

  constructor(text: string, top: number) {
    this.text = text
    this.top = top
  }

  /** The encoded value of a key. For a damaged line, text that cannot be decoded. */
  get(key: string): string | undefined {
    return this.#index === undefined ? this.#find(key).value : this.#index.values.get(key)
  }

  /** Reads every line; the result is remembered. */
  all(): Index {
    if (this.#index !== undefined) return this.#index
    const values = new Map<string, string>()
    const text = this.text
    let damaged = false
    for (let at = this.top, end = 0; at < text.length - 1; at = end) {
      end = text.indexOf('\n', at + 1)
      const start = this.#startOfValue(at)
      const key = this.#keyAt(at, start)
      if (key === undefined) {
        damaged = true
        continue
      }
      const line = this.#valueAt(at, start, end)
      const other = values.get(key)
      damaged ||= other !== undefined || isDamaged(line)
      values.set(key, other === undefined ? line : preferIntact(other, line))
    }
    this.#index = { values, damaged }
    return this.#index
  }

  /** The lines that a write replaces or removes, in their order. With `readable`, also those whose key cannot be read. */
  placesOf(changes: ReadonlyMap<string, unknown>, readable: boolean): Place[] {
    if (this.text.length === this.top + 1) return []
    return readable || changes.size > FEW
      ? this.#placesAmongAll(changes, readable)
      : this.#placesOfFew(changes)
  }

  /** How many lines there are, damaged ones included. */
  count(): number {
    let count = 0
    for (let at = this.text.indexOf('\n', this.top + 1); at !== -1; at = this.text.indexOf('\n', at + 1))
      count++
    return count
  }

  #placesAmongAll(changes: ReadonlyMap<string, unknown>, readable: boolean): Place[] {
    const places: Place[] = []
    const text = this.text
    const values = new Map(Array.from(changes.keys(), (key) => [key, this.get(key)]))
    for (let at = this.top, end = 0; at < text.length - 1; at = end) {
      end = text.indexOf('\n', at + 1)
      const key = this.#keyAt(at, this.#startOfValue(at))
      const isAffected =
        key === undefined ? readable : values.has(key) && this.#holds(values.get(key), key, at, end)
      if (isAffected) places.push({ at, key })
    }
    return places
  }

  #placesOfFew(changes: ReadonlyMap<string, unknown>): Place[] {
    const places: Place[] = []
    for (const key of changes.keys()) {
      const { value, count, at: last } = this.#find(key)
      if (count <= 1) {
        if (count === 1) places.push({ at: last, key })
        continue
      }
      const opening = `\n${quote(key)} `
      for (let at = this.#next(opening, this.top); at !== -1; at = this.#next(opening, at + 1)) {
        if (this.#holds(value, key, at, this.text.indexOf('\n', at + 1))) places.push({ at, key })
      }
    }
    return places.length <= 1 ? places : places.toSorted((one, other) => one.at - other.at)
  }

  /** Searches for one key without reading the lines of others. */
  #find(key: string): Finding {
    if (this.#latest?.key === key) return this.#latest
    const opening = `\n${quote(key)} `
    const text = this.text
    let value: string | undefined
    let count = 0
    let last = -1
    for (let at = this.#next(opening, this.top); at !== -1; at = this.#next(opening, at + 1)) {
      const line = this.#valueAt(at, at + opening.length, text.indexOf('\n', at + 1))
      value = value === undefined ? line : preferIntact(value, line)
      count++
      last = at
    }
    return (this.#latest = { key, value, count, at: last })
  }

  /** The position of the next line with this opening. It searches for a short prefix, which V8 does many times faster. */
  #next(opening: string, from: number): number {
    const text = this.text
    const prefix = opening.slice(0, PREFIX_LENGTH)
    for (let at = text.indexOf(prefix, from); at !== -1; at = text.indexOf(prefix, at + 1)) {
      if (text.startsWith(opening, at)) return at
    }
    return -1
  }

  /** The value in the line after the newline at `at`, from `start` on; without its checksum if that is right. */
  #valueAt(at: number, start: number, end: number): string {
    const text = this.text
    const sum = end - CHECKSUM_LENGTH
    return text.slice(start, hasChecksum(text, at + 1, sum) ? sum : end)
  }

  /** Whether the line at `at` is the one with the value of `key`. A damaged line beside it may be another key's, and stays. */
  #holds(value: string | undefined, key: string, at: number, end: number): boolean {
    return value === AMBIGUOUS || value === this.#valueAt(at, at + quote(key).length + 2, end)
  }

  /** The position of the value in the line after the newline at `at`; -1 if the line does not begin with a key. */
  #startOfValue(at: number): number {
    const text = this.text
    let end = at + 2
    while (isPlain(text.charCodeAt(end))) end++
    // For the usual keys the pattern is not needed.
    if (text.startsWith('" ', end) && text.charCodeAt(at + 1) === QUOTE) return end + 2
    KEY.lastIndex = at + 1
    return KEY.test(text) ? KEY.lastIndex : -1
  }

  /** The key before the value at `start`; `undefined` if {@link quote} would write that key differently. */
  #keyAt(at: number, start: number): string | undefined {
    if (start === -1) return undefined
    const text = this.text
    const key = text.slice(at + 2, start - 2)
    if (isSimple(key)) return key
    const json = text.slice(at + 1, start - 1)
    const parsed = String(JSON.parse(json))
    return quote(parsed) === json ? parsed : undefined
  }
}

/** A key in JSON, as it stands in its line. Each key has one spelling, so no key can stand in two lines unnoticed. */
export function quote(key: string): string {
  return isSimple(key) ? `"${key}"` : JSON.stringify(key)
}

/** Whether JSON writes a key as itself, between quotes. */
function isSimple(key: string): boolean {
  for (let at = 0; at < key.length; at++) if (!isPlain(key.charCodeAt(at))) return false
  return true
}

function isPlain(code: number): boolean {
  return code >= SPACE && code <= 0x7e && code !== QUOTE && code !== BACKSLASH
}

/** Whether a line still ends with a checksum, which means that the checksum was wrong. */
function isDamaged(line: string): boolean {
  const at = line.length - CHECKSUM_LENGTH
  return line.charCodeAt(at) === SPACE && CHECKSUM.test(line.slice(at))
}

/** Of two lines with one key, the intact one. */
function preferIntact(one: string, other: string): string {
  if (isDamaged(one) === isDamaged(other)) return AMBIGUOUS
  return isDamaged(one) ? other : one
}

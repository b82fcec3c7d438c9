import { CHECKSUM_LENGTH, hasChecksum } from './checksum.ts'
import { isEscaped, isSimple, quote, unquote } from './key.ts'

const QUOTE = 0x22
const SPACE = 0x20
const CHECKSUM = /^ #[0-9a-f]{8}$/
/** Handed out for a key that stands there twice. No encoded value holds a newline. */
const TWICE = '\n'

/** Keys are searched for one by one up to so many; to look at every line costs as much as that. */
const FEW = 8
/** The longest text that V8 finds without preparing for it first. */
const HEAD = 6

/** A line that is replaced or removed: where the newline before it stands, and its key if that can be read. */
interface Place {
  readonly at: number
  readonly key: string | undefined
}

/** What a search for one key has found: its value, and where the newline stands before its line if there is just one. */
interface Finding {
  readonly key: string
  readonly value: string | undefined
  readonly count: number
  readonly at: number
}

/** Everything that stands in a payload: the encoded value of each key, and whether anything in it is damaged. */
interface Index {
  readonly values: ReadonlyMap<string, string>
  readonly damaged: boolean
}

/**
 * The lines of a payload, looked at when they are asked for. No line can hold a raw newline, so going from newline to
 * newline finds a key without parsing the others.
 */
export class Lines {
  readonly text: string
  /** Where the newline stands that ends the header. */
  readonly top: number
  #index: Index | undefined
  /** What was looked for last: who changes a key has read it, mostly. */
  #latest: Finding | undefined

  constructor(text: string, top: number) {
    this.text = text
    this.top = top
  }

  /** The encoded value of a key. If its line is damaged, text that is no encoded value. */
  get(key: string): string | undefined {
    return this.#index === undefined ? this.#find(key).value : this.#index.values.get(key)
  }

  /** Reads every line, once. */
  all(): Index {
    if (this.#index !== undefined) return this.#index
    const values = new Map<string, string>()
    const text = this.text
    let unsound = false
    for (let at = this.top, end = 0; at < text.length - 1; at = end) {
      end = text.indexOf('\n', at + 1)
      const last = this.#endOfKey(at, end)
      const key = this.#keyAt(at, last)
      if (key === undefined) {
        unsound = true
        continue
      }
      const line = this.#valueAt(at, last + 2, end)
      const other = values.get(key)
      unsound ||= other !== undefined || isDamaged(line)
      values.set(key, other === undefined ? line : sounder(other, line))
    }
    this.#index = { values, damaged: unsound }
    return this.#index
  }

  /** The lines that a write replaces or removes, in their order. Those of a few keys are searched for, instead of reading all. */
  placesOf(changes: ReadonlyMap<string, unknown>, readable: boolean): Place[] {
    if (this.text.length === this.top + 1) return []
    return readable || changes.size > FEW
      ? this.#placesAmongAll(changes, readable)
      : this.#placesOfFew(changes)
  }

  /** How many lines there are, sound or not. */
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
      const key = this.#keyAt(at, this.#endOfKey(at, end))
      const isMeant =
        key === undefined ? readable : values.has(key) && this.#holds(values.get(key), key, at, end)
      if (isMeant) places.push({ at, key })
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

  /** The encoded value of a key, without a look at the lines of others. */
  #find(key: string): Finding {
    if (this.#latest?.key === key) return this.#latest
    const opening = `\n${quote(key)} `
    const text = this.text
    let value: string | undefined
    let count = 0
    let last = -1
    for (let at = this.#next(opening, this.top); at !== -1; at = this.#next(opening, at + 1)) {
      const line = this.#valueAt(at, at + opening.length, text.indexOf('\n', at + 1))
      value = value === undefined ? line : sounder(value, line)
      count++
      last = at
    }
    return (this.#latest = { key, value, count, at: last })
  }

  /** Where the next line stands that begins so. V8 looks for a few characters many times faster than for all of them. */
  #next(opening: string, from: number): number {
    const text = this.text
    const head = opening.slice(0, HEAD)
    for (let at = text.indexOf(head, from); at !== -1; at = text.indexOf(head, at + 1)) {
      if (text.startsWith(opening, at)) return at
    }
    return -1
  }

  /** What stands from `start` on in the line after the newline at `at`; without its checksum if that is right. */
  #valueAt(at: number, start: number, end: number): string {
    const text = this.text
    const sum = end - CHECKSUM_LENGTH
    return text.slice(start, hasChecksum(text, at + 1, sum) ? sum : end)
  }

  /** Whether the value of a key stands in that line. In a damaged one beside it stands what may be another key's. */
  #holds(value: string | undefined, key: string, at: number, end: number): boolean {
    return value === TWICE || value === this.#valueAt(at, at + quote(key).length + 2, end)
  }

  /** Where the quote stands that ends the key of the line between two newlines; -1 if there is none. */
  #endOfKey(at: number, newline: number): number {
    const text = this.text
    if (text.charCodeAt(at + 1) !== QUOTE) return -1
    let end = text.indexOf('"', at + 2)
    while (end !== -1 && end < newline && isEscaped(text, end)) end = text.indexOf('"', end + 1)
    return end > newline || text.charCodeAt(end + 1) !== SPACE ? -1 : end
  }

  /** The key that ends with that quote; `undefined` if we would not spell it so. */
  #keyAt(at: number, last: number): string | undefined {
    if (last === -1) return undefined
    const key = this.text.slice(at + 2, last)
    return isSimple(key) ? key : unquote(this.text.slice(at + 1, last + 1))
  }
}

/** A checksum that still stands there is wrong. */
function isDamaged(line: string): boolean {
  const at = line.length - CHECKSUM_LENGTH
  return line.charCodeAt(at) === SPACE && CHECKSUM.test(line.slice(at))
}

/** Which of two lines of one key is believed. */
function sounder(one: string, other: string): string {
  if (isDamaged(one) === isDamaged(other)) return TWICE
  return isDamaged(one) ? other : one
}

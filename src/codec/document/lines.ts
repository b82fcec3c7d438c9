import { CHECKSUM_LENGTH, hasChecksum } from './checksum.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20
const LETTER_U = 0x75
const CHECKSUM = /^ #[0-9a-f]{8}$/
/** What may follow a backslash in a key that `JSON.stringify` wrote, besides `u` and four digits. */
const ESCAPES = '"\\\\bfnrt'
/** Returned for a key that has two intact lines. No encoded value contains a newline. */
const AMBIGUOUS = '\n'

/** Up to this many keys are searched for one by one. Then an index of all lines is cheaper. */
const FEW = 8
/** V8 searches for a text of up to this length without preparing a table first. */
const PREFIX_LENGTH = 6

/** A line to be replaced or removed: the position of the newline before it, and its key if that can be read. */
interface Place {
  readonly at: number
  readonly key: string | undefined
}

/** Where the lines of one key are. Their value is read when it is asked for. */
interface Finding {
  readonly key: string
  /** The position of the newline before the first of them; -1 if there is none. */
  readonly at: number
  /** How far the value is from there. It is the same in all lines of the key. */
  readonly offset: number
  /** The position of the newline at the end of the first line. */
  readonly end: number
  /** The positions of the newlines before further lines, of which there are none unless the payload is damaged or forged. */
  more: number[] | undefined
  value: string | undefined
  /** The search before this one, if it is the result of one. A list of few is faster than an array. */
  before: Finding | undefined
}

/** All lines of a payload. */
interface Index {
  readonly findings: ReadonlyMap<string, Finding>
  /** The positions of the newlines before the lines whose key cannot be read. */
  readonly unreadable: readonly number[]
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
  /** The searches before there is an index, with those that found nothing. A key that is changed has usually been read. */
  #latest: Finding | undefined
  #searches = 0
  #damaged: boolean | undefined

  constructor(text: string, top: number) {
    this.text = text
    this.top = top
  }

  /** The encoded value of a key. For a damaged line, text that cannot be decoded. */
  get(key: string): string | undefined {
    const finding = this.#find(key)
    return finding === undefined ? undefined : this.#valueOf(finding)
  }

  has(key: string): boolean {
    return this.#find(key) !== undefined
  }

  /** The keys of all lines, in their order. */
  keys(): IterableIterator<string> {
    return this.#all().findings.keys()
  }

  get size(): number {
    return this.#all().findings.size
  }

  /** Whether any line is damaged, in which case a key that seems to be missing may exist. Reads every line. */
  get damaged(): boolean {
    return (this.#damaged ??= this.#lookForDamage())
  }

  /** The lines that a write replaces or removes, in their order. With `readable`, also those whose key cannot be read. */
  placesOf(changes: ReadonlyMap<string, unknown>, readable: boolean): Place[] {
    if (this.text.length === this.top + 1) return []
    if (readable || changes.size > FEW) this.#all()
    const places: Place[] = []
    for (const key of changes.keys()) {
      const finding = this.#find(key)
      if (finding === undefined) continue
      if (finding.more === undefined) places.push({ at: finding.at, key })
      else this.#addPlaces(places, key, finding)
    }
    if (readable) for (const at of this.#all().unreadable) places.push({ at, key: undefined })
    return places.length <= 1 ? places : places.toSorted((one, other) => one.at - other.at)
  }

  /** How many lines there are, damaged ones included. Stops counting at `most`. */
  count(most: number): number {
    let count = 0
    let at = this.text.indexOf('\n', this.top + 1)
    for (; at !== -1 && count < most; at = this.text.indexOf('\n', at + 1)) count++
    return count
  }

  #find(key: string): Finding | undefined {
    if (this.#index !== undefined) return this.#index.findings.get(key)
    for (let search = this.#latest; search !== undefined; search = search.before)
      if (search.key === key) return search.at === -1 ? undefined : search
    if (this.#searches === FEW) return this.#all().findings.get(key)
    // The lines of other keys are not read.
    const opening = `\n${quote(key)} `
    let at = this.#next(opening, this.top)
    const finding = findingOf(key, at, opening.length, at === -1 ? -1 : this.text.indexOf('\n', at + 1))
    while (at !== -1 && (at = this.#next(opening, at + 1)) !== -1) (finding.more ??= []).push(at)
    finding.before = this.#latest
    this.#latest = finding
    this.#searches++
    return finding.at === -1 ? undefined : finding
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

  /** Finds the key of every line; the result is remembered. */
  #all(): Index {
    if (this.#index !== undefined) return this.#index
    const findings = new Map<string, Finding>()
    const unreadable: number[] = []
    const text = this.text
    for (let at = this.top, end = 0; at < text.length - 1; at = end) {
      end = text.indexOf('\n', at + 1)
      const start = this.#startOfValue(at)
      const key = this.#keyAt(at, start)
      const known = key === undefined ? undefined : findings.get(key)
      if (key === undefined) unreadable.push(at)
      else if (known !== undefined) (known.more ??= []).push(at)
      else findings.set(key, findingOf(key, at, start - at, end))
    }
    return (this.#index = { findings, unreadable })
  }

  #lookForDamage(): boolean {
    const { findings, unreadable } = this.#all()
    if (unreadable.length > 0) return true
    for (const finding of findings.values())
      if (finding.more !== undefined || isDamaged(this.#valueOf(finding))) return true
    return false
  }

  #valueOf(finding: Finding): string {
    if (finding.value !== undefined) return finding.value
    const { at, offset, end } = finding
    let value = this.#valueAt(at, offset, end)
    for (const other of finding.more ?? []) value = preferIntact(value, this.#valueAt(other, offset))
    return (finding.value = value)
  }

  /** The value in the line after the newline at `at`; without its checksum if that is right. */
  #valueAt(at: number, offset: number, end = this.text.indexOf('\n', at + 1)): string {
    const text = this.text
    const sum = end - CHECKSUM_LENGTH
    return text.slice(at + offset, hasChecksum(text, at + 1, sum) ? sum : end)
  }

  /** Of several lines, those with the value of the key. A damaged line beside them may be another key's, and stays. */
  #addPlaces(places: Place[], key: string, finding: Finding): void {
    const value = this.#valueOf(finding)
    for (const at of [finding.at, ...(finding.more ?? [])])
      if (value === AMBIGUOUS || value === this.#valueAt(at, finding.offset)) places.push({ at, key })
  }

  /** The position of the value in the line after the newline at `at`; -1 if the line does not begin with a key. */
  #startOfValue(at: number): number {
    const text = this.text
    if (text.charCodeAt(at + 1) !== QUOTE) return -1
    const end = endOfKey(text, at + 2)
    return end !== -1 && text.charCodeAt(end + 1) === SPACE ? end + 2 : -1
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

/**
 * The position of the quote that ends the key from `start` on; -1 if it is not what `JSON.parse` accepts, as an exception
 * costs too much. It looks at each character once: a pattern would go back over all escapes of a key that does not end.
 */
function endOfKey(text: string, start: number): number {
  for (let at = start; ; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    if (code === BACKSLASH) {
      const length = lengthOfEscape(text, at + 1)
      if (length === 0) return -1
      at += length
    } else if (!(code >= SPACE)) return -1 // a control character, or the end of the text
  }
}

/** How many characters belong to the escape after a backslash; 0 if it is not one that `JSON.stringify` writes. */
function lengthOfEscape(text: string, at: number): number {
  const code = text.charCodeAt(at)
  if (code !== LETTER_U) return ESCAPES.includes(text.charAt(at)) && at < text.length ? 1 : 0
  for (let digit = at + 1; digit <= at + 4; digit++) if (!isHexDigit(text.charCodeAt(digit))) return 0
  return 5
}

function isHexDigit(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66)
}

function findingOf(key: string, at: number, offset: number, end: number): Finding {
  return { key, at, offset, end, more: undefined, value: undefined, before: undefined }
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

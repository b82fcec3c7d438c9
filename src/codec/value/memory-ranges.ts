import { types } from 'node:util'
import { countKeys, hasOnlyBytes } from './own-properties.ts'

interface Range {
  readonly start: number
  readonly end: number
}

/**
 * The memory ranges that the views and buffers of one value use. Each view comes back with a buffer of its own, so two
 * overlapping views would lose their connection: writes through one would no longer be visible in the other.
 */
export class MemoryRanges {
  /** Most buffers have one view. */
  readonly #first = new Map<ArrayBufferLike, Range>()
  #all: Map<ArrayBufferLike, SortedRanges> | undefined

  /** Claims the memory of a view or buffer. Returns why it cannot be stored; `undefined` if it can. */
  claim(value: ArrayBufferView | ArrayBufferLike): string | undefined {
    const isView = ArrayBuffer.isView(value)
    if (isView ? !hasOnlyBytes(value) : countKeys(value) > 0) return 'named properties on it cannot be stored'
    const buffer = isView ? value.buffer : value
    const start = isView ? value.byteOffset : 0
    const end = start + value.byteLength
    if (types.isSharedArrayBuffer(buffer)) return 'shared memory cannot be stored'
    if ('resizable' in buffer && buffer.resizable === true) return 'a resizable buffer cannot be stored'
    if (end === 0 && isDetached(buffer)) return 'a detached buffer cannot be stored'
    if (start < end && !this.#isFree(buffer, { start, end }))
      return 'it shares its memory with another part of the value'
    return undefined
  }

  #isFree(buffer: ArrayBufferLike, range: Range): boolean {
    const first = this.#first.get(buffer)
    if (first === undefined) {
      this.#first.set(buffer, range)
      return true
    }
    this.#all ??= new Map()
    let ranges = this.#all.get(buffer)
    if (ranges === undefined) {
      ranges = new SortedRanges(first)
      this.#all.set(buffer, ranges)
    }
    return ranges.add(range)
  }
}

/** The most ranges in a row that is moved to insert one. */
const MAX_ROW = 256

/**
 * Ranges that do not overlap, in their order. There may be thousands of small views on one buffer: a new range is compared
 * with its two neighbours, and the ranges are in short rows, so that few have to be moved.
 */
class SortedRanges {
  readonly #rows: Range[][]

  constructor(first: Range) {
    this.#rows = [[first]]
  }

  /** Adds a range; `false` if it overlaps another one. */
  add(range: Range): boolean {
    const rows = this.#rows
    // The last row that begins before the range, or the first one.
    const index = Math.max(0, indexAfter(rows, range.start, ([first]) => first) - 1)
    const row = rows[index] ?? []
    const at = indexAfter(row, range.start, (each) => each)
    const before = row[at - 1]
    const after = row[at] ?? rows[index + 1]?.[0]
    if (before !== undefined && before.end > range.start) return false
    if (after !== undefined && after.start < range.end) return false
    row.splice(at, 0, range)
    if (row.length > MAX_ROW) rows.splice(index + 1, 0, row.splice(MAX_ROW / 2))
    return true
  }
}

/** How many of the sorted items start before `start`. */
function indexAfter<T>(items: readonly T[], start: number, rangeOf: (item: T) => Range | undefined): number {
  let high = items.length
  for (let low = 0; low < high;) {
    const middle = (low + high) >> 1
    const item = items[middle]
    if (item !== undefined && (rangeOf(item)?.start ?? 0) < start) low = middle + 1
    else high = middle
  }
  return high
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    buffer.slice(0, 0) // throws if the buffer is detached
    return false
  } catch {
    return true
  }
}

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
  /** Sorted, because there may be thousands of small views on one buffer: a new range is compared with its two neighbours. */
  #ranges: Map<ArrayBufferLike, Range[]> | undefined

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
    this.#ranges ??= new Map()
    const ranges = this.#ranges.get(buffer)
    if (ranges === undefined) {
      this.#ranges.set(buffer, [range])
      return true
    }
    let at = ranges.length
    for (let low = 0; low < at;) {
      const middle = (low + at) >> 1
      if ((ranges[middle]?.start ?? 0) < range.start) low = middle + 1
      else at = middle
    }
    const [before, after] = [ranges[at - 1], ranges[at]]
    if (before !== undefined && before.end > range.start) return false
    if (after !== undefined && after.start < range.end) return false
    ranges.splice(at, 0, range)
    return true
  }
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    buffer.slice(0, 0) // throws if the buffer is detached
    return false
  } catch {
    return true
  }
}

import { types } from 'node:util'

interface Range {
  readonly buffer: ArrayBufferLike
  readonly start: number
  readonly end: number
}

/**
 * The memory that the views and buffers of one value stand on. Bytes come back on memory of their own, so two views
 * that overlap would come back apart: what is written through one would no longer show in the other.
 */
export class Memory {
  readonly #ranges: Range[] = []

  /** Takes a view's or a buffer's memory. Returns why it cannot be kept, if so. */
  claim(value: ArrayBufferView | ArrayBufferLike): string | undefined {
    if (hasFields(value)) return 'named properties on it cannot be kept'
    const range = ArrayBuffer.isView(value)
      ? { buffer: value.buffer, start: value.byteOffset, end: value.byteOffset + value.byteLength }
      : { buffer: value, start: 0, end: value.byteLength }
    if (types.isSharedArrayBuffer(range.buffer)) return 'shared memory cannot be kept'
    if ('resizable' in range.buffer && range.buffer.resizable === true)
      return 'a resizable buffer cannot be kept'
    if (range.end === 0 && isDetached(range.buffer)) return 'a detached buffer cannot be kept'
    for (const other of this.#ranges) {
      if (other.buffer === range.buffer && other.start < range.end && range.start < other.end)
        return 'it shares its memory with another part of the value'
    }
    this.#ranges.push(range)
    return undefined
  }
}

function hasFields(value: ArrayBufferView | ArrayBufferLike): boolean {
  if (Object.getOwnPropertySymbols(value).length > 0) return true
  // The elements of a typed array are own properties too.
  const elements = ArrayBuffer.isView(value) && 'length' in value ? Number(value.length) : 0
  return Object.getOwnPropertyNames(value).length !== elements
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    return new Uint8Array(buffer).length > 0
  } catch {
    return true
  }
}

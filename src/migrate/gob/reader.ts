import { isUtf8 } from 'node:buffer'

/** Text that is no gob, or one that is larger than any session. */
export class GobError extends Error {
  override readonly name = 'GobError'
}

/** Reads the numbers and bytes of which gob is made. It is never further than its end. */
export class GobReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#bytes.length - this.#at
  }

  /**
   * An unsigned number: one byte below 128, or the negated count of bytes and then these, the highest first. A bigint where it is larger than a number
   * can hold exactly.
   */
  uint(): number | bigint {
    const first = this.#byte()
    if (first < 0x80) return first
    const count = 0x100 - first
    if (count > 8) throw new GobError('a number is longer than 8 bytes')
    const bytes = this.bytes(count)
    if (count <= 6) return bytes.readUIntBE(0, count)
    return exact(BigInt(`0x${bytes.toString('hex')}`))
  }

  /** A signed number: its sign is the lowest bit. */
  int(): number | bigint {
    const bits = this.uint()
    if (typeof bits === 'number') return bits % 2 === 0 ? bits / 2 : -(bits + 1) / 2
    return exact((bits & 1n) === 0n ? bits >> 1n : ~(bits >> 1n))
  }

  /** A float of 64 bits, whose bytes are reversed. */
  float(): number {
    const bits = Buffer.alloc(8)
    bits.writeBigUInt64BE(BigInt(this.uint()))
    return bits.readDoubleLE()
  }

  /** A small number, such as a count, a length or the ID of a type. */
  small(): number {
    return whole(this.uint())
  }

  smallInt(): number {
    return whole(this.int())
  }

  /** How many elements follow, each of which takes a byte at least. */
  count(): number {
    const count = this.small()
    if (count > this.left) throw new GobError('there are fewer elements than a count says')
    return count
  }

  bytes(length: number): Buffer {
    if (length > this.left) throw new GobError('it ends too early')
    const from = this.#at
    this.#at += length
    return this.#bytes.subarray(from, this.#at)
  }

  text(): string {
    const bytes = this.bytes(this.small())
    if (!isUtf8(bytes)) throw new GobError('a text is not UTF-8')
    return bytes.toString()
  }

  #byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new GobError('it ends too early')
    this.#at += 1
    return byte
  }
}

function exact(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function whole(value: number | bigint): number {
  if (typeof value === 'bigint' || Math.abs(value) > 2 ** 31) throw new GobError('a number is too large')
  return value
}

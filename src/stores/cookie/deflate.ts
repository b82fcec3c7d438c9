import { deflateRawSync, inflateRawSync } from 'node:zlib'

/** Stands before compressed bytes. No text begins with it. */
const MARK = Buffer.of(0)

/** The bytes compressed, or as they are where that is shorter. */
export function deflate(bytes: Buffer): Buffer {
  const deflated = deflateRawSync(bytes)
  return deflated.length + MARK.length < bytes.length ? Buffer.concat([MARK, deflated]) : bytes
}

/** What {@link deflate} was given, or `undefined` if that was longer than `most` bytes or is damaged. */
export function inflate(bytes: Buffer, most: number): Buffer | undefined {
  if (!bytes.subarray(0, MARK.length).equals(MARK)) return bytes
  try {
    return inflateRawSync(bytes.subarray(MARK.length), { maxOutputLength: most })
  } catch {
    return undefined
  }
}

import { crc32 } from 'node:zlib'

/** What {@link checksum} adds to a line: ` #` and eight digits. */
export const CHECKSUM_LENGTH = 10

/**
 * What a line ends with, so that no bit of it turns unnoticed: its CRC-32 in hexadecimal. It is there against damage, not
 * against forgery. JSON never ends so, which is why a line without it can be told from one with it.
 */
export function checksum(line: string): string {
  return ` #${crc32(line).toString(16).padStart(8, '0')}`
}

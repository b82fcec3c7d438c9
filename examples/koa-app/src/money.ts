/** Formats cents as euros: `1234n` is `€12.34`. Uses bigint only, so nothing is rounded. */
export function euros(cents: bigint): string {
  return `€${cents / 100n}.${String(cents % 100n).padStart(2, '0')}`
}

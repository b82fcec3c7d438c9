/** Cents as people write euros: `1234n` is `€12.34`. A bigint all the way, so no cent is ever rounded. */
export function euros(cents: bigint): string {
  return `€${cents / 100n}.${String(cents % 100n).padStart(2, '0')}`
}

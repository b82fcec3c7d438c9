export type MergeFunction = (base: unknown, mine: unknown, theirs: unknown) => unknown
export type Merge = 'fields' | 'items' | MergeFunction
export interface MergeTools {
  encode(value: unknown, key: string): string
  mergeOf(value: unknown): Merge | undefined
}
export type MergeResult =
  | { readonly merged: true; readonly value: unknown }
  | { readonly merged: false; readonly reason: string }
export function merge(
  rule: Merge,
  _key: string,
  base: unknown,
  mine: unknown,
  theirs: unknown,
  _tools: MergeTools,
): MergeResult {
  if (typeof rule !== 'function') return { merged: false, reason: 'not yet' }
  return { merged: true, value: rule(base, mine, theirs) }
}

/** A text that is longer is no mistyped name. */
const LONGEST_NAME = 40
/** A sentence that names more is not read. */
const MOST_NAMES = 12

/** The name that differs by one letter in four, or by its case, from a mistyped one. */
export function nearestName(mistyped: string, names: Iterable<string>): string | undefined {
  if (mistyped.length > LONGEST_NAME) return undefined
  const typed = mistyped.toLowerCase()
  let best: string | undefined
  let least = Math.floor(typed.length / 4) + 1
  for (const name of names) {
    if (Math.abs(name.length - typed.length) >= least) continue
    const edits = distance(typed, name.toLowerCase())
    if (edits < least) [best, least] = [name, edits]
  }
  return best
}

/** How many letters must be added, removed, replaced or swapped with the next to turn `from` into `to`. */
function distance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Infinity
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row]
    rows.push(current)
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1]
      const isSwapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      current[column] = Math.min(
        at(row - 1, column) + 1,
        at(row, column - 1) + 1,
        at(row - 1, column - 1) + (isSame ? 0 : 1),
        isSwapped ? at(row - 2, column - 2) + 1 : Infinity,
      )
    }
  }
  return at(from.length, to.length)
}

/** The end of a sentence about an unknown name: which one may have been meant, or else all that there are, if they are few. */
export function knownNames(mistyped: string, names: readonly string[]): string {
  const similar = nearestName(mistyped, names)
  if (similar !== undefined) return `; did you mean ${similar}?`
  if (names.length > MOST_NAMES) return ''
  return names.length === 1 ? `; there is only ${names.join()}` : `; there are ${names.join(', ')}`
}

const SPACE = 0x20
const TAB = 0x09
const EQUALS = 0x3d
const SEMICOLON = 0x3b

/**
 * The values of the first `most` cookies called `name` in a `Cookie` header. They are neither unquoted nor decoded, since our
 * values never need it. Takes time in proportion to the length of the header, whatever it contains.
 */
export function cookieValues(header: string | undefined, name: string, most: number): string[] {
  const values: string[] = []
  if (header === undefined) return values
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + name.length)) {
    if (!beginsPair(header, at)) continue
    const after = skipBlanks(header, at + name.length, 1)
    if (header.charCodeAt(after) !== EQUALS) continue
    const end = header.indexOf(';', after)
    values.push(header.slice(after + 1, end === -1 ? undefined : end).trim())
    if (values.length === most) break
  }
  return values
}

/** Whether only blanks are between this index and the end of the previous pair. */
function beginsPair(header: string, at: number): boolean {
  const before = skipBlanks(header, at - 1, -1)
  return before === -1 || header.charCodeAt(before) === SEMICOLON
}

/** The next index, in the direction of `step`, that holds no blank. */
function skipBlanks(header: string, from: number, step: 1 | -1): number {
  let at = from
  while (header.charCodeAt(at) === SPACE || header.charCodeAt(at) === TAB) at += step
  return at
}

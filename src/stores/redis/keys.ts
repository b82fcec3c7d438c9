/** The pattern by which SCAN finds the keys that begin with a prefix. */
export function patternOf(prefix: string): string {
  return `${prefix.replace(/[*?[\]\\^]/g, String.raw`\$&`)}*`
}

/**
 * What follows the prefix in those of the keys that are of this store. The prefix of another store may begin with this one, but what
 * follows in a session's key has only these characters.
 */
export function namesIn(keys: readonly string[], prefix: string): readonly string[] {
  return keys.map((key) => key.slice(prefix.length)).filter((name) => /^[\w-]+$/.test(name))
}

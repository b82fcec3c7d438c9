// How the key of a line is spelled: one way for each key, so that none can stand in two lines unnoticed.

/** A key in JSON that JSON.parse will not throw at: throwing takes longer than all the rest. */
// oxlint-disable-next-line no-control-regex
const JSON_KEY = /^"[^"\\\0-\x1f]*(?:\\(?:["\\bfnrt]|u[0-9a-f]{4})[^"\\\0-\x1f]*)*"$/
const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20

/** Whether a key stands in its line as it is, between quotes. */
export function isSimple(key: string): boolean {
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at)
    if (code < SPACE || code > 0x7e || code === QUOTE || code === BACKSLASH) return false
  }
  return true
}

/** A key in JSON. */
export function quote(key: string): string {
  return isSimple(key) ? `"${key}"` : JSON.stringify(key)
}

/** The key that is spelled so; `undefined` if we would spell it otherwise, for then it could stand in two lines. */
export function unquote(json: string): string | undefined {
  const key: unknown = JSON_KEY.test(json) ? JSON.parse(json) : undefined
  return typeof key === 'string' && quote(key) === json ? key : undefined
}

/** Whether the character there is preceded by an odd number of backslashes. */
export function isEscaped(text: string, at: number): boolean {
  let slashes = 0
  while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++
  return slashes % 2 === 1
}

import { types } from 'node:util'

/** Headers, by names in lower case. */
type Headers = Readonly<Record<string, unknown>>

/**
 * Has Koa answer an error with headers besides the error's own: it drops what stands on the response, and sends what stands
 * in the error. There they stand while Koa answers, which it does in one go, and no longer; and whoever prints the error
 * does not see them. For the same object may be thrown to another client, the rejection of a promise that a program
 * keeps for instance, and errors end up in logs.
 *
 * @returns whether that was possible
 */
export function answerWith(error: unknown, add: (own: Headers) => Headers, answer: () => void): boolean {
  const isError = types.isNativeError(error) || error instanceof Error
  const before = isError ? Object.getOwnPropertyDescriptor(error, 'headers') : undefined
  let headers = isError ? add(headersOf(error)) : {}
  const lent = { configurable: true, get: () => headers, set: (value: Headers) => (headers = value) }
  if (!isError || !Reflect.defineProperty(error, 'headers', lent)) {
    answer()
    return false
  }
  try {
    answer()
  } finally {
    if (before === undefined) Reflect.deleteProperty(error, 'headers')
    else Reflect.defineProperty(error, 'headers', before)
  }
  return true
}

function headersOf(error: object): Headers {
  const headers: unknown = 'headers' in error ? error.headers : undefined
  if (typeof headers !== 'object' || headers === null) return {}
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

import { SessionError } from '../../errors.ts'
import { knownNames } from '../../nearest-name.ts'

/** How long a verb may take by default, in ms. */
export const TIMEOUT = 5_000

/** What the names of a store's keys begin with by default. */
export const PREFIX = 'session:'

/** The longest time that a timer of Node can wait for, in ms. */
const LONGEST_TIMEOUT = 2 ** 31 - 1

/** An `ERR_SESSION_OPTIONS` of the store with this name. */
export function optionError(store: string, problem: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `${store}: ${problem}`)
}

/** The names of a store's options; the compiler reports a missing one. */
export type OptionNames<T> = Readonly<Record<keyof T, true>>

/**
 * Checks that the options are an object of settings which has no others than these: a misspelled one would change nothing.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS`
 */
export function assertOptions<T>(store: string, options: unknown, known: OptionNames<T>): void {
  const names = Object.keys(known)
  const example = `{ ${names[0]}: … }`
  if (typeof options === 'string')
    throw optionError(store, `the options must be an object instead of text: ${example}`)
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw optionError(store, `the options must be an object: ${example}`)
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue
    // A client has fields of all names.
    const prototype: unknown = Object.getPrototypeOf(options)
    if ('client' in known && prototype !== Object.prototype && prototype !== null)
      throw optionError(
        store,
        'the options must be an object of settings; a client is one of them: { client }',
      )
    throw optionError(store, `${name}: is not a setting${knownNames(name, names)}`)
  }
  if ('url' in options && options.url !== undefined && typeof options.url !== 'string')
    throw optionError(store, 'url must be a string')
}

/** @throws SessionError `ERR_SESSION_OPTIONS` unless `value` is a function */
export function assertFunction(store: string, option: string, value: unknown): void {
  if (typeof value !== 'function') throw optionError(store, `${option} must be a function`)
}

/** @throws SessionError `ERR_SESSION_OPTIONS` unless `value` is a whole number from `least` to `most` */
export function assertWhole(
  store: string,
  option: string,
  value: number,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  throw optionError(store, `${option} must be a whole number ${range}`)
}

/** @throws SessionError `ERR_SESSION_OPTIONS` unless a timer can wait for so many ms */
export function assertTimeout(store: string, timeout: number): void {
  assertWhole(store, 'timeout', timeout, 1, LONGEST_TIMEOUT)
}

/** @throws SessionError `ERR_SESSION_OPTIONS` unless a key may begin with `prefix` in any protocol */
export function assertPrefix(store: string, prefix: string): void {
  if (typeof prefix === 'string' && /^[!-~]{0,100}$/.test(prefix)) return
  throw optionError(store, 'prefix must be printable ASCII without spaces, up to 100 characters')
}

/** The kind of each property that a client of a driver has. */
export type ClientShape = Readonly<Record<string, 'function' | 'number' | 'object' | 'string'>>

/**
 * Checks that what is handed over is a client of the driver, since a call to anything else looks like a server that is down.
 *
 * @param shape what only such a client has
 * @param expected what is to be handed over: `'a Redis or Cluster of ioredis'`
 * @throws SessionError `ERR_SESSION_OPTIONS`
 */
export function assertClient(store: string, client: unknown, shape: ClientShape, expected: string): void {
  if (client === undefined) return
  const fields = Object(client) as Readonly<Record<string, unknown>> // of whatever was given
  const isObject = typeof client === 'object' && client !== null
  if (isObject && Object.entries(shape).every(([name, kind]) => typeof fields[name] === kind)) return
  throw optionError(store, `client must be ${expected}; ${kindOf(client)} was given${hintFor(client)}`)
}

function kindOf(client: unknown): string {
  if (client === null) return 'null'
  if (typeof client !== 'object') return typeof client === 'string' ? 'text' : `a ${typeof client}`
  if (typeof Object(client)['then'] === 'function') return 'a promise'
  const name: unknown = Object(client)['constructor']?.name
  return typeof name === 'string' && /^\w{2,40}$/.test(name)
    ? `an object of the class ${name}`
    : 'another object'
}

function hintFor(client: unknown): string {
  if (typeof client === 'string') return '; a connection string is the option url'
  return typeof Object(client)['then'] === 'function' ? ': await it' : ''
}

/** The error for options that name no backend, or two. */
export function sourceError(store: string): SessionError {
  return optionError(store, 'give either url or client')
}

/** Decodes the `%XX` of a part of a URL. Throws what `malformed` returns if a `%` does not begin one. */
export function percentDecoded(text: string, malformed: () => SessionError): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw malformed()
  }
}

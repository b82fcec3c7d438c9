import { SessionError } from '../errors.ts'
import { nearestName } from '../nearest-name.ts'
import type { OldCookie } from '../session/adopt/importer.ts'
import type { SignatureVerifier, SigningKeys } from './signatures.ts'

/** Where the old cookie was set: a browser removes it only with the same attributes. */
export interface OldCookieOptions {
  /** Its path. Default: `'/'`. */
  readonly path?: string
  /** Its domain. Default: only the host of the request. */
  readonly domain?: string
}

/** Throws if an option's value is not allowed. */
type Check = (value: unknown, refuse: (problem: string) => never) => void

/** A check for each option; the compiler reports a missing one. */
type Checks<T> = { readonly [K in keyof T]-?: Check }

/**
 * Checks the options of an importer.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS` that names the option
 */
export function checkImporter<T extends object>(importer: string, options: T, checks: Checks<T>): void {
  if (typeof options !== 'object' || options === null)
    throw importerError(importer, 'the options must be an object')
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name as keyof T] : undefined // as just asked
    const near = check === undefined ? nearestName(name, Object.keys(checks)) : undefined
    if (check === undefined)
      throw importerError(
        importer,
        `${name} is not an option${near === undefined ? '' : `; did you mean ${near}?`}`,
      )
    if (value === undefined) continue
    check(value, (problem) => {
      throw importerError(importer, `${name} ${problem}`)
    })
  }
}

/** Checks that exactly one of these options is given, or at most one. */
export function checkOne<T extends object>(
  importer: string,
  options: T,
  names: readonly (keyof T & string)[],
  least = 1,
): void {
  const given = names.filter((name) => options[name] !== undefined)
  if (given.length <= 1 && given.length >= least) return
  throw importerError(
    importer,
    given.length > 1 ? `${given.join(' and ')} cannot be given together` : `give one of ${names.join(', ')}`,
  )
}

export function importerError(importer: string, problem: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `${importer}: ${problem}`)
}

export const isText: Check = (value, refuse) => {
  if (typeof value !== 'string' || value === '') refuse('must be a text that is not empty')
}

export const isAnyText: Check = (value, refuse) => {
  if (typeof value !== 'string') refuse('must be a text')
}

export const isCookieName: Check = (value, refuse) => {
  if (typeof value !== 'string' || !/^[!#$%&'*+\-.^_`|~\w]+$/.test(value))
    refuse('must be the name of a cookie')
}

export const isFunction: Check = (value, refuse) => {
  if (typeof value !== 'function') refuse('must be a function')
}

export const isBoolean: Check = (value, refuse) => {
  if (typeof value !== 'boolean') refuse('must be true or false')
}

export const isMs: Check = (value, refuse) => {
  if (!Number.isSafeInteger(value) || Number(value) <= 0) refuse('must be a whole number of ms above 0')
}

/** Checks an object that has these methods. */
export function has(what: string, ...methods: readonly string[]): Check {
  return (value, refuse) => {
    const given: Readonly<Record<string, unknown>> = Object(value)
    if (methods.some((name) => typeof given[name] !== 'function')) refuse(`must be ${what}`)
  }
}

export const isCookie: Check = (value, refuse) => {
  if (typeof value !== 'object' || value === null) refuse('must be an object such as { path, domain }')
  for (const [name, text] of Object.entries(value as object)) {
    if (name !== 'path' && name !== 'domain') refuse(`has only path and domain, and not ${name}`)
    if (text !== undefined && (typeof text !== 'string' || !/^[\w./-]*$/.test(text)))
      refuse(`has a ${name} that cannot be one`)
  }
}

/** Checks the keys of signatures: a list, or one key. */
export const isKeys: Check = (value, refuse) => {
  if (typeof value === 'object' && value !== null && 'verify' in value && typeof value.verify === 'function')
    return
  const keys: unknown[] = Array.isArray(value) ? value : [value]
  const isKey = (key: unknown): boolean => (typeof key === 'string' || Buffer.isBuffer(key)) && key.length > 0
  if (keys.length === 0 || !keys.every(isKey)) refuse('must be a key, or a list of keys, that is not empty')
}

/** The keys as a list, whether one was given or several. */
export function keyList(keys: string | Buffer | SigningKeys): SigningKeys {
  return typeof keys === 'string' || Buffer.isBuffer(keys) ? [keys] : keys
}

/** Keys as the option of Koa's importers has them: `app.keys`. */
export function koaKeys(keys: string | SigningKeys | SignatureVerifier): SigningKeys | SignatureVerifier {
  return typeof keys === 'object' && 'verify' in keys ? keys : keyList(keys)
}

/** The cookies of Koa: one, and its signature. */
export function signedCookies(
  name: string,
  isSigned: boolean,
  cookie: OldCookieOptions = {},
): readonly OldCookie[] {
  return (isSigned ? [name, `${name}.sig`] : [name]).map((each) => ({ name: each, ...cookie }))
}

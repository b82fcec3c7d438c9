import { getHashes } from 'node:crypto'
import type { Limits } from '../codec/limits.ts'
import { SessionError } from '../errors.ts'
import { DAYS_400 } from './expiry.ts'
import type { CookieOptions, ManagerOptions, SessionOptions } from './options.ts'

/** Throws when a setting cannot be: `field` is its path, for the sentence. */
type Check = (value: unknown, field: string) => void

/** A check for each setting: the compiler sees to it that none is forgotten. */
type Checks<T> = { readonly [K in keyof T]-?: Check }

const WHOLE_MS = 'must be a whole number of ms'
const LONGEST_TIMER = 2_147_483_647

const isFunction = must('must be a function', (value) => typeof value === 'function')
const isBoolean = must('must be true or false', (value) => typeof value === 'boolean')
const isText = must('must be a string', (value) => typeof value === 'string')
const isName = text(/./s, 'must be a string that is not empty')
const isToken = text(/^[!#$%&'*+\-.^_`|~\w]+$/, 'must be a name of letters, digits and -_. only')
const isCount = must('must be a whole number above 0', (value) => isWhole(value) && value > 0)
const isMs = both(must(WHOLE_MS, isWhole), between(1, Infinity, 'must be more than 0 ms'))
const isTimer = both(isMs, between(1, LONGEST_TIMER, 'must be at most 24 days'))

const limits: Checks<Limits> = {
  bytes: isCount,
  keyBytes: isCount,
  keys: isCount,
  keyLength: isCount,
  depth: both(isCount, between(1, 256, 'must be at most 256')),
  bigintDigits: isCount,
  nodes: isCount,
}

const seal: Checks<NonNullable<ManagerOptions['seal']>> = {
  keys: must('must be a list of keys', Array.isArray),
  plainUntil: must('must be a Date', (value) => value instanceof Date && !Number.isNaN(value.getTime())),
}

const managerChecks: Checks<ManagerOptions> = {
  store: anObject('a store'),
  provider: isName,
  providerConfig: isText,
  seal: settings(seal, ['keys']),
  idleTimeout: isMs,
  absoluteTimeout: isMs,
  rotateAfter: isMs,
  rotateGrace: both(must(WHOLE_MS, isWhole), between(0, Infinity, 'must be 0 ms or more')),
  openTimeout: isTimer,
  commitTimeout: isTimer,
  maxPending: both(must('must be a whole number', isWhole), between(1, Infinity, 'must be more than 0')),
  hash: must('must name a hash of node:crypto, such as sha256', isHash),
  idPrefix: text(/^[\w-]{0,64}$/, 'must be letters, digits, - and _, at most 64 of them'),
  keepEmpty: isBoolean,
  schema: (value, field) => value === undefined || anObject('an object of zod types')(value, field),
  registry: anObject('a registry of createRegistry()'),
  limits: settings(limits),
  sweepInterval: both(must(WHOLE_MS, isWhole), between(0, LONGEST_TIMER, 'must be 0 ms to 24 days')),
  onEvent: isFunction,
  now: isFunction,
  pause: isFunction,
}

const cookieChecks: Checks<CookieOptions> = {
  maxAge: both(isMs, between(1, DAYS_400, 'must be at most 400 days: browsers keep no cookie longer')),
  domain: text(/^\.?[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i, 'must be a host name'),
  path: text(/^\/[\x21-\x3a\x3c-\x7e]*$/, 'must begin with / and hold no space or ;'),
  sameSite: oneOf("must be 'lax', 'strict' or 'none'", ['lax', 'strict', 'none']),
  httpOnly: isBoolean,
  secure: oneOf("must be true, false or 'auto'", [true, false, 'auto']),
  partitioned: isBoolean,
}

const sessionChecks: Checks<SessionOptions> = {
  ...managerChecks,
  enabled: isBoolean,
  name: isToken,
  cookie: (value, field) => value === false || checkCookie(value, field),
  header: isToken,
  query: isName,
  property: isName,
  commitOnError: must(
    'must be true, false or a function',
    (value) => typeof value === 'boolean' || typeof value === 'function',
  ),
  passive: isFunction,
  mayCreate: isFunction,
  onStoreError: oneOf("must be 'throw' or 'anonymous'", ['throw', 'anonymous']),
}

/** @throws SessionError `ERR_SESSION_OPTIONS` that names the field */
export function checkManagerOptions(options: ManagerOptions): void {
  settings(managerChecks)(options, '')
}

/** @throws SessionError `ERR_SESSION_OPTIONS` that names the field */
export function checkSessionOptions(options: SessionOptions): void {
  settings(sessionChecks)(options, '')
}

function checkCookie(value: unknown, field: string): void {
  must('must be false or an object of settings', isObject)(value, field)
  settings(cookieChecks)(value, field)
  const { sameSite, partitioned, secure } = value as CookieOptions // it was just checked
  if (sameSite === 'none' && secure !== true)
    throw wrong(`${field}.sameSite`, "sameSite 'none' needs cookie.secure: true")
  if (partitioned === true && secure !== true)
    throw wrong(`${field}.partitioned`, 'partitioned needs cookie.secure: true')
}

/** An object with these settings and no others. */
function settings<T>(checks: Checks<T>, needed: readonly string[] = []): Check {
  const known = new Map<string, Check>(Object.entries(checks))
  const path = (field: string, name: string): string => (field === '' ? name : `${field}.${name}`)
  return (value, field) => {
    anObject('an object of settings')(value, field === '' ? 'options' : field)
    const given = value as Readonly<Record<string, unknown>> // as just checked
    for (const name of needed) if (!(name in given)) throw wrong(path(field, name), 'is missing')
    for (const [name, setting] of Object.entries(given)) {
      const check = known.get(name)
      if (check === undefined) throw wrong(path(field, name), 'is not a setting')
      check(setting, path(field, name))
    }
  }
}

function must(sentence: string, test: (value: unknown) => boolean): Check {
  return (value, field) => {
    if (!test(value)) throw wrong(field, sentence)
  }
}

function both(one: Check, other: Check): Check {
  return (value, field) => {
    one(value, field)
    other(value, field)
  }
}

/** For what is known to be a number. */
function between(from: number, to: number, sentence: string): Check {
  return must(sentence, (value) => Number(value) >= from && Number(value) <= to)
}

function text(pattern: RegExp, sentence: string): Check {
  return must(sentence, (value) => typeof value === 'string' && pattern.test(value))
}

function oneOf(sentence: string, values: readonly unknown[]): Check {
  return must(sentence, (value) => values.includes(value))
}

function anObject(what: string): Check {
  return must(`must be ${what}`, isObject)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

function isHash(name: unknown): boolean {
  if (typeof name !== 'string' || /md[45]|^md|shake/i.test(name)) return false
  return getHashes().some((known) => known.toLowerCase() === name.toLowerCase())
}

/** What is said of a setting that cannot be. */
export function wrong(field: string, sentence: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `session: ${field}: ${sentence}`)
}

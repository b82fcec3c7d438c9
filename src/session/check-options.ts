import { getHashes } from 'node:crypto'
import { types } from 'node:util'
import type { Limits } from '../codec/limits.ts'
import { isStandardSchema } from '../codec/standard-schema.ts'
import { SessionError } from '../errors.ts'
import { knownNames, nearestName } from '../nearest-name.ts'
import { isRegistry } from '../registry.ts'
import { ONE_COPY } from './misuse.ts'
import { ISOLATIONS, type KeyOptions } from './isolation.ts'
import type { ManagerOptions, OpenOptions, OwnerOptions, SealOptions } from './options.ts'

/** Throws if an option's value is not allowed; `field` is the option's path, for the message. */
export type Check = (value: unknown, field: string) => void

/** A check for each option of `T`; the compiler reports a missing one. */
export type Checks<T> = { readonly [K in keyof T]-?: Check }

/** What to do instead, for names that are no option here. */
export type Hints = Readonly<Record<string, string>>

const LONGEST_TIMER = 2_147_483_647

export const isFunction: Check = must('must be a function', (value) => typeof value === 'function')
export const isBoolean: Check = must('must be true or false', (value) => typeof value === 'boolean')
export const isName: Check = matches(/./s, 'must be a string that is not empty')
const isCount = must('must be a whole number above 0', (value) => isWhole(value) && value > 0)
const isMsOrZero = must('must be a whole number of ms, such as 3_600_000 for an hour', isWhole)
export const isMs: Check = both(isMsOrZero, between(1, Infinity, 'must be more than 0 ms'))
const isTimer = both(isMs, between(1, LONGEST_TIMER, 'must be at most 24 days'))

const limits: Checks<Limits> = {
  bytes: isCount,
  keyBytes: isCount,
  keys: isCount,
  keyLength: isCount,
  depth: both(isCount, between(1, 256, 'must be at most 256')),
  bigintDigits: isCount,
  nodes: isCount,
  names: isCount,
}

const isolation = oneOf(`must be one of ${ISOLATIONS.join(', ')}`, ISOLATIONS)

const keyChecks: Checks<KeyOptions> = {
  isolation,
  merge: must(
    "must be a function, 'fields' or 'items'",
    (value) => typeof value === 'function' || value === 'fields' || value === 'items',
  ),
}

const seal: Checks<SealOptions> = {
  keys: must('must be a list of keys', Array.isArray),
  application: isName,
  plainUntil: must('must be a Date', (value) => value instanceof Date && !Number.isNaN(value.getTime())),
}

const owners: Checks<OwnerOptions> = {
  max: both(must('must be a whole number', isWhole), between(1, 1_000, 'must be 1 to 1,000')),
  whenFull: must(
    "must be 'unused', 'oldest' or 'refuse'",
    (value) => value === 'unused' || value === 'oldest' || value === 'refuse',
  ),
  verifyEvery: both(isMsOrZero, between(0, Infinity, 'must be 0 ms or more')),
  onSignIn: isFunction,
  store: checkStore,
}

export const managerChecks: Checks<ManagerOptions> = {
  name: isName,
  store: checkStore,
  provider: matches(
    /./s,
    "must be the name of a provider, such as 'redis'; a store goes to the option store",
  ),
  providerConfig: must(
    'must be a string, such as a URL; an object of settings goes to a store, such as new RedisStore({ url })',
    (value) => typeof value === 'string',
  ),
  seal: optionsOf(seal, { required: ['keys'], example: '{ keys: [key] }' }),
  idleTimeout: isMs,
  absoluteTimeout: isMs,
  rotateAfter: isMs,
  rotateGrace: both(isMsOrZero, between(0, Infinity, 'must be 0 ms or more')),
  retiredFor: both(isMsOrZero, between(0, Infinity, 'must be 0 ms or more')),
  onRetired: must("must be 'report' or 'revoke'", (value) => value === 'report' || value === 'revoke'),
  openTimeout: isTimer,
  commitTimeout: isTimer,
  maxPending: both(must('must be a whole number', isWhole), between(1, Infinity, 'must be more than 0')),
  owners: optionsOf(owners, { example: '{ max: 10 }' }),
  hash: must('must name a hash of node:crypto, such as sha256', isHash),
  idPrefix: matches(/^[\w-]{0,64}$/, 'must be letters, digits, - and _, at most 64 of them'),
  keepEmpty: isBoolean,
  schema: (value, field) => value === undefined || checkSchema(value, field),
  isolation,
  keys: both(
    must(
      'is the isolation of single keys here, and no list of signing keys: the cookie holds 256 random bits, so leave them out',
      (value) => !Array.isArray(value),
    ),
    eachOf(optionsOf(keyChecks, { example: "{ merge: 'items' }" })),
  ),
  registry: checkRegistry,
  limits: optionsOf(limits, { example: '{ bytes: 65_536 }' }),
  sweepInterval: both(isMsOrZero, between(0, LONGEST_TIMER, 'must be 0 ms to 24 days')),
  onEvent: isFunction,
  now: isFunction,
  pause: isFunction,
}

/** The options of `session()` that a manager does not have, since it knows no HTTP. */
const ofMiddleware = [
  'enabled',
  'cookie',
  'header',
  'query',
  'clearSiteData',
  'property',
  'commitOnError',
  'passive',
  'mayCreate',
  'onStoreError',
  'open',
  'adopt',
].map((name): [string, string] => [
  name,
  'is an option of session(), and a manager without requests has no use for it',
])

/** Options that belong elsewhere. */
export const ofParts: Hints = {
  merge: "is an option of single keys, keys: { cart: { merge: 'items' } }, or of a class, by registerType",
  bytes: 'is `limits.bytes` here',
  version: 'is an option of a class, by registerType',
  upgrade: 'is an option of a class, by registerType',
  types: 'is `registry` here: give each class to its registerType',
  client: 'is an option of a store: store: new RedisStore({ client })',
  url: 'is an option of a store, or the option `providerConfig`',
}

const checkManager = optionsOf(managerChecks, { hints: { ...ofParts, ...Object.fromEntries(ofMiddleware) } })

/** @throws SessionError `ERR_SESSION_OPTIONS` that names the option */
export function checkManagerOptions(options: ManagerOptions): void {
  checkOptionsObject(options, 'new SessionManager')
  checkManager(options, '')
}

/**
 * Checks that the first argument is an object of settings, and nothing else that may be at hand where one is wanted.
 *
 * @param call the call as the program writes it
 * @throws SessionError `ERR_SESSION_OPTIONS`
 */
export function checkOptionsObject(options: unknown, call: string): void {
  const instead = misplaced(options, call)
  if (instead !== undefined) throw optionError('options', instead)
}

function misplaced(options: unknown, call: string): string | undefined {
  const example = `${call}({ provider: 'file', providerConfig: './sessions' })`
  if (typeof options === 'string') return `must be an object of settings instead of text: ${example}`
  if (Array.isArray(options)) return `must be an object of settings instead of a list: ${example}`
  if (types.isPromise(options)) return `must be an object of settings instead of a promise: ${call}(await …)`
  const given: Readonly<Record<string, unknown>> = Object(options)
  const has = (...methods: readonly string[]): boolean =>
    methods.every((method) => typeof given[method] === 'function')
  if (has('use', 'listen'))
    return 'must be an object of settings, without the application: app.use(session({ … })), where app is a Koa application'
  const isContext = typeof given['req'] === 'object' && typeof given['res'] === 'object'
  const isRequest = typeof given['headers'] === 'object' && typeof given['method'] === 'string'
  if (isContext || isRequest)
    return 'must be an object of settings, and not a request: mount what session() returns, app.use(session({ … })), instead of session itself'
  if (has('read', 'replace')) return `must be an object of settings instead of a store: ${call}({ store })`
  if (has('begin', 'open')) return 'must be an object of settings instead of a manager: write its settings'
  if (typeof options === 'function') return `must be an object of settings instead of a function: ${example}`
  if (typeof options !== 'object' || options === null) return `must be an object of settings: ${example}`
  return undefined
}

const OPEN_OPTIONS = ['passive', 'unseen', 'mayCreate']
/** Those that only this library gives. */
const INTERNAL = ['expression', 'old']

/**
 * Checks what a program gives to `manager.open`, `find` and `begin`. The middleware gives an instance of a class of its own.
 *
 * @throws SessionError `ERR_SESSION_OPTIONS`
 */
export function checkOpening(id: unknown, options: OpenOptions): void {
  if (id !== undefined && typeof id !== 'string')
    throw openError('the ID must be a string; the session of a request is opened with sessions.open(request)')
  if (Object.getPrototypeOf(options) !== Object.prototype) return
  for (const name of Object.keys(options))
    if (!OPEN_OPTIONS.includes(name) && !INTERNAL.includes(name))
      throw openError(`${name}: is not a setting${knownNames(name, OPEN_OPTIONS)}`)
}

function openError(problem: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `manager.open: ${problem}`)
}

/** Checks an object that has these options and no others. */
export function optionsOf<T>(
  checks: Checks<T>,
  {
    required = [],
    hints = {},
    example,
  }: { required?: readonly string[]; hints?: Hints; example?: string } = {},
): Check {
  const known = new Map<string, Check>(Object.entries(checks))
  const names = [...known.keys()]
  const isSettings = isObjectOf(`an object of settings${example === undefined ? '' : `, such as ${example}`}`)
  const path = (field: string, name: string): string => (field === '' ? name : `${field}.${name}`)
  return (value, field) => {
    isSettings(value, field === '' ? 'options' : field)
    const given = value as Readonly<Record<string, unknown>> // as just checked
    for (const name of required) if (!(name in given)) throw optionError(path(field, name), 'is missing')
    for (const [name, option] of Object.entries(given)) {
      const check = known.get(name)
      if (check === undefined) throw optionError(path(field, name), unknownName(name, names, hints))
      check(option, path(field, name))
    }
  }
}

/** What to do about a name that is no option. */
function unknownName(name: string, names: readonly string[], hints: Hints): string {
  if (Object.hasOwn(hints, name)) return hints[name] ?? ''
  return `is not a setting${knownNames(name, names) || '; the README lists them'}`
}

/** The verbs of a store. */
const VERBS = ['read', 'create', 'replace', 'touch', 'destroy', 'close']

function checkStore(value: unknown, field: string): void {
  if (typeof value === 'string')
    throw optionError(
      field,
      "must be a store, such as new RedisStore({ url }); a name such as 'redis' is the option provider",
    )
  if (typeof value === 'function')
    throw optionError(
      field,
      'must be a store, and not a class or function: write new RedisStore({ url }), for instance',
    )
  isObjectOf('a store, such as new RedisStore({ url })')(value, field)
  const given = value as Readonly<Record<string, unknown>> // as just checked
  const missing = VERBS.filter((verb) => typeof given[verb] !== 'function')
  const isOther = typeof given['get'] === 'function' && typeof given['set'] === 'function'
  if (missing.length > 0 && isOther)
    throw optionError(
      field,
      'must be a store of koa-typed-session; sessions of the old one are taken over by `adopt`',
    )
  if (missing.length > 0)
    throw optionError(
      field,
      `is not a store, which has ${missing.join(', ')}; a client or pool is given to a store: new RedisStore({ client })`,
    )
  if (typeof given['traits'] !== 'object' || given['traits'] === null)
    throw optionError(field, 'is not a store: it has no traits, which say what it can do')
}

function checkRegistry(value: unknown, field: string): void {
  if (isRegistry(value)) return
  const isOther = typeof value === 'object' && value !== null && 'registerType' in value && 'planOf' in value
  throw optionError(
    field,
    isOther
      ? `is a registry of another copy of koa-typed-session: ${ONE_COPY}`
      : 'must be a registry, which createRegistry() returns; classes are given to its registerType',
  )
}

/** Runs no schema: one may refer to what the program defines later. So one that is asynchronous is found at its first value. */
function checkSchema(value: unknown, field: string): void {
  must(
    'must be an object with a schema for each key, such as { userId: z.int() }, instead of one schema for all',
    (given) => !isStandardSchema(given),
  )(value, field)
  eachOf(
    must(
      'is not a schema of zod 4, valibot, arktype or another library that follows Standard Schema, version 1: write z.string(), for instance, or z.instanceof(Cart) for a class',
      isStandardSchema,
    ),
    'an object of schemas',
  )(value, field)
}

/** Checks each value of an object whose names are not known beforehand. */
function eachOf(check: Check, what = 'an object of settings'): Check {
  return (value, field) => {
    isObjectOf(what)(value, field)
    for (const [name, each] of Object.entries(value as object)) check(each, `${field}.${name}`) // as just checked
  }
}

export function must(sentence: string, test: (value: unknown) => boolean): Check {
  return (value, field) => {
    if (!test(value))
      throw optionError(field, value === undefined ? `${sentence}, and is undefined` : sentence)
  }
}

export function both(first: Check, second: Check): Check {
  return (value, field) => {
    first(value, field)
    second(value, field)
  }
}

/** For values that were checked to be numbers. */
export function between(from: number, to: number, sentence: string): Check {
  return must(sentence, (value) => Number(value) >= from && Number(value) <= to)
}

export function matches(pattern: RegExp, sentence: string): Check {
  return must(sentence, (value) => typeof value === 'string' && pattern.test(value))
}

export function oneOf(sentence: string, values: readonly unknown[]): Check {
  const check = must(sentence, (value) => values.includes(value))
  const texts = values.filter((value) => typeof value === 'string')
  return (value, field) => {
    const near = typeof value === 'string' && !texts.includes(value) ? nearestName(value, texts) : undefined
    if (near !== undefined) throw optionError(field, `${sentence}; did you mean '${near}'?`)
    check(value, field)
  }
}

function isObjectOf(what: string): Check {
  return must(
    `must be ${what}`,
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  )
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

function isHash(name: unknown): boolean {
  if (typeof name !== 'string' || /md[45]|^md|shake/i.test(name)) return false
  return getHashes().some((known) => known.toLowerCase() === name.toLowerCase())
}

/** The error for an option that is not allowed: where, and what is allowed instead. */
export function optionError(field: string, sentence: string): SessionError {
  return new SessionError('ERR_SESSION_OPTIONS', `session: ${field}: ${sentence}`)
}

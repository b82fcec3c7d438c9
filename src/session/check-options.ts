import { getHashes } from 'node:crypto'
import type { Limits } from '../codec/limits.ts'
import { isStandardSchema } from '../codec/standard-schema.ts'
import { SessionError } from '../errors.ts'
import { ISOLATIONS, type KeyOptions } from './isolation.ts'
import type { ManagerOptions, OwnerOptions, SealOptions } from './options.ts'

/** Throws if an option's value is not allowed; `field` is the option's path, for the message. */
export type Check = (value: unknown, field: string) => void

/** A check for each option of `T`; the compiler reports a missing one. */
export type Checks<T> = { readonly [K in keyof T]-?: Check }

const LONGEST_TIMER = 2_147_483_647

export const isFunction: Check = must('must be a function', (value) => typeof value === 'function')
export const isBoolean: Check = must('must be true or false', (value) => typeof value === 'boolean')
export const isName: Check = matches(/./s, 'must be a string that is not empty')
const isCount = must('must be a whole number above 0', (value) => isWhole(value) && value > 0)
const isMsOrZero = must('must be a whole number of ms', isWhole)
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
  store: isObjectOf('a store'),
}

export const managerChecks: Checks<ManagerOptions> = {
  store: isObjectOf('a store'),
  provider: isName,
  providerConfig: must('must be a string', (value) => typeof value === 'string'),
  seal: optionsOf(seal, ['keys']),
  idleTimeout: isMs,
  absoluteTimeout: isMs,
  rotateAfter: isMs,
  rotateGrace: both(isMsOrZero, between(0, Infinity, 'must be 0 ms or more')),
  retiredFor: both(isMsOrZero, between(0, Infinity, 'must be 0 ms or more')),
  onRetired: must("must be 'report' or 'revoke'", (value) => value === 'report' || value === 'revoke'),
  openTimeout: isTimer,
  commitTimeout: isTimer,
  maxPending: both(must('must be a whole number', isWhole), between(1, Infinity, 'must be more than 0')),
  owners: optionsOf(owners),
  hash: must('must name a hash of node:crypto, such as sha256', isHash),
  idPrefix: matches(/^[\w-]{0,64}$/, 'must be letters, digits, - and _, at most 64 of them'),
  keepEmpty: isBoolean,
  schema: (value, field) => value === undefined || checkSchema(value, field),
  isolation,
  keys: eachOf(optionsOf(keyChecks)),
  registry: isObjectOf('a registry of createRegistry()'),
  limits: optionsOf(limits),
  sweepInterval: both(isMsOrZero, between(0, LONGEST_TIMER, 'must be 0 ms to 24 days')),
  onEvent: isFunction,
  now: isFunction,
  pause: isFunction,
}

/** @throws SessionError `ERR_SESSION_OPTIONS` that names the option */
export function checkManagerOptions(options: ManagerOptions): void {
  optionsOf(managerChecks)(options, '')
}

/** Checks an object that has these options and no others. */
export function optionsOf<T>(checks: Checks<T>, required: readonly string[] = []): Check {
  const known = new Map<string, Check>(Object.entries(checks))
  const path = (field: string, name: string): string => (field === '' ? name : `${field}.${name}`)
  return (value, field) => {
    isObjectOf('an object of settings')(value, field === '' ? 'options' : field)
    const given = value as Readonly<Record<string, unknown>> // as just checked
    for (const name of required) if (!(name in given)) throw optionError(path(field, name), 'is missing')
    for (const [name, option] of Object.entries(given)) {
      const check = known.get(name)
      if (check === undefined) throw optionError(path(field, name), 'is not a setting')
      check(option, path(field, name))
    }
  }
}

/** Runs no schema: one may refer to what the program defines later. So one that is asynchronous is found at its first value. */
function checkSchema(value: unknown, field: string): void {
  must(
    'must be an object with a schema for each key, such as { userId: z.int() }, instead of one schema for all',
    (given) => !isStandardSchema(given),
  )(value, field)
  eachOf(
    must(
      'is not a schema of zod 4, valibot, arktype or another library that follows Standard Schema, version 1',
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
    if (!test(value)) throw optionError(field, sentence)
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
  return must(sentence, (value) => values.includes(value))
}

function isObjectOf(what: string): Check {
  return must(`must be ${what}`, (value) => typeof value === 'object' && value !== null)
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

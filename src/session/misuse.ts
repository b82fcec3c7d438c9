import { renderPath } from '../codec/value/path.ts'
import { types } from 'node:util'
import { SessionError } from '../errors.ts'
import { nearestName } from '../nearest-name.ts'

/** What to do where a program has loaded the package twice. */
export const ONE_COPY: string = 'find the copies with npm ls koa-typed-session, and keep one'

/** The property by which a copy of this package knows the sessions of all copies. */
export const ANY_COPY: unique symbol = Symbol.for('koa-typed-session: a session')

/** How a program uses a property: `ask` is `in` and `hasOwn`. */
export type Use = 'read' | 'assign' | 'delete' | 'ask'

/** A property of a session: a data property, or a method. */
export type MemberKind = 'value' | 'method'

const LONGEST_NAME = 40

/** Escaped: quotes, and what a terminal or a log would not show as it is. */
const UNPRINTABLE = /[\\'\p{C}\p{Zl}\p{Zp}]/gu

/** What koa-session and express-session have, and what to write instead. `session` is the expression for the session. */
const habits: Readonly<Record<string, (session: string) => string>> = {
  save: storing,
  manuallyCommit: storing,
  reload: () => 'each request opens the stored session anew; a job calls manager.open() again',
  touch: () => 'a request that opens the session extends it, unless the option `passive` says otherwise',
  cookie: (session) =>
    `the attributes of the cookie are the option \`cookie\`, and the life of this session is ${session}.maxAge`,
  resetMaxAge: (session) => `write ${session}.maxAge = undefined`,
  originalMaxAge: (session) => `write ${session}.maxAge`,
  _maxAge: (session) => `write ${session}.maxAge`,
  _expire: (session) => `write ${session}.expiresAt`,
  length: (session) => `write ${session}.size`,
  populated: (session) => `write ${session}.size > 0`,
  externalKey: (session) => `write ${session}.id`,
  sessionID: (session) => `write ${session}.id`,
}

function storing(session: string): string {
  return `changes are stored before the response is sent, or at once by await ${session}.commit()`
}

/** Whether a value that this copy of the package has not made is a session nevertheless. */
export function isOfAnotherCopy(value: unknown): boolean {
  const { [ANY_COPY]: isSession }: { readonly [ANY_COPY]?: unknown } = Object(value)
  return isSession === true
}

/** Something else is given where a session is expected. */
export function notASession(value: unknown): SessionError {
  return misused(
    isOfAnotherCopy(value)
      ? `this is a session of another copy of koa-typed-session: ${ONE_COPY}`
      : 'this is not a session: use ctx.session, or what manager.open() resolves to',
  )
}

/** A property that sessions do not have: keys are not properties. */
export function unknownProperty(
  session: string,
  property: string,
  use: Use,
  members: ReadonlyMap<PropertyKey, MemberKind>,
): SessionError {
  const name = quote(property)
  const habit = use === 'read' && Object.hasOwn(habits, property) ? habits[property] : undefined
  const instead = habit?.(session) ?? keyed[use](session, name)
  const member = use === 'read' && habit === undefined ? nearestName(property, namesOf(members)) : undefined
  const near = member === undefined ? '' : `write ${session}.${member}, or for a key of that name: `
  return misused(`${session} has no property ${name}: ${near}${instead}${orAsObject(session)}`)
}

/** What to write for a key of that name. */
const keyed: Readonly<Record<Use, (session: string, name: string) => string>> = {
  read: (session, name) =>
    `read it with ${session}.get(${name}), or change it with ${session}.update(${name}, …)`,
  assign: (session, name) => `store the value with ${session}.set(${name}, …)`,
  delete: (session, name) => `delete the key with ${session}.delete(${name})`,
  ask: (session, name) => `ask for the key with ${session}.has(${name})`,
}

/** A property that sessions have, and that cannot be assigned or deleted. */
export function fixedProperty(
  session: string,
  property: string,
  kind: MemberKind,
  use: 'assign' | 'delete',
): SessionError {
  const name = quote(property)
  const what = `${session}.${property} is ${kind === 'method' ? 'a method' : 'a property'} of every session`
  if (use === 'delete') {
    const instead =
      property === 'maxAge'
        ? `go back to the settings with ${session}.maxAge = undefined`
        : `delete a key of that name with ${session}.delete(${name})`
    return misused(`${what}: ${instead}`)
  }
  const renew = property === 'id' ? `get a new ID with ${session}.regenerate(), or ` : ''
  return misused(
    `${what} and cannot be assigned: ${renew}store a value under that key with ${session}.set(${name}, …)`,
  )
}

/** `ctx.session = value`. */
export function assignedSession(session: string, value: unknown): SessionError {
  const instead =
    typeof value === 'object' && value !== null
      ? `store each value with ${session}.set('name', …), after ${session}.clear() if no other key is to stay`
      : `end the session with await ${session}.destroy()`
  return misused(`${session} cannot be assigned: ${instead}${orAsObject(session)}`)
}

/** For code that cannot be changed, since it is a package. Only requests of Koa have such a session object. */
function orAsObject(session: string): string {
  return session.startsWith('ctx.')
    ? '; for code that was written for koa-session or express-session mount session() of koa-typed-session/compat'
    : ''
}

/** `destroy(callback)`, as in express-session. */
export function callbackGiven(session: string, method: string): SessionError {
  const instead = `write await ${session}.${method}(), and what the callback does after it`
  return misused(`${session}.${method}() takes no callback: ${instead}${orAsObject(session)}`)
}

/** `regenerate(callback)`, as in express-session and koa-session. */
export function regenerateCallback(session: string): SessionError {
  const instead = `what the callback does can follow ${session}.regenerate() at once, or await ${session}.commit() where the new ID must be stored first`
  return misused(`${session}.regenerate() takes no callback: ${instead}${orAsObject(session)}`)
}

/** A change while `destroy()` or `claim()` is under way, which would be lost when that is done. */
export function notAwaited(session: string, call: string): SessionError {
  return misused(
    `a change was made while ${session}.${call} was under way and would be lost: write await ${session}.${call}`,
  )
}

/** A `claim` that took a value out of the session although nothing has waited for the value. */
export function unseenClaim(session: string, key: unknown, cause: unknown): SessionError {
  const call = `${session}.claim(${quote(key)})`
  const text = `${call} was not awaited, so its value was not seen: write await ${call}`
  return new SessionError('ERR_SESSION_STATE', text, cause === undefined ? {} : { cause })
}

/** A promise where a value belongs. Its own failure, if any, is not reported any more: this error takes its place. */
export function promised(session: string, key: unknown, value: PromiseLike<unknown>): SessionError {
  handled(value)
  const call = `${session}.set(${quote(key)}, await …)`
  return new SessionError(
    'ERR_SESSION_VALUE',
    `${renderPath(String(key), [])}: a promise cannot be stored: write ${call}`,
  )
}

/** A function given to `update` that is `async`, or returned a promise. */
export function asyncUpdate(session: string, key: unknown, value?: PromiseLike<unknown>): SessionError {
  handled(value)
  const text = `the function of ${session}.update() must not be async or return a promise, since it may run again: await what it needs before, and use the result in it`
  return new SessionError('ERR_SESSION_VALUE', `${renderPath(String(key), [])}: ${text}`)
}

/** What may be handed to `await`: a promise, or a query builder for instance. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== 'object' || value === null) return false
  // A getter named `then` is not run.
  return types.isPromise(value) || (!types.isProxy(value) && typeof thenOf(value) === 'function')
}

function thenOf(value: object): unknown {
  for (let at: object | null = value; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const own = Object.getOwnPropertyDescriptor(at, 'then')
    if (own !== undefined) return own.value
  }
  return undefined
}

function handled(value: unknown): void {
  if (types.isPromise(value)) value.catch(() => {})
}

/** A name from the program, as text of an error message. It may come from a request: `session[ctx.query.name]`. */
export function quote(name: unknown): string {
  if (typeof name !== 'string') return typeof name
  const short = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name
  return `'${short.replace(UNPRINTABLE, escapeCharacter)}'`
}

function escapeCharacter(character: string): string {
  return /['\\]/.test(character) ? `\\${character}` : `\\u{${character.codePointAt(0)?.toString(16)}}`
}

function misused(text: string): SessionError {
  return new SessionError('ERR_SESSION_STATE', text)
}

function namesOf(members: ReadonlyMap<PropertyKey, MemberKind>): string[] {
  return [...members.keys()].filter((member) => typeof member === 'string')
}

const warned = new Set<string>()
const MOST_WARNINGS = 100

/**
 * Reports a misuse where an exception could end the process: after the request, when an error listener of Koa reads the session.
 * Each sentence is reported once.
 */
export function warn(error: SessionError): void {
  if (warned.has(error.message) || warned.size === MOST_WARNINGS) return
  warned.add(error.message)
  process.emitWarning(error.message, { type: 'SessionWarning', code: error.code })
}

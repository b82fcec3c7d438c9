import { inspect } from 'node:util'
import { SessionError } from '../errors.ts'
import type { Values } from './values.ts'

/** The library whose `ctx.session` is stood in for. */
export type SessionShape = 'koa-session' | 'koa-generic-session' | 'express-session'

/** Called when the operation is over, with its error if it failed. */
export type SessionCallback = (error?: unknown) => void

/**
 * `ctx.session` as programs know it that were written for koa-session, koa-generic-session or express-session: an object whose
 * properties are the keys of the session. Stored keys win over the names below.
 *
 * Each method takes a callback or, without one, returns a promise (`express-session`: the session itself).
 */
export interface SessionObject {
  /** Whether the session did not exist before this request. */
  readonly isNew: boolean
  /** How many keys it holds. */
  readonly length: number
  /** Whether it holds a key. */
  readonly populated: boolean
  /** The session ID. */
  readonly externalKey: string | undefined
  /** How long the session and its cookie live after their last use, in ms; `'session'`: until the browser is closed. */
  maxAge: number | 'session' | undefined
  /**
   * Stores the changes now. It is an error if another request has ended the session.
   *
   * @throws SessionError `ERR_SESSION_STATE` with status 409 if it was ended; `ERR_SESSION_STORE` if the store failed
   */
  save(callback?: SessionCallback): unknown
  /** The same as {@link SessionObject.save}. */
  commit(callback?: SessionCallback): unknown
  /** The same as {@link SessionObject.save}, where the option `autoCommit` is off. */
  manuallyCommit(callback?: SessionCallback): unknown
  /** Gives the session another ID now. The data stays with `koa-session`; otherwise a new, empty session begins. */
  regenerate(callback?: SessionCallback): unknown
  /** Ends the session now. */
  destroy(callback?: SessionCallback): unknown
  /** Drops this request's changes, and reads what is stored. */
  reload(callback?: SessionCallback): unknown
  /** The keys and values that are stored. */
  toJSON(): Record<string, unknown>
  // oxlint-disable-next-line typescript/no-explicit-any -- as the libraries have it: programs read values with the type they expect
  [key: string]: any
}

/** What a session object asks of its request. */
export interface ObjectRequest {
  readonly shape: SessionShape
  readonly isNew: boolean
  readonly id: string
  maxAge: number | 'session' | undefined
  readonly cookie: object
  setCookie(cookie: unknown): void
  save(): Promise<void>
  regenerate(): Promise<void>
  destroy(): Promise<void>
  reload(): Promise<void>
  toJSON(): Record<string, unknown>
}

/** What stands under a name that is no key. */
type Member = (object: Target) => unknown

const EVERY_SHAPE: Readonly<Record<string, Member>> = {
  isNew: ({ request }) => request.isNew,
  length: ({ request }) => Object.keys(request.toJSON()).length,
  populated: ({ request }) => Object.keys(request.toJSON()).length > 0,
  externalKey: ({ request }) => request.id,
  maxAge: ({ request }) => request.maxAge,
  save: (object) => object.operation('save'),
  commit: (object) => object.operation('save'),
  manuallyCommit: (object) => object.operation('save'),
  regenerate: (object) => object.operation('regenerate'),
  destroy: (object) => object.operation('destroy'),
  reload: (object) => object.operation('reload'),
  toJSON:
    ({ request }) =>
    () =>
      request.toJSON(),
}

const cookie: Member = ({ request }) => request.cookie

const members: Readonly<Record<SessionShape, ReadonlyMap<string, Member>>> = {
  'koa-session': new Map(Object.entries(EVERY_SHAPE)),
  'koa-generic-session': new Map(Object.entries({ ...EVERY_SHAPE, cookie })),
  'express-session': new Map(
    Object.entries({
      ...EVERY_SHAPE,
      cookie,
      id: ({ request }) => request.id,
      touch: (object) => () => object.proxy,
      resetMaxAge: (object) => () => object.proxy,
    } satisfies Record<string, Member>),
  ),
}

/** A session object whose values are `values`. */
export function createSessionObject(request: ObjectRequest, values: Values): SessionObject {
  return new Target(request, values).proxy
}

/** The object was replaced by another one: from now on it holds a copy of its values, and nothing of it is stored. */
export function detach(object: SessionObject): void {
  const target = (object as { readonly [TARGET]?: Target })[TARGET] // as the handler answers
  target?.detach()
}

/** The property that leads from a session object to the object behind it. Only this file has the symbol. */
const TARGET = Symbol('target')

/** What is behind a session object. */
class Target {
  readonly request: ObjectRequest
  readonly proxy: SessionObject
  #values: Values

  /** One handler serves all objects. */
  static readonly #handler: ProxyHandler<Target> = {
    get(target, property) {
      if (property === TARGET) return target
      if (typeof property === 'symbol') return Reflect.get(target, property) as unknown
      const values = target.#values
      const value = values.get(property)
      if (value !== undefined) return value
      const member = members[target.request.shape].get(property)
      if (member !== undefined) return values.has(property) ? undefined : member(target)
      // What every object has. The fields of this class are not seen.
      return property in Object.prototype && !values.has(property)
        ? (Object.prototype as Readonly<Record<string, unknown>>)[property]
        : undefined
    },
    set(target, property, value) {
      if (typeof property === 'symbol') return Reflect.set(target, property, value)
      return target.#set(property, value)
    },
    has(target, property) {
      if (typeof property === 'symbol') return Reflect.has(target, property)
      return (
        target.#values.has(property) ||
        members[target.request.shape].has(property) ||
        property in Object.prototype
      )
    },
    deleteProperty(target, property) {
      if (typeof property === 'symbol') return Reflect.deleteProperty(target, property)
      target.#values.delete(property)
      return true
    },
    ownKeys(target) {
      return [...target.#values.keys()]
    },
    getOwnPropertyDescriptor(target, property) {
      if (typeof property === 'symbol' || !target.#values.has(property)) return undefined
      return { value: target.#values.get(property), writable: true, enumerable: true, configurable: true }
    },
    defineProperty(target, property, descriptor) {
      if (typeof property === 'symbol') return Reflect.defineProperty(target, property, descriptor)
      if (!('value' in descriptor)) throw accessorDefined(property)
      return target.#set(property, descriptor.value)
    },
    getPrototypeOf() {
      return Object.prototype
    },
    setPrototypeOf() {
      return false
    },
    preventExtensions() {
      return false
    },
  }

  constructor(request: ObjectRequest, values: Values) {
    this.request = request
    this.#values = values
    this.proxy = new Proxy<object>(this, Target.#handler) as SessionObject // as the handler makes it
  }

  detach(): void {
    this.#values = new Map(Array.from(this.#values.keys(), (key) => [key, this.#values.get(key)]))
  }

  /** A method with a callback or a promise. */
  operation(name: 'save' | 'regenerate' | 'destroy' | 'reload'): (callback?: unknown) => unknown {
    return (callback) => {
      const done = this.request[name]()
      if (typeof callback === 'function') {
        const answer = callback as SessionCallback // as just checked
        done.then(
          () => answer(),
          (error: unknown) => answer(error),
        )
      } else {
        // The commit at the end of the request stores what this could not, or fails itself.
        done.catch(() => {})
        if (this.request.shape !== 'express-session') return done
      }
      return this.request.shape === 'express-session' ? this.proxy : undefined
    }
  }

  // What `console.log` shows: as with koa-session the keys and values. Node calls it on the proxy.
  [inspect.custom](): Record<string, unknown> {
    const { [TARGET]: target = this } = this as { readonly [TARGET]?: Target }
    return target.request.toJSON()
  }

  #set(property: string, value: unknown): true {
    const { request } = this
    if (property === 'maxAge') request.maxAge = value as number | 'session' | undefined // anything else is refused there
    else if (property === 'cookie' && request.shape !== 'koa-session') request.setCookie(value)
    else if (property === 'id' && request.shape === 'express-session') throw idAssigned()
    else this.#values.set(property, value)
    return true
  }
}

function accessorDefined(property: string): SessionError {
  const text = `a session holds values, so a getter cannot be defined on it: assign the value of ${property}`
  return new SessionError('ERR_SESSION_STATE', text)
}

function idAssigned(): SessionError {
  const text = 'req.session.id is the session ID and cannot be assigned: use another key, or regenerate()'
  return new SessionError('ERR_SESSION_STATE', text)
}

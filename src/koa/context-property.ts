import { SessionError } from '../errors.ts'
import { assignedSession, ONE_COPY } from '../session/misuse.ts'

/** The session of one request, as the accessor of `ctx.session` and an inner session middleware see it. */
export interface ContextSession {
  /** The manager whose session it is. */
  readonly manager: object
  readonly cookieName: string | undefined
  /** Returns the session, which it begins if there is none, or throws if it cannot be used. After the request it does not throw. */
  use(): unknown
  /** What `ctx.session = value` does. Default: it throws. */
  assign?(value: unknown): void
}

/** The part of a Koa context that is needed here; `app.context` is the prototype of all contexts of the application. */
export interface KoaContext {
  readonly app: { readonly context: object }
}

/** The properties that have an accessor already, with their symbols, for each `app.context`. */
const accessors = new WeakMap<object, Map<string, symbol>>()

/** One property of Koa contexts that holds a session. */
export class ContextProperty {
  /** The session as the program writes it. */
  readonly expression: string
  readonly #property: string
  readonly #symbol: symbol

  constructor(property: string) {
    this.expression = `ctx.${property}`
    this.#property = property
    this.#symbol = symbolOf(property)
  }

  /** The session that an outer session middleware has set, if any. */
  of(ctx: object): ContextSession | undefined {
    return sessionsOf(ctx)[this.#symbol]
  }

  /** Another session of this request that travels in the cookie `name`, in whichever property. */
  static withCookie(ctx: KoaContext, name: string, manager: object): ContextSession | undefined {
    const symbols = accessors.get(ctx.app.context)
    if (symbols === undefined) return undefined
    for (const symbol of symbols.values()) {
      const mounted = sessionsOf(ctx)[symbol]
      if (mounted?.cookieName === name && mounted.manager !== manager) return mounted
    }
    return undefined
  }

  /** Makes `ctx[property]` return the session. */
  set(ctx: KoaContext, contextSession: ContextSession): void {
    defineAccessor(ctx.app.context, this.#property)
    sessionsOf(ctx)[this.#symbol] = contextSession
  }

  /** Makes `ctx[property]` return what it was before {@link set}, or `undefined`. */
  restore(ctx: object, outer: ContextSession | undefined): void {
    sessionsOf(ctx)[this.#symbol] = outer
  }
}

function sessionsOf(ctx: object): Record<symbol, ContextSession | undefined> {
  // Only this file writes properties with our symbols.
  return ctx as Record<symbol, ContextSession | undefined>
}

function symbolOf(property: string): symbol {
  return Symbol.for(`koa-typed-session ${property}`)
}

/** Defines the accessor once per application, on the prototype of its contexts, so that a request does not pay for it. */
function defineAccessor(context: object, property: string): void {
  let properties = accessors.get(context)
  if (properties === undefined) accessors.set(context, (properties = new Map()))
  if (properties.has(property)) return
  const symbol = symbolOf(property)
  if (property in context) throw taken(property, symbol in context)
  Object.defineProperty(context, symbol, { value: undefined, writable: true }) // for other copies of the package
  Object.defineProperty(context, property, {
    configurable: true,
    // Where no session is mounted it is `undefined`, since an exception in an error listener of Koa would end the process.
    get(this: object): unknown {
      return sessionsOf(this)[symbol]?.use()
    },
    set(this: object, value: unknown): void {
      const contextSession = sessionsOf(this)[symbol]
      if (contextSession?.assign === undefined) throw assignedSession(`ctx.${property}`, value)
      contextSession.assign(value)
    },
  })
  properties.set(property, symbol)
}

function taken(property: string, isByAnotherCopy: boolean): SessionError {
  return new SessionError(
    'ERR_SESSION_OPTIONS',
    isByAnotherCopy
      ? `session: property: ctx.${property} is already taken by another copy of koa-typed-session: ${ONE_COPY}`
      : `session: property: ctx.${property} is already taken by Koa or another middleware; choose another one`,
  )
}

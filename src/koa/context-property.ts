import { SessionError } from '../errors.ts'

/** One session middleware's place on one request's context. */
export interface ContextSession {
  /** The manager whose session it holds. */
  readonly owner: object
  readonly cookieName: string | undefined
  /** The session, opened or begun now; or a throw that says why there is none. */
  readonly use: () => unknown
}

/** A Koa context, as far as its session properties are concerned: its prototype is the application's own `app.context`. */
export interface KoaContext {
  readonly app: { readonly context: object }
}

/** The properties that have their accessor, per application. */
const accessors = new WeakMap<object, Set<string>>()

/** The place of one property on every context. */
export class ContextProperty {
  readonly #property: string
  readonly #symbol: symbol

  constructor(property: string) {
    this.#property = property
    this.#symbol = symbolOf(property)
  }

  /** The session that an enclosing session middleware put there, if any. */
  of(ctx: object): ContextSession | undefined {
    return sessionsOf(ctx)[this.#symbol]
  }

  /** Puts a session where `ctx[property]` finds it. */
  set(ctx: KoaContext, contextSession: ContextSession): void {
    defineAccessor(ctx.app.context, this.#property)
    sessionsOf(ctx)[this.#symbol] = contextSession
  }
}

function sessionsOf(ctx: object): Record<symbol, ContextSession | undefined> {
  // Our symbols are used by nobody else.
  return ctx as Record<symbol, ContextSession | undefined>
}

function symbolOf(property: string): symbol {
  return Symbol.for(`koa-typed-session ${property}`)
}

/** One accessor per application and property, on the prototype of its contexts: it costs a request nothing. */
function defineAccessor(context: object, property: string): void {
  let properties = accessors.get(context)
  if (properties === undefined) accessors.set(context, (properties = new Set()))
  if (properties.has(property)) return
  if (property in context) {
    throw new SessionError(
      'ERR_SESSION_OPTIONS',
      `session: property: ctx.${property} is already taken by Koa or another middleware; choose another one`,
    )
  }
  const symbol = symbolOf(property)
  Object.defineProperty(context, property, {
    configurable: true,
    get(this: object): unknown {
      const contextSession = sessionsOf(this)[symbol]
      if (contextSession !== undefined) return contextSession.use()
      throw new SessionError(
        'ERR_SESSION_STATE',
        `ctx.${property} is used where no session() middleware has run: put app.use(session(…)) before the routes`,
      )
    },
  })
  properties.add(property)
}

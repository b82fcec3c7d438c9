import { ContextProperty, type ContextSession, type KoaContext } from '../koa/context-property.ts'
import type { RequestObject } from './request-object.ts'
import type { SessionShape } from './session-object.ts'

/** A property of the context, as it is read from the session object of the request. */
type Reading = (object: RequestObject) => unknown

/** What each library adds to the context besides `ctx.session`. */
const readings: Readonly<Record<SessionShape, Readonly<Record<string, Reading>>>> = {
  'koa-session': { sessionOptions: (object) => object.options },
  'koa-generic-session': {
    sessionId: (object) => object.id,
    regenerateSession: (object) => () => object.regenerate(),
    saveSession: (object) => () => object.save(),
  },
  'express-session': {},
}

/** The properties of Koa contexts beside `ctx.session`. */
export class ContextObjects {
  readonly #properties: readonly (readonly [property: ContextProperty, reading: Reading])[]

  constructor(shape: SessionShape) {
    this.#properties = Object.entries(readings[shape]).map(
      ([name, reading]) => [new ContextProperty(name), reading] as const,
    )
  }

  set(ctx: KoaContext, object: RequestObject): void {
    for (const [property, reading] of this.#properties) {
      const value: ContextSession = {
        manager: object.manager,
        cookieName: undefined,
        use: () => reading(object),
      }
      property.set(ctx, value)
    }
  }
}

/** What express-session adds to the request. */
export function defineRequestProperties(request: object, object: RequestObject): void {
  Object.defineProperties(request, {
    session: {
      configurable: true,
      enumerable: true,
      get: () => object.use(),
      set: (value: unknown) => {
        object.assign(value)
      },
    },
    sessionID: { configurable: true, enumerable: true, get: () => object.id },
  })
}

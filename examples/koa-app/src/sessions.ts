import {
  session,
  type Session,
  type SessionContext,
  type SessionEvent,
  type SessionMiddleware,
  type ValuesOf,
} from 'koa-typed-session'
import { z } from 'zod'
import { Cart } from './cart.ts'
import { Order } from './order.ts'

/** The keys of a session and their types. It types `ctx.session`; `set` throws for a value that does not fit. */
export const schema = {
  /** How often the user has seen the front page. */
  asta: z.int(),
  /** The name of the user who is logged in. */
  user: z.string(),
  loggedInAt: z.date(),
  cart: z.instanceof(Cart),
  orders: z.array(z.instanceof(Order)),
  /** Where orders are sent to. */
  address: z.string().max(200),
  /** A message that the next page shows once. */
  flash: z.string(),
  /** The secret that signs the forms of this session. */
  csrf: z.string(),
  /** The token with which one order can be placed, once. */
  checkout: z.string(),
}

/** The keys whose values are not shown on any page. */
export const secrets: ReadonlySet<SessionKey> = new Set(['csrf', 'checkout'])

export type SessionKey = keyof typeof schema

/** What the middleware adds to Koa's context. */
export type ShopExtras = SessionContext<typeof schema>
export type ShopSession = Session<ValuesOf<typeof schema>>
export type ShopSessions = SessionMiddleware<typeof schema>
export type ShopManager = ShopSessions['manager']

/** Whether the store knows which sessions a user has. A store that keeps them in cookies alone does not. */
export function keepsOwners({ traits }: ShopManager): boolean {
  return traits.revocable
}

/** Creates the session middleware, with the provider that the environment names. */
export function createSessions(env: NodeJS.ProcessEnv): ShopSessions {
  return session({
    schema,
    provider: env['SESSION_PROVIDER'] ?? 'memory',
    providerConfig: env['SESSION_PROVIDER_CONFIG'] ?? '',
    ...(env['SESSION_DEBUG'] === '1' ? { onEvent: logEvent } : {}),
  })
}

/** Logs one line per event. Events contain no IDs and no values, so all of it can be logged. */
function logEvent({ type, ...details }: SessionEvent): void {
  const words = Object.entries(details).map(
    ([name, value]) => `${name}=${value instanceof Error ? value.message : String(value)}`,
  )
  console.log(['session', type, ...words].join(' '))
}

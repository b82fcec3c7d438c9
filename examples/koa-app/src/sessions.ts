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

/** Everything that the shop keeps in a session. It types `ctx.session`, and a value that does not fit is refused. */
export const schema = {
  /** How often the visitor has seen the front page. */
  asta: z.int(),
  /** The name of whoever is logged in. */
  user: z.string(),
  loggedInAt: z.date(),
  cart: z.instanceof(Cart),
  orders: z.array(z.instanceof(Order)),
  /** A sentence to be shown once, on the next page. */
  flash: z.string(),
  /** What this visitor's forms are signed with. */
  csrf: z.string(),
  /** The token that lets one order be placed, once. */
  checkout: z.string(),
}

/** The keys whose values are nobody's business, not even the visitor's. */
export const secrets: ReadonlySet<SessionKey> = new Set(['csrf', 'checkout'])

export type SessionKey = keyof typeof schema

/** What the middleware adds to Koa's context. */
export type ShopExtras = SessionContext<typeof schema>
export type ShopSession = Session<ValuesOf<typeof schema>>
export type ShopSessions = SessionMiddleware<typeof schema>

/** The shop's sessions, on the engine that the environment names. */
export function createSessions(env: NodeJS.ProcessEnv): ShopSessions {
  return session({
    schema,
    provider: env['SESSION_PROVIDER'] ?? 'memory',
    providerConfig: env['SESSION_PROVIDER_CONFIG'] ?? '',
    ...(env['SESSION_DEBUG'] === '1' ? { onEvent: logEvent } : {}),
  })
}

/** One line per event. Events hold counts and durations, so there is nothing to hide in them. */
function logEvent({ type, ...details }: SessionEvent): void {
  const words = Object.entries(details).map(
    ([name, value]) => `${name}=${value instanceof Error ? value.message : String(value)}`,
  )
  console.log(['session', type, ...words].join(' '))
}

import type { Next, ParameterizedContext } from 'koa'

const POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/** Sets security headers on every response: no scripts, no framing, no caching of a user's pages. */
export async function securityHeaders(ctx: ParameterizedContext, next: Next): Promise<void> {
  ctx.set('Content-Security-Policy', POLICY)
  ctx.set('X-Content-Type-Options', 'nosniff')
  ctx.set('Referrer-Policy', 'same-origin')
  ctx.set('Cache-Control', 'no-store')
  await next()
}

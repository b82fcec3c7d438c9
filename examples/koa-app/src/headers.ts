import type { Next, ParameterizedContext } from 'koa'

const POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/** What every answer tells the browser: run no script, be framed by nobody, and keep no copy of a visitor's page. */
export async function securityHeaders(ctx: ParameterizedContext, next: Next): Promise<void> {
  ctx.set('Content-Security-Policy', POLICY)
  ctx.set('X-Content-Type-Options', 'nosniff')
  ctx.set('Referrer-Policy', 'same-origin')
  ctx.set('Cache-Control', 'no-store')
  await next()
}

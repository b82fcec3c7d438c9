import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Next, ParameterizedContext, DefaultState } from 'koa'
import { field } from './form.ts'
import { html, type Html } from './html.ts'
import type { ShopExtras, ShopSession } from './sessions.ts'

/**
 * A hidden field that proves that a form came from a page of ours, shown to this very visitor. The session holds a
 * secret; the field holds a fresh salt, and the secret's signature of it. So the secret is on no page, and no two pages
 * hold the same text, from which a compressed response could betray it.
 */
export function csrfField(session: ShopSession): Html {
  const secret = session.get('csrf') ?? renewCsrf(session)
  const salt = randomBytes(16).toString('base64url')
  return html`<input type="hidden" name="csrf" value="${salt}.${sign(secret, salt)}" />`
}

/** Makes all forms that are still open worthless: at login, since they were made for somebody with fewer rights. */
export function renewCsrf(session: ShopSession): string {
  const secret = randomBytes(32).toString('base64url')
  session.set('csrf', secret)
  return secret
}

/** Lets no form pass that does not hold a valid {@link csrfField}. */
export async function checkCsrf(
  ctx: ParameterizedContext<DefaultState, ShopExtras>,
  next: Next,
): Promise<void> {
  const changes = ctx.method !== 'GET' && ctx.method !== 'HEAD' && ctx.method !== 'OPTIONS'
  if (changes && !isSigned(field(ctx, 'csrf'), ctx.session.get('csrf'))) {
    ctx.throw(403, 'The form is from an earlier visit, or did not come from this shop.')
  }
  await next()
}

function isSigned(token: string, secret: string | undefined): boolean {
  if (secret === undefined) return false
  const [salt = '', signature = ''] = token.split('.', 2)
  const given = Buffer.from(signature)
  const expected = Buffer.from(sign(secret, salt))
  return given.length === expected.length && timingSafeEqual(given, expected)
}

function sign(secret: string, salt: string): string {
  return createHmac('sha256', secret).update(salt).digest('base64url')
}

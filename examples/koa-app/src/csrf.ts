import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Next, ParameterizedContext, DefaultState } from 'koa'
import { field } from './form.ts'
import { html, type Html } from './html.ts'
import type { ShopExtras, ShopSession } from './sessions.ts'

/**
 * A hidden field which proves that a form was created by the shop for this session. The session holds a secret; the field
 * holds a random salt and its signature with the secret. The secret itself is on no page, and the field differs on every
 * page, so the size of compressed responses does not reveal it (BREACH).
 */
export function csrfField(session: ShopSession): Html {
  const secret = session.get('csrf') ?? renewCsrf(session)
  const salt = randomBytes(16).toString('base64url')
  return html`<input type="hidden" name="csrf" value="${salt}.${sign(secret, salt)}" />`
}

/** Invalidates all forms that are open; called at login, because the user's rights change then. */
export function renewCsrf(session: ShopSession): string {
  const secret = randomBytes(32).toString('base64url')
  session.set('csrf', secret)
  return secret
}

/** Rejects forms without a valid {@link csrfField} with status 403. */
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

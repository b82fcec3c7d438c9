import type { Middleware } from 'koa'
import { SessionError } from '../errors.ts'
import { isOfAnotherCopy, notASession } from '../session/misuse.ts'
import { Session } from '../session/session.ts'

/**
 * A guard for routes that do something dangerous: the owner of `ctx.session` must have proven who it is in the last `ms`
 * milliseconds, by `signIn` or `confirm`.
 *
 * Otherwise the route is not run, and the response is JSON: 401 `{ "error": "login_required" }` where the session belongs to no owner, 403
 * `{ "error": "insufficient_user_authentication", "max_age": 300, "method": "otp" }` (RFC 9470's name; in seconds) where its proof is too old.
 *
 * ```ts
 * router.post('/address', requireFresh(300_000), changeAddress)
 * ```
 *
 * @param ms how old the proof may be, in ms
 * @param method by which the owner must have proven it, such as `'otp'`. Default: any
 * @throws SessionError `ERR_SESSION_OPTIONS` if `ms` is no number of ms
 */
export function requireFresh(ms: number, method?: string): Middleware {
  if (!Number.isSafeInteger(ms) || ms <= 0)
    throw new SessionError('ERR_SESSION_OPTIONS', 'requireFresh: expected a whole number of ms above 0')
  return async function requireFreshProof(ctx, next): Promise<void> {
    const given: readonly unknown[] = [ctx['session'], ctx['typedSession']]
    const session = given.find((value) => value instanceof Session)
    if (session === undefined && given.some(isOfAnotherCopy)) throw notASession(given.find(isOfAnotherCopy))
    if (session === undefined)
      throw new SessionError(
        'ERR_SESSION_STATE',
        'requireFresh: there is no ctx.session; mount session() first',
      )
    if (session.owner === undefined) {
      ctx.status = 401
      ctx.body = { error: 'login_required' }
    } else if (session.isFresh(ms, method)) await next()
    else {
      ctx.status = 403
      ctx.body = {
        error: 'insufficient_user_authentication',
        max_age: Math.floor(ms / 1_000),
        ...(method !== undefined && { method }),
      }
    }
  }
}

/** What ends a sentence about a misuse of `ctx.session`, where the code may be that of a package. */
export const AS_OBJECT =
  '; for code that was written for koa-session or express-session mount session() of koa-typed-session/compat'

/** The sentence without that end. */
export function withoutHint(message: string): string {
  return message.replace(AS_OBJECT, '')
}

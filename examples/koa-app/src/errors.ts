import type { Next, ParameterizedContext } from 'koa'
import { html } from './html.ts'
import { layout } from './layout.ts'

const titles = new Map([
  [403, 'That form is not valid any more'],
  [404, 'There is nothing here'],
  [405, 'That cannot be done here'],
  [413, 'That is too much'],
  [422, 'That does not fit'],
  [503, 'The shop is closed for a moment'],
])

/**
 * Responds to errors with a page. Mounted before the session, so that it also handles a commit that fails; it does not use
 * the session, which may be the cause.
 */
export async function errorPages(ctx: ParameterizedContext, next: Next): Promise<void> {
  try {
    await next()
    if (ctx.status >= 400 && !ctx.body) showError(ctx, ctx.status, '')
  } catch (error) {
    const { status, text } = explain(error)
    if (status >= 500) ctx.app.emit('error', error, ctx)
    showError(ctx, status, text)
  }
}

/** The message of an error is shown to the user only if `expose` is true. */
function explain(error: unknown): { status: number; text: string } {
  if (!(error instanceof Error)) return { status: 500, text: '' }
  const status = 'status' in error && typeof error.status === 'number' ? error.status : 500
  return { status, text: 'expose' in error && error.expose === true ? error.message : '' }
}

function showError(ctx: ParameterizedContext, status: number, text: string): void {
  ctx.status = status
  ctx.type = 'html'
  if (status === 503) ctx.set('Retry-After', '5')
  ctx.body = layout(
    titles.get(status) ?? (status < 500 ? 'That was not understood' : 'Something went wrong'),
    html`
      ${text !== '' && html`<p>${text}</p>`}
      ${status >= 500 && html`<p>It is not your fault, and nothing was changed. Please try again in a while.</p>`}
      ${status === 404 && text === '' && html`<p>Perhaps the address has a slip of the pen in it.</p>`}
      ${status === 403 && html`<p>Go back, reload the page, and send it again.</p>`}
      <p><a class="button" href="/">Back to the shop</a></p>
    `,
  ).text
}

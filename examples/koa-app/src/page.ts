import type { DefaultState, ParameterizedContext } from 'koa'
import { csrfField } from './csrf.ts'
import { html, type Content, type Html } from './html.ts'
import { layout } from './layout.ts'
import type { ShopExtras, ShopSession } from './sessions.ts'

/** The context of the shop's handlers: Koa's context with a typed session. */
export type ShopContext = ParameterizedContext<DefaultState, ShopExtras>

export type ShopHandler = (ctx: ShopContext) => void | Promise<void>

/** Responds with a page of the shop, with its navigation and the flash message, if there is one. */
export function showPage(ctx: ShopContext, title: string, content: Content): void {
  ctx.type = 'html'
  ctx.body = layout(title, content, navigation(ctx), ctx.session.take('flash')).text
}

/** Redirects to another page by GET, so that a reload does not resubmit the form; that page shows `flash` once. */
export function goTo(ctx: ShopContext, path: string, flash?: string): void {
  if (flash !== undefined) ctx.session.set('flash', flash)
  ctx.status = 303
  ctx.redirect(path)
}

function navigation({ session, path }: ShopContext): Html {
  const count = session.get('cart')?.count ?? 0
  const link = (to: string, text: string): Html =>
    html`<li><a href="${to}" ${path === to && html` aria-current="page"`}>${text}</a></li>`
  return html`
    <nav aria-label="Main">
      <ul>
        ${link('/', 'Shop')} ${link('/cart', `Cart (${count})`)}
        ${session.has('orders') && link('/orders', 'Orders')} ${link('/session', 'Your session')}
        ${session.has('user') ? link('/account', 'Account') : link('/login', 'Log in')}
      </ul>
    </nav>
    ${whoIsHere(session)}
  `
}

function whoIsHere(session: ShopSession): Html | undefined {
  const user = session.get('user')
  if (user === undefined) return undefined
  return html`
    <form class="who" method="post" action="/logout">
      ${csrfField(session)}
      <span>Hello, <strong>${user}</strong></span>
      <button class="quiet">Log out</button>
    </form>
  `
}

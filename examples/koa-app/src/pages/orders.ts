import { field } from '../form.ts'
import { html, type Html } from '../html.ts'
import { euros } from '../money.ts'
import { Order } from '../order.ts'
import { goTo, showPage, type ShopContext } from '../page.ts'
import { timeTag } from '../time.ts'

/** How many orders a session keeps; a session is not an archive. */
const KEPT = 10

/** Places an order for the cart, once, however often the button is pressed. */
export async function placeOrder(ctx: ShopContext): Promise<void> {
  // Exactly one of the concurrent requests gets the token; the others show the order that it places.
  const token = await ctx.session.claim('checkout')
  if (token === undefined) return goTo(ctx, '/orders')
  const cart = ctx.session.get('cart')
  const unchanged = token === field(ctx, 'checkout') && String(cart?.total) === field(ctx, 'total')
  if (cart === undefined || cart.lines.length === 0 || !unchanged) {
    return goTo(ctx, '/cart', 'Your cart has changed in another window. Please look at it again.')
  }
  const { lines } = cart
  const now = new Date()
  ctx.session.update('orders', (orders = []) => {
    const number = (orders.at(-1)?.number ?? 0) + 1
    return [...orders, new Order(number, lines, now)].slice(-KEPT)
  })
  ctx.session.update('cart', (current) => current?.takeOut(lines))
  goTo(ctx, '/orders', 'Thank you. Your order is placed.')
}

/** Shows the orders of this session, newest first. */
export function showOrders(ctx: ShopContext): void {
  const orders = ctx.session.get('orders') ?? []
  showPage(
    ctx,
    'Your orders',
    orders.length === 0
      ? html`<p>There are none yet. <a href="/">Have a look around.</a></p>`
      : orders.toReversed().map(section),
  )
}

function section({ number, lines, placedAt, total }: Order): Html {
  return html`
    <section class="order" aria-labelledby="order-${number}">
      <h2 id="order-${number}">Order ${number}</h2>
      <p>${timeTag(placedAt)}</p>
      <ul>
        ${lines.map((line) => html`<li>${line.quantity} × ${line.title}, ${euros(line.total)}</li>`)}
      </ul>
      <p class="total">Total ${euros(total)}</p>
    </section>
  `
}

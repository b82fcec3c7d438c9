import { randomUUID } from 'node:crypto'
import type { RouterContext } from '@koa/router'
import type { DefaultState } from 'koa'
import { Cart, MOST_OF_ONE, type CartLine } from '../cart.ts'
import { csrfField } from '../csrf.ts'
import { field } from '../form.ts'
import { html, type Html } from '../html.ts'
import { euros } from '../money.ts'
import { goTo, showPage, type ShopContext } from '../page.ts'
import { findProduct } from '../product.ts'
import type { ShopExtras } from '../sessions.ts'
import { timeTag } from '../time.ts'

type CartContext = RouterContext<DefaultState, ShopExtras>

/** Adds one piece of a product to the cart. */
export function addToCart(ctx: CartContext): void {
  const product = findProduct(ctx.params['sku'])
  if (product === undefined) return ctx.throw(404, 'We do not sell that.')
  const now = new Date()
  // No concurrent change is lost: on a conflict the function runs again, on the newer cart.
  ctx.session.update('cart', (cart = new Cart()) => {
    cart.add(product, now)
    return cart
  })
  goTo(ctx, '/', `${product.title}: in your cart.`)
}

/** Sets the quantity of a product, or removes it. */
export function changeCart(ctx: CartContext): void {
  const product = findProduct(ctx.params['sku'])
  if (product === undefined) return ctx.throw(404, 'We do not sell that.')
  const cart = ctx.session.get('cart')
  const text = field(ctx, 'action') === 'remove' ? '0' : field(ctx, 'quantity')
  const quantity = /^\d{1,2}$/.test(text) ? Number(text) : undefined
  if (quantity === undefined) return ctx.throw(422, `A quantity is a whole number from 0 to ${MOST_OF_ONE}.`)
  // A change in place is committed like `set`. Concurrent changes of two tabs are merged by `mergeCarts`.
  cart?.setQuantity(product.sku, quantity)
  goTo(ctx, '/cart', quantity === 0 ? `${product.title}: taken out.` : `${product.title}: now ${quantity}.`)
}

/** Shows the cart and the form that orders it. */
export function showCart(ctx: ShopContext): void {
  const { session } = ctx
  const cart = session.get('cart')
  if (cart === undefined || cart.lines.length === 0) {
    return showPage(ctx, 'Your cart', html`<p>It is empty. <a href="/">Have a look around.</a></p>`)
  }
  const csrf = csrfField(session)
  const fresh = randomUUID()
  const checkout = session.update('checkout', (token = fresh) => token)
  showPage(
    ctx,
    'Your cart',
    html`
      <table>
        <caption>
          ${cart.count === 1 ? 'One thing' : `${cart.count} things`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Product</th>
            <th scope="col">Added</th>
            <th scope="col" class="number">Price</th>
            <th scope="col">Quantity</th>
            <th scope="col" class="number">Sum</th>
          </tr>
        </thead>
        <tbody>
          ${cart.lines.map((line) => row(line, csrf))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row" colspan="4">Total</th>
            <td class="number total" data-label="Total">${euros(cart.total)}</td>
          </tr>
        </tfoot>
      </table>
      <form method="post" action="/orders">
        ${csrf}
        <input type="hidden" name="checkout" value="${checkout}" />
        <input type="hidden" name="total" value="${cart.total}" />
        <button class="big">Order for ${euros(cart.total)}</button>
      </form>
    `,
  )
}

function row(line: CartLine, csrf: Html): Html {
  const input = `quantity-${line.sku}`
  return html`
    <tr>
      <th scope="row" id="${line.sku}">${line.title}</th>
      <td data-label="Added">${timeTag(line.addedAt)}</td>
      <td class="number" data-label="Price">${euros(line.price)}</td>
      <td data-label="Quantity">
        <form class="quantity" method="post" action="/cart/${line.sku}/change">
          ${csrf}
          <label class="unseen" for="${input}">Quantity of ${line.title}</label>
          <input
            id="${input}"
            name="quantity"
            type="number"
            min="0"
            max="${MOST_OF_ONE}"
            value="${line.quantity}"
            required
          />
          <button class="quiet" aria-describedby="${line.sku}">Update</button>
          <button class="quiet" name="action" value="remove" formnovalidate aria-describedby="${line.sku}">
            Remove
          </button>
        </form>
      </td>
      <td class="number" data-label="Sum">${euros(line.total)}</td>
    </tr>
  `
}

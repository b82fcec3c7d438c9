import { csrfField } from '../csrf.ts'
import { html, type Html } from '../html.ts'
import { euros } from '../money.ts'
import { showPage, type ShopContext } from '../page.ts'
import { products, type Product } from '../product.ts'

/** Shows the front page: how often the user has seen it, and all products. */
export function showHome(ctx: ShopContext): void {
  const visits = ctx.session.update('asta', (count = 0) => count + 1) ?? 1
  const csrf = csrfField(ctx.session)
  showPage(
    ctx,
    'Small things, well made',
    html`
      <p class="visits">
        ${visits === 1 ? 'Welcome. This is your first visit.' : html`Welcome back. This is visit number <strong>${visits}</strong>.`}
      </p>
      <ul class="products">
        ${products.map((product) => card(product, csrf))}
      </ul>
    `,
  )
}

function card({ sku, title, about, price, picture }: Product, csrf: Html): Html {
  return html`
    <li class="card">
      <svg class="picture" viewBox="-6 -4 36 32" aria-hidden="true"><path d="${picture}" /></svg>
      <h2 id="${sku}">${title}</h2>
      <p>${about}</p>
      <form method="post" action="/cart/${sku}/add">
        ${csrf}
        <span class="price">${euros(price)}</span>
        <button aria-describedby="${sku}">Add to cart</button>
      </form>
    </li>
  `
}

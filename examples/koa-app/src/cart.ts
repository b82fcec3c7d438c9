import { registerType } from 'koa-typed-session'
import { z } from 'zod'
import type { Product } from './product.ts'

/** The largest quantity of one product in a cart. */
export const MOST_OF_ONE = 99

/** One line of a cart or an order. Immutable: a new quantity is a new line. */
export class CartLine {
  readonly sku: string
  readonly title: string
  /** The price of one piece, in cents, when the line was created. */
  readonly price: bigint
  readonly quantity: number
  readonly addedAt: Date

  constructor(
    { sku, title, price }: Pick<Product, 'sku' | 'title' | 'price'>,
    quantity: number,
    addedAt: Date,
  ) {
    this.sku = sku
    this.title = title
    this.price = price
    this.quantity = quantity
    this.addedAt = addedAt
  }

  get total(): bigint {
    return this.price * BigInt(this.quantity)
  }

  times(quantity: number): CartLine {
    return new CartLine(this, quantity, this.addedAt)
  }
}

/** The products that a user intends to order. */
export class Cart {
  lines: readonly CartLine[] = []

  get count(): number {
    return this.lines.reduce((sum, line) => sum + line.quantity, 0)
  }

  get total(): bigint {
    return this.lines.reduce((sum, line) => sum + line.total, 0n)
  }

  quantityOf(sku: string): number {
    return this.lines.find((line) => line.sku === sku)?.quantity ?? 0
  }

  add(product: Product, addedAt: Date): void {
    const quantity = this.quantityOf(product.sku)
    if (quantity === 0) this.lines = [...this.lines, new CartLine(product, 1, addedAt)]
    else this.setQuantity(product.sku, Math.min(quantity + 1, MOST_OF_ONE))
  }

  /** Sets the quantity of a product in the cart; 0 removes its line. */
  setQuantity(sku: string, quantity: number): void {
    if (quantity <= 0) this.remove(sku)
    else this.lines = this.lines.map((line) => (line.sku === sku ? line.times(quantity) : line))
  }

  remove(sku: string): void {
    this.lines = this.lines.filter((line) => line.sku !== sku)
  }

  /** Subtracts the ordered quantities. Products that another tab added meanwhile stay. */
  takeOut(ordered: readonly CartLine[]): void {
    for (const { sku, quantity } of ordered) this.setQuantity(sku, this.quantityOf(sku) - quantity)
  }
}

/**
 * Merges two carts that concurrent requests changed. A line that only one of them changed keeps that change; where both
 * changed a line, `mine` wins.
 */
export function mergeCarts(base: Cart | undefined, mine: Cart, theirs: Cart): Cart {
  const merged = new Cart()
  const lines = new Map([...mine.lines, ...theirs.lines].map((line) => [line.sku, line]))
  for (const [sku, line] of lines) {
    const changed = mine.quantityOf(sku) !== (base?.quantityOf(sku) ?? 0)
    const quantity = (changed ? mine : theirs).quantityOf(sku)
    if (quantity > 0) merged.lines = [...merged.lines, line.times(quantity)]
  }
  return merged
}

// Runs once, at startup. From then on sessions can store carts, and `get` returns them as instances of Cart.
registerType(CartLine, {
  schema: z.object({
    sku: z.string(),
    title: z.string(),
    price: z.bigint().positive(),
    quantity: z.int().min(1).max(MOST_OF_ONE),
    addedAt: z.date(),
  }),
})
registerType(Cart, { schema: z.object({ lines: z.array(z.instanceof(CartLine)) }), merge: mergeCarts })

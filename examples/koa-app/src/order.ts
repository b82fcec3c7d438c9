import { registerType } from 'koa-typed-session'
import { z } from 'zod'
import { CartLine } from './cart.ts'

/** A placed order. */
export class Order {
  readonly number: number
  readonly lines: readonly CartLine[]
  readonly placedAt: Date

  constructor(number: number, lines: readonly CartLine[], placedAt: Date) {
    this.number = number
    this.lines = lines
    this.placedAt = placedAt
  }

  get total(): bigint {
    return this.lines.reduce((sum, line) => sum + line.total, 0n)
  }
}

registerType(Order, {
  schema: z.object({
    number: z.int().positive(),
    lines: z.array(z.instanceof(CartLine)),
    placedAt: z.date(),
  }),
})

import test from 'ava'
import { openShop } from '../examples/shop.ts'
import { Visitor } from '../examples/visitor.ts'
import { engines } from './engine.ts'

for (const [provider, start] of Object.entries(engines)) {
  test.serial(
    `${provider}: the shop is killed with a full cart, starts again, and the cart is a Cart`,
    async (t) => {
      const { config, stop } = await start()
      t.teardown(stop)
      const env = { SESSION_PROVIDER: provider, SESSION_PROVIDER_CONFIG: config }
      const first = await openShop(t, { env })
      const ada = new Visitor(first.url)
      await ada.fill('/', '/cart/mug/add')
      await ada.fill('/', '/cart/mug/add')
      await ada.fill('/', '/cart/candle/add')
      const { html: before } = await ada.see('/cart')
      await first.end('SIGKILL')

      const second = await openShop(t, { env })
      const { html: after } = await ada.at(second.url).see('/cart')
      t.true(after.includes('Order for €38.90'), 'its getters run, and its money is exact')
      const times = (html: string): readonly string[] => html.match(/<time datetime="[^"]+">/g) ?? []
      t.is(times(after).length, 2)
      t.deepEqual(times(after), times(before), 'its dates are dates')
    },
  )
}

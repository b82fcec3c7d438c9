import test from 'ava'
import { cookieEngine, openShop } from './shop.ts'
import { formOn, Visitor } from './visitor.ts'

const login = { name: 'Ada', password: 'koa' }
const skus = 'mug teapot bowl basket candle lamp cushion clock fern notebook pencils cards'.split(' ')

test('on the cookie engine the shop keeps a session of more than 4 KB over its own death, and forgets it at logout', async (t) => {
  const env = { ...cookieEngine(), SESSION_DEBUG: '1' }
  const first = await openShop(t, { env })
  const ada = new Visitor(first.url)
  await ada.fill('/login', '/login', login)
  for (let order = 1; order <= 5; order += 1) {
    for (const sku of skus) await ada.fill('/', `/cart/${sku}/add`)
    const { html } = await ada.fill('/cart', '/orders')
    t.is(html.match(/<h2 id="order-/g)?.length, order)
  }
  await ada.fill('/', '/cart/mug/add')
  const sizes = [...first.output().matchAll(/session committed .*\bbytes=(\d+)/g)].map(([, bytes]) =>
    Number(bytes),
  )
  t.true((sizes.at(-1) ?? 0) > 4_096, `${sizes.at(-1)} bytes`)
  await first.end('SIGKILL')

  const second = await openShop(t, { env })
  const again = ada.at(second.url)
  const { html } = await again.see('/orders')
  t.true(html.includes('Ada'))
  t.is(html.match(/<h2 id="order-/g)?.length, 5)
  t.true((await again.see('/cart')).html.includes('One thing'))
  await again.fill('/', '/logout')
  t.is((await again.see('/session')).html.includes('Ada'), false)
  t.true((await again.see('/orders')).html.includes('There are none yet.'))
})

test('on the cookie engine an order that is sent again is not placed again', async (t) => {
  const shop = await openShop(t, { env: cookieEngine() })
  const ada = new Visitor(shop.url)
  await ada.fill('/', '/cart/teapot/add')
  const form = formOn((await ada.see('/cart')).html, '/orders')
  await ada.send('/orders', form)
  const { html } = await ada.send('/orders', form)
  t.is(html.match(/<h2 id="order-/g)?.length, 1)
})

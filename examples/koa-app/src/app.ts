import { Router } from '@koa/router'
import Koa, { type DefaultState } from 'koa'
import { assets } from './assets.ts'
import { checkCsrf } from './csrf.ts'
import { errorPages } from './errors.ts'
import { readForm } from './form.ts'
import { securityHeaders } from './headers.ts'
import { addToCart, changeCart, showCart } from './pages/cart.ts'
import { placeOrder, showOrders } from './pages/orders.ts'
import { showHome } from './pages/home.ts'
import { changeAddress, confirmLogin, endDevice, endOtherDevices, showAccount } from './pages/account.ts'
import { logIn, logOut, showLogin } from './pages/login.ts'
import { showSession } from './pages/session.ts'
import type { ShopExtras, ShopSessions } from './sessions.ts'

/** Creates the Koa application of the shop. */
export function createApp(sessions: ShopSessions): Koa<DefaultState, ShopExtras> {
  const router = new Router<DefaultState, ShopExtras>()
  router.get('/', showHome)
  router.get('/cart', showCart)
  router.post('/cart/:sku/add', addToCart)
  router.post('/cart/:sku/change', changeCart)
  router.get('/orders', showOrders)
  router.post('/orders', placeOrder)
  router.get('/login', showLogin)
  router.post('/login', logIn(sessions.manager))
  router.post('/logout', logOut)
  router.get('/session', showSession)
  router.get('/account', showAccount(sessions.manager))
  router.post('/account/address', changeAddress)
  router.post('/account/confirm', confirmLogin)
  router.post('/account/devices/end', endDevice(sessions.manager))
  router.post('/account/devices/end-others', endOtherDevices(sessions.manager))

  const app = new Koa<DefaultState, ShopExtras>()
  app.use(securityHeaders)
  app.use(errorPages)
  app.use(assets)
  app.use(sessions)
  app.use(readForm)
  app.use(checkCsrf)
  app.use(router.routes())
  app.use(router.allowedMethods())
  return app
}

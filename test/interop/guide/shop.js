// A shop as it is written on koa-session: log-in with koa-passport, a second factor, "remember me", an administrator who acts
// for a customer, a cart, forms with koa-csrf and messages with koa-better-flash.
// oxlint-disable typescript/await-thenable -- ctx.session is koa-session's, whose types are not installed
import Router from '@koa/router'
import Koa from 'koa'
import flash from 'koa-better-flash'
import bodyParser from 'koa-bodyparser'
import CSRF from 'koa-csrf'
import koaPassport from 'koa-passport'
import { createSession } from 'koa-session'
import { Strategy as LocalStrategy } from 'passport-local'

const HOUR = 3_600_000
const DAY = 24 * HOUR

const users = new Map([
  ['ann', { name: 'ann', password: 'tea', role: 'customer', code: '123456' }],
  ['bob', { name: 'bob', password: 'milk', role: 'customer' }],
  ['eve', { name: 'eve', password: 'root', role: 'admin' }],
])

const products = new Map([
  ['tea', 4],
  ['cup', 7],
])

/** The shop, whose sessions are in `store`. */
export function createShop(store) {
  const app = new Koa()
  const router = new Router()
  const passport = new koaPassport.KoaPassport()

  app.keys = ['a key']
  app.use(createSession({ key: 'shop', maxAge: DAY, rolling: true, store }, app))
  app.use(bodyParser())
  app.use(new CSRF())
  app.use(flash())
  app.use(passport.initialize())
  app.use(passport.session())
  app.use(router.routes())

  passport.serializeUser((user, done) => done(null, user.name))
  passport.deserializeUser((name, done) => done(null, users.get(name) ?? false))
  passport.use(
    new LocalStrategy((name, password, done) => {
      const user = users.get(name)
      done(null, user !== undefined && user.password === password ? user : false)
    }),
  )

  // Guards

  function signedIn(ctx, next) {
    if (!ctx.isAuthenticated()) {
      ctx.session.returnTo = ctx.path
      ctx.status = 401
      ctx.body = 'log in'
      return
    }
    if (ctx.session.mfa === 'pending') {
      ctx.status = 403
      ctx.body = 'second factor'
      return
    }
    return next()
  }

  const role = (wanted) => (ctx, next) => {
    if (ctx.state.user?.role !== wanted) ctx.throw(403, `only for ${wanted}`)
    return next()
  }

  // Pages for all

  router.get('/', (ctx) => {
    ctx.session.views = (ctx.session.views || 0) + 1
    const { user } = ctx.state
    ctx.body = {
      user: user === undefined ? 'a guest' : user.name,
      views: ctx.session.views,
      theme: ctx.session.theme ?? 'light',
      messages: ctx.flash('info'),
      actingFor: ctx.session.impersonator === undefined ? undefined : ctx.state.user.name,
    }
  })

  router.get('/form', (ctx) => {
    ctx.body = ctx.state._csrf
  })

  router.post('/settings', (ctx) => {
    const { theme, language } = ctx.request.body
    Object.assign(ctx.session, { theme, language })
    ctx.body = 'saved'
  })

  router.get('/settings', (ctx) => {
    const { theme = 'light', language = 'en' } = ctx.session
    ctx.body = { theme, language }
  })

  router.post('/settings/reset', (ctx) => {
    delete ctx.session.theme
    delete ctx.session.language
    ctx.body = 'reset'
  })

  // Log-in

  router.post('/login', async (ctx, next) => {
    await passport.authenticate('local', async (error, user) => {
      if (error) throw error
      if (user === false) {
        ctx.session.failures = (ctx.session.failures || 0) + 1
        ctx.status = 401
        ctx.body = { failures: ctx.session.failures }
        return
      }
      await ctx.login(user)
      delete ctx.session.failures
      ctx.session.mfa = user.code === undefined ? undefined : 'pending'
      ctx.session.signedInAt = new Date()
      if (ctx.request.body.remember === 'on') ctx.session.maxAge = 30 * DAY
      const returnTo = ctx.session.returnTo || '/'
      delete ctx.session.returnTo
      ctx.body = { user: user.name, returnTo, mfa: ctx.session.mfa === 'pending' }
    })(ctx, next)
  })

  router.post('/mfa', async (ctx) => {
    if (ctx.session.mfa !== 'pending') ctx.throw(400, 'no second factor is due')
    ctx.session.tries = (ctx.session.tries || 0) + 1
    if (ctx.request.body.code === ctx.state.user.code) {
      delete ctx.session.mfa
      delete ctx.session.tries
      await ctx.session.regenerate()
      ctx.flash('info', 'Welcome')
      ctx.body = 'welcome'
    } else if (ctx.session.tries >= 3) {
      ctx.session = null
      ctx.status = 403
      ctx.body = 'logged out'
    } else {
      ctx.status = 401
      ctx.body = 'wrong code'
    }
  })

  router.post('/logout', async (ctx) => {
    await ctx.logout()
    ctx.body = 'out'
  })

  router.post('/forget-me', (ctx) => {
    ctx.session = null
    ctx.body = 'forgotten'
  })

  router.get('/account', signedIn, (ctx) => {
    const since = new Date(ctx.session.signedInAt)
    ctx.body = { user: ctx.state.user.name, isFresh: Date.now() - since.getTime() < HOUR }
  })

  // Cart

  router.post('/cart/add', (ctx) => {
    const { product } = ctx.request.body
    if (!products.has(product)) ctx.throw(404, 'no such product')
    if (!ctx.session.cart) ctx.session.cart = []
    const line = ctx.session.cart.find((each) => each.product === product)
    if (line === undefined) ctx.session.cart.push({ product, count: 1 })
    else line.count += 1
    ctx.body = ctx.session.cart
  })

  router.post('/cart/remove', (ctx) => {
    const { product } = ctx.request.body
    const cart = ctx.session.cart ?? []
    ctx.session.cart = cart.filter((each) => each.product !== product)
    ctx.body = ctx.session.cart
  })

  router.get('/cart', (ctx) => {
    const lines = ctx.session.cart ?? []
    const total = lines.reduce((sum, { product, count }) => sum + products.get(product) * count, 0)
    ctx.body = { lines, total }
  })

  router.post('/checkout', signedIn, (ctx) => {
    const lines = ctx.session.cart ?? []
    if (lines.length === 0) ctx.throw(400, 'the cart is empty')
    delete ctx.session.cart
    ctx.session.orders = [...(ctx.session.orders ?? []), lines.length]
    ctx.flash('info', `${lines.length} products are ordered`)
    ctx.body = ctx.session.orders
  })

  // Administration

  router.get('/admin', signedIn, role('admin'), (ctx) => {
    ctx.body = [...users.keys()]
  })

  router.post('/impersonate/:name', signedIn, role('admin'), async (ctx) => {
    const user = users.get(ctx.params.name)
    if (user === undefined) ctx.throw(404, 'no such user')
    const impersonator = ctx.state.user.name
    await ctx.login(user)
    ctx.session.impersonator = impersonator
    ctx.body = user.name
  })

  router.post('/impersonation/end', async (ctx) => {
    const { impersonator } = ctx.session
    if (impersonator === undefined) ctx.throw(400, 'no customer is impersonated')
    await ctx.login(users.get(impersonator))
    delete ctx.session.impersonator
    ctx.body = impersonator
  })

  // For support

  router.get('/session', (ctx) => {
    const keys = Object.keys(ctx.session).filter((key) => !/^_|^isNew$|^secret$/.test(key))
    ctx.body = { keys: keys.toSorted() }
  })

  router.post('/broken', (ctx) => {
    ctx.session.broken = true
    throw new TypeError('a bug')
  })

  return app
}

import Koa from 'koa'
import session from 'koa-generic-session'
import { plain, respond } from '../routes.js'

const access = {
  cart: plain,
  get: (ctx, key) => ctx.session[key],
  set(ctx, key, value) {
    ctx.session[key] = value
  },
  regenerate: (ctx) => ctx.regenerateSession(),
}

export function start() {
  const app = new Koa()
  app.keys = ['a key that nobody knows']
  app.use(session())
  app.use(async (ctx) => {
    ctx.body = await respond(ctx.path, access, ctx)
  })
  return app.listen(0, '127.0.0.1')
}

import { getIronSession } from 'iron-session'
import Koa from 'koa'
import { plain, respond } from '../routes.js'

const settings = {
  cookieName: 'sid',
  password: 'a key that nobody knows, of 32 characters or more',
  cookieOptions: { secure: false },
}

const access = {
  cart: plain,
  get: (ctx, key) => ctx.state.session[key],
  set(ctx, key, value) {
    ctx.state.session[key] = value
    ctx.state.changed = true
  },
  regenerate() {}, // there is no ID
}

export function start() {
  const app = new Koa()
  app.use(async (ctx) => {
    ctx.state.session = await getIronSession(ctx.req, ctx.res, settings)
    ctx.body = await respond(ctx.path, access, ctx)
    if (ctx.state.changed === true) await ctx.state.session.save()
  })
  return app.listen(0, '127.0.0.1')
}

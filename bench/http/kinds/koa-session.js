import { Redis } from 'ioredis'
import Koa from 'koa'
import session from 'koa-session'
import { plain, respond } from '../routes.js'

const access = {
  cart: plain,
  get: (ctx, key) => ctx.session[key],
  set(ctx, key, value) {
    ctx.session[key] = value
  },
  regenerate: (ctx) => ctx.session.regenerate(),
}

const engines = {
  memory() {
    const map = new Map()
    return {
      async get(key) {
        const text = map.get(key)
        return text === undefined ? undefined : JSON.parse(text)
      },
      async set(key, value) {
        map.set(key, JSON.stringify(value))
      },
      async destroy(key) {
        map.delete(key)
      },
    }
  },
  redis(url) {
    const client = new Redis(url)
    return {
      async get(key) {
        const text = await client.get(key)
        return text === null ? undefined : JSON.parse(text)
      },
      set: async (key, value, maxAge) => client.set(key, JSON.stringify(value), 'PX', maxAge),
      destroy: async (key) => client.del(key),
    }
  },
  cookie: () => undefined,
}

export function start(engine, url) {
  const app = new Koa()
  app.keys = ['a key that nobody knows']
  const store = engines[engine](url)
  app.use(session(store === undefined ? {} : { store }, app))
  app.use(async (ctx) => {
    ctx.body = await respond(ctx.path, access, ctx)
  })
  return app.listen(0, '127.0.0.1')
}

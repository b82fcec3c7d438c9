import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import Koa from 'koa'
import { registerType, session } from '../../../dist/index.js'
import { CookieStore } from '../../../dist/stores/cookie.js'
import { RedisStore } from '../../../dist/stores/redis.js'
import { respond, typed } from '../routes.js'

for (const type of typed.types) registerType(type)

const access = {
  cart: typed,
  get: (ctx, key) => ctx.session.get(key),
  set: (ctx, key, value) => ctx.session.set(key, value),
  regenerate: (ctx) => ctx.session.regenerate(),
}

const engines = {
  memory: () => ({}),
  file: (folder) => ({ provider: 'file', providerConfig: folder }),
  sqlite: (file) => ({ provider: 'sqlite', providerConfig: file }),
  redis: (url) => ({ store: new RedisStore({ client: new Redis(url) }) }),
  cookie: () => ({ store: new CookieStore({ keys: [randomBytes(32)] }) }),
  postgres: (url) => ({ provider: 'postgres', providerConfig: url }),
}

export function start(engine, url) {
  const app = new Koa()
  app.use(session(engines[engine](url)))
  app.use(async (ctx) => {
    ctx.body = await respond(ctx.path, access, ctx)
  })
  return app.listen(0, '127.0.0.1')
}

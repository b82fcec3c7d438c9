/** The same application on the peers, as their own documentation shows it, with sessions in Redis. */
import Koa from 'koa'
import { Redis } from 'ioredis'

const SECRET = 'a key that is long enough to be no secret'

async function koaSession(url, answer) {
  const { createSession } = await import('koa-session')
  const client = new Redis(url)
  const store = {
    get: async (key) => JSON.parse((await client.get(key)) ?? 'null'),
    set: async (key, value) => client.set(key, JSON.stringify(value), 'EX', 3600),
    destroy: async (key) => client.del(key),
  }
  const app = new Koa()
  app.silent = true
  app.keys = [SECRET]
  app.use(createSession({ store, key: 'sid' }, app))
  app.use(async (ctx) => {
    ctx.body = await answer(ctx.path, new URLSearchParams(ctx.querystring), {
      begin: () => Object.assign(ctx.session, { n: 0, in: true, list: [], merged: [] }),
      count: () => (ctx.session.n += 1),
      set: (key, value) => (ctx.session[key] = value),
      add: (key, item) => ctx.session[key].push(item),
      all: () => ({ ...ctx.session.toJSON() }),
      destroy: async () => (ctx.session = null),
    })
  })
  return app.callback()
}

async function expressSession(url, answer) {
  const { default: express } = await import('express')
  const { default: sessions } = await import('express-session')
  const { RedisStore } = await import('connect-redis')
  const { createClient } = await import('redis')
  const client = createClient({ url })
  await client.connect()
  const store = new RedisStore({ client })
  const app = express()
  app.use(sessions({ store, secret: SECRET, resave: false, saveUninitialized: false, name: 'sid' }))
  app.use(async ({ path, url: target, session }, res) => {
    const text = await answer(path, new URL(target, 'http://a').searchParams, {
      begin: () => Object.assign(session, { n: 0, in: true, list: [], merged: [] }),
      count: () => (session.n += 1),
      set: (key, value) => (session[key] = value),
      add: (key, item) => session[key].push(item),
      all: () => Object.fromEntries(Object.entries(session).filter(([key]) => key !== 'cookie')),
      destroy: async () =>
        new Promise((resolve, reject) => session.destroy((error) => (error ? reject(error) : resolve()))),
    })
    res.send(text)
  })
  return app
}

export { koaSession as 'koa-session', expressSession as 'express-session' }

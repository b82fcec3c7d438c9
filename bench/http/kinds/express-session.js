import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'
import { plain, respond } from '../routes.js'

const access = {
  cart: plain,
  get: (request, key) => request.session[key],
  set(request, key, value) {
    request.session[key] = value
  },
  regenerate: (request) =>
    new Promise((resolve, reject) => {
      request.session.regenerate((error) => (error ? reject(error) : resolve()))
    }),
}

const engines = {
  memory: () => undefined,
  async redis(url) {
    const client = createClient({ url })
    await client.connect()
    return new RedisStore({ client })
  },
}

export async function start(engine, url) {
  const app = express()
  const store = await engines[engine](url)
  const settings = { secret: 'a key that nobody knows', resave: false, saveUninitialized: false }
  app.use(session(store === undefined ? settings : { ...settings, store }))
  app.use(async (request, response) => {
    response.end(await respond(request.path, access, request))
  })
  return app.listen(0, '127.0.0.1')
}

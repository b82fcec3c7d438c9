import session from '@fastify/secure-session'
import fastify from 'fastify'
import { plain, respond } from '../routes.js'

const access = {
  cart: plain,
  get: (request, key) => request.session.get(key),
  set: (request, key, value) => request.session.set(key, value),
  regenerate: (request) => request.session.regenerate(),
}

export async function start() {
  const app = fastify()
  await app.register(session, { key: Buffer.alloc(32, 'a key that nobody knows'), cookie: { path: '/' } })
  app.get('/*', async (request) => respond(request.url, access, request))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return app.server
}

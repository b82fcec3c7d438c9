// The frameworks alone: what a session's cost is counted from.
import express from 'express'
import fastify from 'fastify'
import Koa from 'koa'
import { respond } from '../routes.js'

const frameworks = {
  koa() {
    const app = new Koa()
    app.use(async (ctx) => {
      ctx.body = await respond(ctx.path)
    })
    return app.listen(0, '127.0.0.1')
  },
  express() {
    const app = express()
    app.use(async (request, response) => {
      response.end(await respond(request.path))
    })
    return app.listen(0, '127.0.0.1')
  },
  async fastify() {
    const app = fastify()
    app.get('/*', async (request) => respond(request.url))
    await app.listen({ host: '127.0.0.1', port: 0 })
    return app.server
  },
}

export function start(framework) {
  return frameworks[framework]()
}

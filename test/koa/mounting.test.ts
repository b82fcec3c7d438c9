import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import test from 'ava'
import Koa from 'koa'
import { session as objectSession } from '../../src/compat/index.ts'
import { session, type SessionMiddleware } from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { serve } from '../support/client.ts'

const warnings: unknown[] = []
process.on('warning', ({ code }: Error & { readonly code?: unknown }) => warnings.push(code))
const perRequest = (): number => warnings.filter((code) => code === 'KTS_SESSION_PER_REQUEST').length

for (const [name, middleware] of [
  ['session()', session()],
  ['session() of compat', objectSession()],
] as const) {
  // As the router of Express 5 and of connect calls a middleware.
  test(`the middleware of ${name} in an application of Express rejects with what to do`, async (t) => {
    const failures: unknown[] = []
    const server = createServer((request, response) => {
      const call = middleware as unknown as (...args: unknown[]) => Promise<unknown> // what its type forbids
      void call(request, response, () => {}).catch((error: unknown) => {
        failures.push(error)
        response.end()
      })
    }).listen(0)
    await once(server, 'listening')
    for (let i = 0; i < 3; i++) await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`) // it listens
    server.close()
    t.is(failures.length, 3)
    for (const error of failures) t.like(error, { name: 'SessionError', code: 'ERR_SESSION_STATE' })
    t.regex(
      String(failures[0]),
      /mount it in a Koa application, app\.use\(session\(\{ … \}\)\), and not in one of Express/,
    )
  })
}

test.serial('middlewares that are made once each, for tenants and routes, are no mistake', async (t) => {
  const tenants = new Map<string, SessionMiddleware>()
  const app = new Koa()
  app.use(session({ property: 'other', name: 'other' })).use(async (ctx, next) => {
    const tenant = ctx.path
    let mounted = tenants.get(tenant)
    if (mounted === undefined) tenants.set(tenant, (mounted = session({ store: new MemoryStore() })))
    await mounted(ctx as never, next) // its state is not known here
  })
  const { client } = await serve(t, app)
  for (let i = 0; i < 40; i++) await client().get(`/${i % 8 < 4 ? i % 8 : Math.floor(i / 8)}`)
  await new Promise(setImmediate)
  t.is(perRequest(), 0)
})

test.serial(
  'session() that is called in a handler, for each request, is the process warning KTS_SESSION_PER_REQUEST, once',
  async (t) => {
    const store = new MemoryStore()
    const app = new Koa()
    app.use((ctx, next) => session({ store })(ctx as never, next)) // as above
    const { client } = await serve(t, app)
    for (let i = 0; i < 4; i++) await client().get('/')
    await new Promise(setImmediate)
    t.is(perRequest(), 0)
    for (let i = 0; i < 20; i++) await client().get('/')
    await new Promise(setImmediate)
    t.is(perRequest(), 1)
  },
)

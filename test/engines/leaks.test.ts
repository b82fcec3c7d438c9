import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import test from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { freePort } from '../servers/server.ts'
import { serve } from '../support/client.ts'

const PASSWORD = 'planted-pass-1'
const VALUE = 'planted-value-1'

/** Config strings of addresses without a server, with a password where the engine has one. */
const addresses: Readonly<Record<string, (port: number) => string>> = {
  redis: (port) => `redis://user:${PASSWORD}@127.0.0.1:${port}/0`,
  redis_cluster: (port) => `127.0.0.1:${port},10,${PASSWORD}`,
  redis_sentinel: (port) => `127.0.0.1:${port},10,${PASSWORD},0,mymaster`,
  memcache: (port) => `127.0.0.1:${port}`,
  mysql: (port) => `user:${PASSWORD}@tcp(127.0.0.1:${port})/sessions`,
  postgres: (port) => `postgres://user:${PASSWORD}@127.0.0.1:${port}/sessions`,
  couchbase: (port) => `couchbase://user:${PASSWORD}@127.0.0.1:${port}/sessions`,
}

for (const [provider, address] of Object.entries(addresses)) {
  test(`security 38 and 39: ${provider} that cannot be reached shows no ID, value or password anywhere`, async (t) => {
    const shown: string[] = []
    const note = (what: unknown): void => {
      shown.push(inspect(what, { depth: 20, showHidden: true }), JSON.stringify(what) ?? '')
    }
    subscribe('koa-typed-session', note)
    t.teardown(() => unsubscribe('koa-typed-session', note))
    const sessions = session({ provider, providerConfig: address(await freePort()), onEvent: note })
    t.teardown(async () => sessions.manager.close())
    const app = new Koa().use(sessions)
    app.on('error', (error: unknown, ctx: unknown) => {
      note(error)
      note(ctx)
      if (error instanceof Error) shown.push(String(error), error.stack ?? '')
    })
    app.use((ctx) => {
      ctx.session.set('secret', VALUE)
      ctx.body = 'kept'
    })
    const { client } = await serve(t, app)
    const id = Buffer.alloc(32, 7).toString('base64url')
    const [known, fresh] = await Promise.all([
      client().get('/', { headers: { cookie: `sid=${id}` } }),
      client().get('/'),
    ])
    note(sessions)
    note(sessions.manager)
    t.deepEqual([known.status, known.text], [503, 'Service Unavailable'])
    t.deepEqual([fresh.status, fresh.text, fresh.setCookies], [503, 'Service Unavailable', []])
    t.true(shown.some((text) => text.includes('ERR_SESSION_STORE')))
    // Koa's own dump of a context contains the request's headers; everywhere else is the library's doing.
    const ours = shown.map((text) => text.replaceAll(`sid=${id}`, ''))
    for (const secret of [id, VALUE, PASSWORD]) {
      t.deepEqual(
        ours.filter((text) => text.includes(secret)).map((text) => text.slice(0, 200)),
        [],
      )
    }
  })
}

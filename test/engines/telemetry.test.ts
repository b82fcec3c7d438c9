// What OpenTelemetry is told, beside what a real server has counted.
import test from 'ava'
import Koa from 'koa'
import { session } from '../../src/index.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { measure } from '../opentelemetry/measure.ts'
import { observe, startRedis } from '../servers/redis.ts'
import { serve } from '../support/client.ts'

test.serial('what is measured equals what the server has counted', async (t) => {
  const server = await startRedis()
  t.teardown(async () => server.stop())
  const eye = observe(server.port)
  t.teardown(() => eye.disconnect())
  const { value, page } = measure(t)
  const store = new RedisStore({ url: server.url })
  const sessions = session({ store, name: 'shop' })
  t.teardown(async () => sessions.manager.close())
  await sessions.manager.ready()
  const app = new Koa().use(sessions).use((ctx) => {
    if (ctx.path === '/out') return ctx.session.destroy().then(() => (ctx.body = 'out'))
    if (ctx.path === '/write') ctx.session.update('n', (n = 0) => Number(n) + 1)
    else ctx.session.get('n')
    ctx.body = 'ok'
    return undefined
  })
  const { client } = await serve(t, app)
  /** The calls of scripts, which are all that the store does. */
  const calls = async (): Promise<number> =>
    [...(await eye.info('commandstats')).matchAll(/^cmdstat_(?:evalsha|eval):calls=(\d+)/gm)].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    )

  const clients = Array.from({ length: 5 }, client)
  for (const each of clients) await each.get('/write')
  // Now the server knows the scripts.
  for (const path of ['/read', '/write']) await clients[0]?.get(path)
  await eye.config('RESETSTAT')
  for (const each of clients) for (let n = 0; n < 4; n += 1) await each.get('/read')
  t.is(await calls(), 20)
  t.is(await value('open_duration_count', { koa_typed_session_outcome: 'found' }), 2 + 20)
  await eye.config('RESETSTAT')
  for (const each of clients) for (let n = 0; n < 3; n += 1) await each.get('/write')
  t.is(await value('commit_tries_sum'), 6 + 15)
  t.is(await calls(), 15 + 15)
  t.is(await value('open_duration_count'), 2 + 35)
  t.is(await value('commit_duration_count', { koa_typed_session_outcome: 'stored' }), 16)
  t.is(await value('commit_duration_count', { koa_typed_session_outcome: 'created' }), 5)
  t.is(await value('sessions_created_total'), 5)
  t.is(await eye.dbsize(), 5)

  await clients[0]?.get('/out')
  await clients[1]?.get('/out')
  t.is(await value('sessions_ended_total', { koa_typed_session_reason: 'destroyed' }), 2)
  t.is(await value('destroy_duration_count', { koa_typed_session_outcome: 'ended' }), 2)
  t.is(await value('payload_size_count'), 21)
  t.regex(await page(), /db_system_name="redis",koa_typed_session_manager="shop"/)
})

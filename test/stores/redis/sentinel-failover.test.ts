import test from 'ava'
import { RedisStore } from '../../../src/stores/redis.ts'
import { Crowd } from '../../engines/crowd.ts'
import { counting, openSite } from '../../engines/site.ts'
import { startRedisSentinel } from '../../servers/redis-sentinel.ts'
import { observe, replicated, until } from '../../servers/redis.ts'
import { keep, payload, randomKey, soon } from './session.ts'
import { Workers } from './workers.ts'

const servers = await startRedisSentinel()
const [primary, replica] = [observe(servers.primary.port), observe(servers.replica.port)]
const sentinel = observe(Number(servers.sentinels[0]))
test.after.always(async () => {
  for (const each of [primary, replica, sentinel]) each.disconnect()
  await servers.stop()
})

test.serial('F7: a failover loses nothing that was replicated, and mixes up no sessions', async (t) => {
  const store = new RedisStore({ url: servers.url, mode: 'sentinel', timeout: 20_000 })
  t.teardown(async () => store.close())
  const [kept, ended] = [await keep(store), await keep(store)]
  await store.destroy(ended.key)
  const site = await openSite({ provider: 'redis_sentinel', providerConfig: servers.url }, counting)
  t.teardown(async () => site.close())
  const { cookie: left = '' } = await site.ask('/begin')
  await site.ask('/logout', left)
  const crowd = await Crowd.gather(site, 5)
  await crowd.more(50)
  await replicated(primary)

  await sentinel.call('SENTINEL', 'FAILOVER', 'mymaster')
  await until('the store has left the old primary', async () => {
    const name = `session:${(await keep(store)).key}`
    if (!(await primary.info('replication')).includes('role:master')) return false
    return (await replica.exists(name)) === 1 && (await primary.exists(name)) === 0
  })
  t.is((await store.read(kept.key, soon()))?.payload, kept.entry.payload)
  t.is(await store.read(ended.key), undefined)
  const text = payload()
  t.is(typeof (await store.replace(kept.key, text, soon(), kept.entry)), 'object')
  t.is(await store.replace(kept.key, payload(), soon(), kept.entry), 'conflict')

  await until('the old primary has learnt that it is none', async () =>
    (await primary.info('replication')).includes('master_link_status:up'),
  )
  t.is((await store.read(kept.key))?.payload, text)

  await crowd.more(50)
  // What the old primary acknowledged last may be lost with it; nothing is counted twice, and no user is logged out.
  for (const { n, most } of await crowd.disperse()) t.true(n > 0 && n <= most, `${n} of ${most}`)
  t.is((await site.ask('/look', left)).text, 'null')
})

test.serial('F7: when the primary dies, verbs wait for the next one', async (t) => {
  const store = new RedisStore({ url: servers.url, mode: 'sentinel', timeout: 20_000 })
  t.teardown(async () => store.close())
  const workers = await Workers.start(store, [randomKey(), randomKey(), randomKey()])
  await workers.more(30)
  await workers.stop()
  const { key, entry } = await keep(store)
  await replicated(replica)
  await servers.replica.stop('SIGKILL') // it is the primary since the last failover

  const writing = store.replace(key, payload(), soon(), entry)
  const reading = store.read(key)
  t.is(typeof (await writing), 'object')
  t.truthy(await reading)
  const after = await Workers.start(store, [randomKey(), randomKey()])
  await after.more(30)
  await t.notThrowsAsync(after.stop())
  t.true((await primary.info('replication')).includes('role:master'))
})

import { randomBytes } from 'node:crypto'
import test from 'ava'
import { Redis } from 'ioredis'
import { hashId } from '../../src/session/id.ts'
import { SessionManager } from '../../src/index.ts'
import { openProvider } from '../../src/session/providers.ts'
import type { Entry, Store } from '../../src/store.ts'
import { CouchbaseStore } from '../../src/stores/couchbase.ts'
import { MemcacheStore } from '../../src/stores/memcache.ts'
import { MysqlStore } from '../../src/stores/mysql.ts'
import { PostgresStore } from '../../src/stores/postgres.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { engines } from './engine.ts'

const seal = { keys: [randomBytes(32)] }

async function stored(store: Store, id: string): Promise<Entry> {
  const entry = await store.read(hashId(id))
  if (entry === undefined) throw new Error('nothing is stored')
  return entry
}

// Cluster and Sentinel use the same scripts as a single server.
const names = Object.keys(engines).filter((name) => !name.startsWith('redis_'))

for (const provider of names) {
  test.serial(
    `security 46: ${provider}: sealed sessions lose no update, and their records cannot be swapped`,
    async (t) => {
      const engine = await engines[provider]?.()
      if (engine === undefined) throw new Error(`no engine ${provider}`)
      const { config, stop } = engine
      const raw = openProvider(provider, config, { now: Date.now })
      const events: string[] = []
      const onEvent = ({ type }: { readonly type: string }): number => events.push(type)
      const manager = new SessionManager({ provider, providerConfig: config, seal, onEvent })
      t.teardown(async () => {
        await Promise.all([manager.close(), raw.close()])
        await stop()
      })
      const [ann, bob] = [manager.begin().set('n', 0), manager.begin().set('n', 100)]
      await Promise.all([manager.commit(ann), manager.commit(bob)])
      await Promise.all(
        Array.from({ length: 10 }, async () => {
          const one = await manager.open(ann.id)
          one.update('n', (n = 0) => n + 1)
          await manager.commit(one)
        }),
      )
      t.is((await manager.open(ann.id)).get('n'), 10)
      t.is((await manager.open(bob.id)).get('n'), 100)

      const others = new SessionManager({
        provider,
        providerConfig: config,
        seal: { ...seal, application: 'another' },
      })
      t.true((await others.open(ann.id)).isNew, 'another application with the same keys')
      await others.close()

      const [mine, theirs] = [await stored(raw, ann.id), await stored(raw, bob.id)]
      t.regex(mine.payload, /^kts1 [\w-]{16} s1\.[\w-]{4}\.[\w-]+$/)
      await raw.replace(hashId(ann.id), theirs.payload, mine.expiresAt, mine)
      events.length = 0
      t.true((await manager.open(ann.id)).isNew)
      t.deepEqual(events, ['decode-failed'])
      t.is((await stored(raw, ann.id)).payload, theirs.payload, 'the record stays as it is')
      t.is((await manager.open(bob.id)).get('n'), 100)
    },
  )
}

test.serial(
  'security 46: redis: a record copied from another prefix opens nothing, with the same keys',
  async (t) => {
    const engine = await engines['redis']?.()
    if (engine === undefined) throw new Error('no engine redis')
    const [shop, forum] = ['shop:', 'forum:'].map((prefix) => new RedisStore({ url: engine.config, prefix }))
    if (shop === undefined || forum === undefined) throw new Error('no stores')
    const events: string[] = []
    const onEvent = ({ type }: { readonly type: string }): number => events.push(type)
    const [one, other] = [
      new SessionManager({ store: shop, seal }),
      new SessionManager({ store: forum, seal, onEvent }),
    ]
    t.teardown(async () => {
      await Promise.all([one.close(), other.close()])
      await engine.stop()
    })
    const ann = one.begin().set('role', 'admin')
    await one.commit(ann)
    const { payload, expiresAt } = await stored(shop, ann.id)
    await forum.create(hashId(ann.id), payload, expiresAt)
    events.length = 0
    t.is(await other.find(ann.id), undefined)
    t.deepEqual(events, ['decode-failed'])
    t.is((await one.open(ann.id)).get('role'), 'admin')
  },
)

test('security 46: the name that a seal is bound to is the prefix or the table of the store', (t) => {
  const url = '127.0.0.1'
  const client = new Redis({ lazyConnect: true, keyPrefix: 'app:' })
  t.is(new RedisStore({ url, prefix: 'shop:' }).namespace, 'shop:')
  t.is(new RedisStore({ client, prefix: 'shop:' }).namespace, 'app:shop:')
  t.is(new MemcacheStore({ url, prefix: 'shop:' }).namespace, 'shop:')
  t.is(
    new CouchbaseStore({ url: `couchbase://user:password@${url}/default`, prefix: 'shop:' }).namespace,
    'shop:',
  )
  t.is(new SqliteStore({ path: './x/y.db', table: 'shop' }).namespace, 'shop')
  t.is(new MysqlStore({ url: `mysql://user@${url}/db`, table: 'shop' }).namespace, 'shop')
  t.is(new PostgresStore({ url: `postgres://user@${url}/db`, table: 'shop' }).namespace, 'shop')
  client.disconnect()
})

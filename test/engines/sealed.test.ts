import { randomBytes } from 'node:crypto'
import test from 'ava'
import { hashId } from '../../src/session/id.ts'
import { SessionManager } from '../../src/index.ts'
import { openProvider } from '../../src/session/providers.ts'
import type { Entry, Store } from '../../src/store.ts'
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

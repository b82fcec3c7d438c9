import { randomBytes } from 'node:crypto'
import test from 'ava'
import type { Written } from '../../src/store.ts'
import { MemcacheStore } from '../../src/stores/memcache.ts'
import { storeContract, type StoreHarness } from '../../src/testing/index.ts'
import { MemcachedConsole, memcachedServer } from '../servers/memcached.ts'
import { startProxy } from '../servers/proxy.ts'

const server = await memcachedServer()
const proxy = await startProxy(server)
const backend = new MemcachedConsole(server.port)
const prefix = `${randomBytes(6).toString('hex')}:`
const created = new Set<string>()

/** Remembers what it created, so that it can be made older. */
class RememberingStore extends MemcacheStore {
  override async create(key: string, payload: string, expiresAt: number): Promise<Written | 'exists'> {
    created.add(prefix + key)
    return super.create(key, payload, expiresAt)
  }
}

const url = `127.0.0.1:${proxy.port}`
const trouble = { break: () => proxy.cut(), mend: () => proxy.mend() }

/** Time passes for the server: what lies there becomes older. */
const aged: StoreHarness = {
  open: () => new RememberingStore({ url, prefix, timeout: 3_000 }),
  now: Date.now,
  advance: async (ms) => {
    await backend.age(created, Math.round(ms / 1_000))
  },
  ...trouble,
}

/** Time passes for the stores: memcached may still have what has ended for them. */
let clock = Date.now()
const turned: StoreHarness = {
  open: () => new MemcacheStore({ url, prefix, timeout: 3_000, now: () => clock }),
  now: () => clock,
  advance: (ms) => void (clock += ms),
  still: true,
  ...trouble,
}

test.beforeEach(() => created.clear())
test.after.always(async () => {
  await proxy.stop()
  await server.stop()
})

const { traits } = new MemcacheStore({ url: 'localhost' })
for (const [whose, harness] of Object.entries({ 'the server': aged, 'the store': turned })) {
  for (const requirement of storeContract) {
    if (!requirement.appliesTo(traits, harness)) continue
    test.serial(`by the time of ${whose}: ${requirement.title}`, async (t) => {
      await requirement.check(harness)
      t.pass()
    })
  }
}

// What the stores with a compare-and-swap token (memcached, Couchbase) do while other requests keep writing to the same session.
import test from 'ava'
import { SessionManager, type SessionEvent } from '../../../src/index.ts'
import type { Entry, StoreTraits } from '../../../src/store.ts'
import { CasVerbs, type Item, type Items } from '../../../src/stores/shared/cas-verbs.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'

const SENTENCE = 'other requests kept writing to the same session'
const payload = `kts1 ${'0'.repeat(16)} 1700000000000`
const later = Date.now() + 60_000
const item: Item = { payload, expiresAt: later - 1, token: 1 }
const base: Entry = { payload, expiresAt: later }

/** Items of which each write finds that another one was faster. */
class Contended implements Items {
  writes = 0
  isExpired = false
  readonly #pause: () => Promise<void>

  constructor(pause: () => Promise<void> = async () => undefined) {
    this.#pause = pause
  }

  moment(expiresAt: number): number {
    return expiresAt
  }

  async get(): Promise<Item> {
    return this.isExpired ? { ...item, expiresAt: 0 } : item
  }

  async add(): Promise<'exists'> {
    return 'exists'
  }

  async replace(): Promise<'changed'> {
    this.writes += 1
    await this.#pause()
    return 'changed'
  }

  async delete(): Promise<'changed'> {
    return this.replace()
  }

  async close(): Promise<void> {}
}

function verbs(items: Items, timeout = 60_000): CasVerbs<Items> {
  const traits: StoreTraits = { ...new MemoryStore().traits, name: 'memcache' }
  return new CasVerbs(traits, { timeout, now: Date.now }, async () => items)
}

const calls: Readonly<Record<string, (store: CasVerbs<Items>) => Promise<unknown>>> = {
  create: async (store) => store.create('key', payload, later),
  replace: async (store) => store.replace('key', payload, later, base),
  touch: async (store) => store.touch('key', later),
  destroy: async (store) => store.destroy('key', base),
}

for (const [verb, call] of Object.entries(calls)) {
  test(`${verb} that other writes keep getting ahead of is refused after a hundred tries, and nothing is applied`, async (t) => {
    const items = new Contended()
    items.isExpired = verb === 'create'
    const error = await t.throwsAsync(call(verbs(items)))
    t.like(error, { name: 'SessionError', code: 'ERR_SESSION_STORE', answered: true, status: 503 })
    t.is(error.message, `memcache: ${verb} failed: ${SENTENCE}`)
    t.is(items.writes, 100)
  })

  test(`F27: ${verb} whose time ends during such tries says so, since the server has answered each of them`, async (t) => {
    const items = new Contended(async () => new Promise((resolve) => setTimeout(resolve, 10)))
    items.isExpired = verb === 'create'
    const error = await t.throwsAsync(call(verbs(items, 40)))
    t.like(error, { code: 'ERR_SESSION_STORE', answered: true })
    t.is(error.message, `memcache: ${verb} failed: ${SENTENCE}`)
    t.true(items.writes < 100)
  })
}

test('a session that is contended does not make the store count as down', async (t) => {
  const store = verbs(new Contended())
  const traits = { ...new MemoryStore().traits, name: 'memcache' }
  const events: SessionEvent[] = []
  const manager = new SessionManager({
    store: {
      traits,
      read: async () => undefined,
      create: async () => Promise.reject(await store.touch('key', later).catch((error: unknown) => error)),
      replace: async () => 'gone',
      touch: async () => 'gone',
      destroy: async () => 'gone',
      close: async () => {},
    },
    onEvent: (event) => void events.push(event),
  })
  for (let times = 0; times < 7; times += 1) {
    const error = await t.throwsAsync(manager.commit(manager.begin().set('n', 1)))
    t.like(error, { code: 'ERR_SESSION_STORE', answered: true })
  }
  t.false(events.some(({ type }) => type === 'store-down'))
})

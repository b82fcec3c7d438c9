import test, { type ExecutionContext } from 'ava'
import type { Store } from '../../src/store.ts'
import { engines, type Engine } from './engine.ts'
import { makeStore, PATIENCE } from './stores.ts'

/** Every kind of store on which concurrent requests meet, by the name of its provider. */
export const concurrentProviders = [
  'memory',
  'file',
  'sqlite',
  'redis',
  'memcache',
  'mysql',
  'postgres',
  'couchbase',
] as const

interface Opened {
  readonly store: Store
  readonly engine: Engine | undefined
}

const opened = new Map<string, Promise<Opened>>()

/** The store of this provider that all tests of a file share; its server starts when the first one asks. */
export async function sharedStore(provider: string): Promise<Store> {
  const opening = opened.get(provider) ?? open(provider)
  opened.set(provider, opening)
  return (await opening).store
}

const lanes = new Map<string, Promise<unknown>>()

/** A test on the shared store of a provider. Those of one provider run one after another, those of others at the same time. */
export function testOn(
  provider: string,
  title: string,
  run: (t: ExecutionContext) => Promise<unknown>,
): void {
  test(`${provider}: ${title}`, async (t) => {
    const before = lanes.get(provider)
    const turn = (async () => {
      await before
      await run(t)
    })()
    // One that fails does not hold up the next one.
    lanes.set(
      provider,
      turn.catch(() => {}),
    )
    await turn
  })
}

async function open(provider: string): Promise<Opened> {
  const engine = await engines[provider]?.()
  return { engine, store: makeStore(provider, engine?.config ?? '', PATIENCE) }
}

test.after.always('the shared stores close, and their servers stop', async () => {
  for (const opening of opened.values()) {
    const { store, engine } = await opening
    await store.close()
    await engine?.stop()
  }
})

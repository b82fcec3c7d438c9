import test from 'ava'
import type { SessionOptions } from '../../src/index.ts'
import { FileStore } from '../../src/stores/file.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { engines, type Engine } from './engine.ts'
import { proxiedEngines, type ProxiedEngine } from './proxied.ts'

/** Every engine whose sessions outlive the process: the servers behind a proxy, and the file store. */
export const providers: readonly string[] = ['file', ...Object.keys(proxiedEngines)]

const PATIENCE = 90_000

const started = new Map<string, Promise<Engine | ProxiedEngine>>()

/** The engine that all tests of this file share; it starts when the first one asks, and stops after the last. */
export async function sharedEngine(provider: string): Promise<Engine | ProxiedEngine> {
  const start = proxiedEngines[provider] ?? engines[provider]
  if (start === undefined) throw new Error(`no engine ${provider}`)
  const engine = started.get(provider) ?? start()
  started.set(provider, engine)
  return engine
}

/** An engine for tests that are not about deadlines: on a busy machine it has all the time it needs. */
export function patient(
  engine: Engine | ProxiedEngine,
): Pick<SessionOptions, 'store' | 'openTimeout' | 'commitTimeout'> {
  const { config } = engine
  const onDisk = config === '' ? new MemoryStore() : new FileStore({ folder: config })
  const store = 'proxy' in engine ? engine.store(PATIENCE) : onDisk
  return { store, openTimeout: PATIENCE, commitTimeout: PATIENCE }
}

test.after.always('the engines stop', async () => {
  await Promise.all([...started.values()].map(async (engine) => (await engine).stop()))
})

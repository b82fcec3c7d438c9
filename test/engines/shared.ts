import test from 'ava'
import { engines, type Engine } from './engine.ts'
import { proxiedEngines, type ProxiedEngine } from './proxied.ts'

/** Every engine whose sessions outlive the process: the servers behind a proxy, and the stores in files. */
export const providers: readonly string[] = ['file', 'sqlite', ...Object.keys(proxiedEngines)]

const started = new Map<string, Promise<Engine | ProxiedEngine>>()

/** The engine that all tests of a file share; it starts when the first test needs it, and stops after the last. */
export async function sharedEngine(provider: string): Promise<Engine | ProxiedEngine> {
  const start = proxiedEngines[provider] ?? engines[provider]
  if (start === undefined) throw new Error(`no engine ${provider}`)
  const engine = started.get(provider) ?? start()
  started.set(provider, engine)
  return engine
}

test.after.always('the engines stop', async () => {
  await Promise.all([...started.values()].map(async (engine) => (await engine).stop()))
})

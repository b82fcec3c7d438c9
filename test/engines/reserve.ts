import test, { type ExecutionContext } from 'ava'
import { proxiedEngines, type ProxiedEngine } from './proxied.ts'

/**
 * Starts every engine behind its proxy for the tests of a file, and stops them afterwards. The returned function reserves an
 * engine for one test at a time, while tests of other engines run; when the test is over, the proxy works normally again.
 */
export function reserveEngines(): (t: ExecutionContext, provider: string) => Promise<ProxiedEngine> {
  const running = new Map<string, ProxiedEngine>()
  const free = new Map<string, Promise<unknown>>()
  test.before('the servers start', async () => {
    const starts = Object.entries(proxiedEngines).map(async ([provider, start]) =>
      running.set(provider, await start()),
    )
    await Promise.all(starts)
  })
  test.after.always('the servers stop', async () => {
    await Promise.all([...running.values()].map(async (engine) => engine.stop()))
  })
  return async (t, provider) => {
    const engine = running.get(provider)
    if (engine === undefined) throw new Error(`no engine ${provider}`)
    const before = free.get(provider)
    let leave = (): void => {}
    free.set(provider, new Promise<void>((resolve) => (leave = resolve)))
    await before
    t.teardown(() => {
      engine.proxy.mend()
      leave()
    })
    return engine
  }
}

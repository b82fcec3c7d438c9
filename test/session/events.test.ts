import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import test from 'ava'
import { SessionManager, type SessionEvent } from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'

test.serial('the diagnostics channel koa-typed-session tells what onEvent tells', async (t) => {
  const heard: unknown[] = []
  const told: SessionEvent[] = []
  const listen = (event: unknown): void => void heard.push(event)
  subscribe('koa-typed-session', listen)
  t.teardown(() => unsubscribe('koa-typed-session', listen))
  const manager = new SessionManager({ onEvent: (event) => told.push(event) })
  const session = manager.begin().set('a', 1)
  await manager.commit(session)
  const again = await manager.open(session.id)
  again.set('a', 2)
  await manager.commit(again)
  await manager.regenerate(again)
  await manager.destroy(again)
  await manager.open(session.id)
  t.deepEqual(
    told.map(({ type }) => type),
    ['created', 'loaded', 'committed', 'regenerated', 'destroyed', 'unknown'],
  )
  // All managers of a process share the channel.
  t.deepEqual(
    heard,
    told.map((event) => ({
      ...event,
      manager: { name: 'sid', store: 'memory', pending: 0, breaker: 'closed' },
    })),
  )
  const committed = told.find((event) => event.type === 'committed')
  t.true(
    committed !== undefined && committed.tries === 1 && committed.bytes > 40 && committed.durationMs >= 0,
  )
})

test.serial('swept is told with how many were removed, and only if there were any', async (t) => {
  let now = 0
  const told: SessionEvent[] = []
  const options = { now: () => now, onEvent: (event: SessionEvent) => told.push(event) }
  const manager = new SessionManager({
    store: new MemoryStore({ now: () => now }),
    idleTimeout: 1_000,
    ...options,
  })
  for (let made = 0; made < 1_200; made += 1) await manager.commit(manager.begin().set('made', made))
  t.is(await manager.sweep(), 0)
  now += 1_000
  t.deepEqual(await Promise.all([manager.sweep(), manager.sweep()]), [1_200, 1_200]) // one sweep, two who wait for it
  const swept = told.filter((event) => event.type === 'swept')
  t.deepEqual(
    swept.map((event) => event.removed),
    [1_200],
  )
})

test.serial('a listener that throws fails no commit; its error is as loud as any uncaught one', async (t) => {
  const uncaught: unknown[] = []
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => uncaught.push(error))
  t.teardown(() => {
    process.removeAllListeners('uncaughtException')
    for (const listener of before) process.on('uncaughtException', listener)
  })
  const manager = new SessionManager({
    onEvent: () => {
      throw new Error('the listener broke')
    },
  })
  const session = manager.begin().set('a', 1)
  t.is(await manager.commit(session), 'ok')
  await new Promise((resolve) => setImmediate(resolve))
  t.regex(String(uncaught[0]), /the listener broke/)
})

import { readFile } from 'node:fs/promises'
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import test from 'ava'
import { SessionManager, type Session } from '../../src/index.ts'
import { traces } from '../../src/session/tracing.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { HeldStore } from '../support/held-store.ts'
import { measure } from './measure.ts'

/** A stored session, and two openings of it, of which the second one can no longer be committed. */
async function rivals(manager: SessionManager): Promise<Record<'begun' | 'one' | 'other', Session>> {
  const begun = manager.begin().set('a', 1)
  await begun.commit()
  const [one, other] = [await manager.open(begun.id), await manager.open(begun.id)]
  one.set('a', Number(one.get('a')) + 1)
  other.set('a', Number(other.get('a')) + 1)
  await one.commit()
  return { begun, one, other }
}

test.serial(
  'a conflict, a failure, a refusal and an open circuit are counted, and the gauges follow',
  async (t) => {
    const { value } = measure(t)
    const store = new HeldStore()
    const manager = new SessionManager({ store, name: 'jobs' })
    t.teardown(async () => manager.close())
    const { begun, other } = await rivals(manager)
    await t.throwsAsync(other.commit(), { code: 'ERR_SESSION_CONFLICT' })
    t.is(await value('conflicts_total', { koa_typed_session_outcome: 'refused' }), 1)
    t.is(await value('commit_duration_count', { error_type: 'ERR_SESSION_CONFLICT' }), 1)

    store.hold()
    const waiting = [manager.open(begun.id), manager.open(begun.id)]
    await new Promise((resolve) => setImmediate(resolve))
    t.is(await value('store_pending'), 2)
    store.release()
    await Promise.all(waiting)
    t.is(await value('store_pending'), 0)

    store.before = async () => Promise.reject(new Error('gone away'))
    for (let n = 0; n < 5; n += 1) await t.throwsAsync(manager.open(begun.id), { code: 'ERR_SESSION_STORE' })
    t.is(
      await value('store_failures_total', {
        koa_typed_session_verb: 'read',
        error_type: 'ERR_SESSION_STORE',
        koa_typed_session_answered: 'false',
      }),
      5,
    )
    t.is(await value('store_circuit', { koa_typed_session_manager: 'jobs' }), 1)
    await t.throwsAsync(manager.open(begun.id), { code: 'ERR_SESSION_STORE' })
    t.is(await value('store_refusals_total', { koa_typed_session_reason: 'down' }), 1)
    t.is(await value('open_duration_count', { error_type: 'ERR_SESSION_STORE' }), 6)
    store.before = async () => undefined
    t.true((await manager.health()).ok)
    t.is(await value('store_circuit', { koa_typed_session_manager: 'jobs' }), 0)
  },
)

test.serial(
  'each operation is a span below the active one, with what it came to, and an error says why',
  async (t) => {
    const { spans, tracer } = measure(t)
    const store = new HeldStore()
    const manager = new SessionManager({ store })
    t.teardown(async () => manager.close())
    const begun = manager.begin().set('a', 1)
    await begun.commit()
    spans.reset()
    const request = tracer.startSpan('GET /')
    await context.with(trace.setSpan(ROOT_CONTEXT, request), async () => {
      const opened = await manager.open(begun.id)
      await opened.set('a', 2).commit()
      await opened.destroy()
      t.is(await manager.find(begun.id), undefined)
      store.before = async () => Promise.reject(new Error('gone away'))
      await t.throwsAsync(manager.find(begun.id))
    })
    const told = spans.getFinishedSpans().map(({ name, attributes, status, parentSpanContext }) => {
      t.is(parentSpanContext?.spanId, request.spanContext().spanId, name)
      t.is(attributes['db.system.name'], 'memory')
      const { 'koa_typed_session.outcome': outcome, 'error.type': error } = attributes
      return [name, outcome ?? error, status.code]
    })
    t.deepEqual(told, [
      ['session open', 'found', 0],
      ['session commit', 'stored', 0],
      ['session destroy', 'ended', 0],
      ['session open', 'unknown', 0],
      ['session open', 'ERR_SESSION_STORE', 2],
    ])
  },
)

for (const handle of [false, true]) {
  test.serial(
    `security 29: no ID, key or value is told, and the handle only if it is asked for: ${handle}`,
    async (t) => {
      const { spans, page } = measure(t, { handle })
      const manager = new SessionManager({ store: new MemoryStore(), owners: {} })
      t.teardown(async () => manager.close())
      const mine = manager.begin().set('card', 'SECRET-VALUE')
      mine.signIn('SECRET-OWNER')
      await mine.commit()
      const { id } = mine
      const again = await manager.open(id)
      await again.update('n', (n = 0) => Number(n) + 1)
      await again.commit()
      await manager.regenerate(again)
      await manager.sessionsOf('SECRET-OWNER').endAll()
      const all =
        (await page()) +
        JSON.stringify(
          spans.getFinishedSpans().map(({ name, attributes, events }) => ({ name, attributes, events })),
        )
      t.true(all.includes('session commit'))
      for (const secret of [id, again.id, 'SECRET', 'card']) t.false(all.includes(secret), secret)
      t.is(all.includes(mine.handle), handle)
      t.false((await page()).includes(mine.handle))
    },
  )
}

test.serial('after stop() nothing is measured, and nothing listens', async (t) => {
  const { telemetry, value } = measure(t)
  const manager = new SessionManager({ store: new MemoryStore() })
  t.teardown(async () => manager.close())
  const first = manager.begin().set('a', 1)
  await first.commit()
  t.is(await value('sessions_created_total'), 1)
  telemetry.stop()
  telemetry.stop()
  for (const channel of Object.values(traces)) t.false(channel.hasSubscribers)
  await manager.begin().set('a', 1).commit()
  await manager.open(first.id)
  t.is(await value('sessions_created_total'), 1)
  t.is(await value('open_duration_count'), 0)
})

test.serial('an operation that began before is measured whole, and makes no span', async (t) => {
  const store = new HeldStore()
  const manager = new SessionManager({ store })
  t.teardown(async () => manager.close())
  const begun = manager.begin().set('a', 1)
  await begun.commit()
  const { telemetry: before } = measure(t)
  store.hold()
  const opening = manager.open(begun.id)
  before.stop()
  const { value, spans } = measure(t)
  store.release()
  await opening
  t.is(await value('open_duration_count'), 1)
  t.is(spans.getFinishedSpans().length, 0)
})

test.serial('the dashboard asks for metrics and labels that there are, and for all of them', async (t) => {
  const { page } = measure(t)
  const store = new HeldStore()
  const manager = new SessionManager({ store, maxPending: 1 })
  t.teardown(async () => manager.close())
  const { begun, one, other } = await rivals(manager)
  await t.throwsAsync(other.commit())
  store.hold()
  const opening = manager.open(begun.id)
  await t.throwsAsync(manager.open(begun.id)) // refused
  store.release()
  await opening
  await one.destroy()
  store.before = async () => Promise.reject(new Error('gone away'))
  await t.throwsAsync(manager.open(begun.id))
  t.is(manager.status.pending, 0) // and it is alive until here
  const told = (await page()).split('\n').filter((line) => line.startsWith('# TYPE koa_typed_session_'))
  const names = told.map((line) => line.split(' ')[2] ?? '')
  const text = await readFile('docs/grafana-dashboard.json', 'utf8')
  // A collector adds the unit to a name, and the exporter of the SDK does not.
  const asked = new Set(
    [...text.matchAll(/koa_typed_session_[a-z_]+(?:\(_(?:seconds|bytes)\)\?\w+)?(?=[{,"\\])/g)]
      .map(([name]) => name.replace(/\(.*\)\?/, '').replace(/_(?:bucket|sum|count)$/, ''))
      .filter((name) => !/_(?:manager|outcome|verb|answered|reason|type)$/.test(name)),
  )
  // Told only where one of them has happened: see the table of docs/telemetry.md.
  const rare = 'koa_typed_session_notices_total'
  t.deepEqual([...asked].filter((name) => name !== rare).toSorted(), names.toSorted())
  t.true(asked.has(rare))
  const samples = await page()
  const labels = new Set(
    [
      ...text.matchAll(
        /(?:koa_typed_session_(?:manager|outcome|verb|answered|reason)|error_type|db_system_name)/g,
      ),
    ].map(([name]) => name),
  )
  t.is(labels.size, 7)
  for (const label of labels) t.true(samples.includes(`${label}="`), label)
  const page2 = await readFile('docs/telemetry.md', 'utf8')
  for (const name of names) {
    const dotted = name
      .replace(/_(?:seconds|bytes|total)$/, '')
      .replace('koa_typed_session_', '')
      .replaceAll('_', '.')
    t.true(page2.includes(`\`koa_typed_session.${dotted}\``), dotted)
  }
})

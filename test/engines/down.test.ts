// How an application fares with a store that is down, silent, slow or overloaded, on every engine that is a server.
import test, { type ExecutionContext } from 'ava'
import { type SessionEvent, type SessionOptions } from '../../src/index.ts'
import { TappedStore } from '../support/tapped-store.ts'
import { proxiedEngines, type ProxiedEngine } from './proxied.ts'
import { reserveEngines } from './reserve.ts'
import { openSite, type Route, type Site } from './site.ts'

const reserve = reserveEngines()

const routes: Readonly<Record<string, Route>> = {
  begin: ({ session }) => void session.set('n', 0),
  count: ({ session }) => session.update('n', (n = 0) => n + 1),
  look: ({ session }) => (session.isReadOnly ? 'read-only' : session.get('n')),
  none: () => 'fine',
}

interface Stage {
  readonly engine: ProxiedEngine
  readonly events: SessionEvent[]
  /** A site with its own store, which gives up after this many ms. */
  open(
    timeout: number,
    options?: SessionOptions<undefined, 'session'>,
  ): Promise<{ site: Site; tap: TappedStore }>
}

async function stage(t: ExecutionContext, provider: string): Promise<Stage> {
  const engine = await reserve(t, provider)
  const events: SessionEvent[] = []
  return {
    engine,
    events,
    async open(timeout, options) {
      const tap = new TappedStore(engine.store(timeout))
      const site = await openSite({ store: tap, onEvent: (event) => events.push(event), ...options }, routes)
      t.teardown(async () => {
        engine.proxy.mend()
        await site.close()
      })
      return { site, tap }
    },
  }
}

/** Resolves when the stores of these sites answer. */
async function recovered(...sites: readonly Site[]): Promise<void> {
  for (const { sessions } of sites) while (!(await sessions.manager.health(5_000)).ok);
}

for (const provider of Object.keys(proxiedEngines)) {
  test(`F1: ${provider}: an application that starts before its store reports that it is not ready, and is ready as soon as the store is`, async (t) => {
    const { engine, open } = await stage(t, provider)
    engine.proxy.cut()
    const { site } = await open(500)
    const { manager } = site.sessions
    await t.throwsAsync(manager.ready(), { code: 'ERR_SESSION_STORE' })
    const health = await manager.health()
    t.like(health, { ok: false, store: manager.traits.name })
    for (const secret of [String(engine.proxy.port), '127.0.0.1', 'password']) {
      t.false(JSON.stringify(health).includes(secret))
    }
    t.is((await site.ask('/none', 'A'.repeat(43))).status, 200)
    t.deepEqual(await site.ask('/look', 'A'.repeat(43)), {
      status: 503,
      text: 'Service Unavailable',
      cookie: undefined,
    })
    t.is((await site.ask('/begin')).cookie, undefined)
    engine.proxy.mend()
    await recovered(site)
    const { status, cookie = '' } = await site.ask('/begin')
    t.is(status, 200)
    t.is((await site.ask('/look', cookie)).text, '0')
  })

  test(`F3, security 52: ${provider}: when the store stops answering, every request ends by its deadline, few wait for the store, and it is called again when it answers`, async (t) => {
    const { engine, events, open } = await stage(t, provider)
    const { site, tap } = await open(60_000, { openTimeout: 400, commitTimeout: 400, maxPending: 20 })
    const { manager } = site.sessions
    await recovered(site) // connects, which may take a while
    const ids: string[] = []
    while (ids.length < 40) ids.push((await site.ask('/begin')).cookie ?? '')
    tap.calls.length = 0
    engine.proxy.stall()
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(ids.map(async (id) => site.ask('/count', id)))
      t.true(answers.every(({ status, cookie }) => status === 503 && cookie === undefined))
      t.is((await manager.health(1)).pending, 0)
    }
    t.true(tap.calls.length <= 30, `${tap.calls.length} calls`) // twenty, three by health, and one probe per second
    t.true(events.some(({ type }) => type === 'store-refused'))
    t.true(events.some(({ type }) => type === 'store-down'))
    engine.proxy.mend()
    await recovered(site)
    t.true(events.some(({ type }) => type === 'store-up'))
    // On a busy machine the deadline may be too short for a call that was held back; then it is called again.
    for (let tries = 1; ; tries += 1) {
      const { status, text } = await site.ask('/count', ids[0])
      if (status === 503 && tries < 20) continue
      t.true(Number(text) >= 1 && Number(text) <= tries, `${text} of ${tries}`)
      break
    }
  })

  test(`F4: ${provider}: with a slow store a request waits one round trip to read, two to change, and never makes a call twice`, async (t) => {
    const { engine, open } = await stage(t, provider)
    const { site, tap } = await open(20_000, { openTimeout: 20_000, commitTimeout: 20_000 })
    const { cookie = '' } = await site.ask('/begin')
    engine.proxy.delay(100)
    tap.calls.length = 0
    t.is((await site.ask('/look', cookie)).text, '0')
    t.deepEqual(tap.calls, ['read'])
    t.is((await site.ask('/count', cookie)).text, '1')
    t.deepEqual(tap.calls, ['read', 'read', 'replace'])
    const answers = await Promise.all([site.ask('/look', cookie), site.ask('/look', cookie)])
    t.true(answers.every(({ text }) => text === '1'))
    engine.proxy.mend()
  })

  test(`F6: ${provider}: idle connections that were reset fail no request`, async (t) => {
    const { engine, open } = await stage(t, provider)
    const { site } = await open(10_000)
    const { cookie = '' } = await site.ask('/begin')
    await Promise.all(Array.from({ length: 8 }, async () => site.ask('/look', cookie)))
    for (const [path, text] of [
      ['/look', '0'],
      ['/count', '1'],
    ] as const) {
      engine.proxy.reset()
      t.deepEqual(await site.ask(path, cookie), { status: 200, text, cookie: undefined })
    }
  })

  test(`F19: ${provider}: a thousand requests at once for one session share a few reads, keep every increment, and all finish`, async (t) => {
    const { open } = await stage(t, provider)
    const { site, tap } = await open(60_000, { openTimeout: 60_000, commitTimeout: 60_000 })
    const { manager } = site.sessions
    const { cookie = '' } = await site.ask('/begin')
    tap.calls.length = 0
    const sessions = await Promise.all(Array.from({ length: 1_000 }, async () => manager.open(cookie)))
    t.true(tap.calls.length <= 30, `${tap.calls.length} loads`)
    for (const session of sessions) session.update('n', (n = 0) => n + 1)
    const outcomes = await Promise.all(sessions.map(async (session) => manager.commit(session)))
    t.true(outcomes.every((outcome) => outcome === 'ok'))
    t.is((await site.ask('/look', cookie)).text, '1000')
  })

  test(`security 53 and 54: ${provider}: an opening or a commit that fails is a 503 or read-only, as it was set, and the data is intact`, async (t) => {
    const { engine, open } = await stage(t, provider)
    const { site } = await open(400)
    const lenient = await open(400, { onStoreError: 'anonymous' })
    await recovered(site, lenient.site)
    const { cookie = '' } = await site.ask('/begin')
    t.is((await lenient.site.ask('/count', cookie)).text, '1')
    engine.proxy.cut()
    t.like(await site.ask('/look', cookie), { status: 503, cookie: undefined })
    t.deepEqual(await lenient.site.ask('/look', cookie), {
      status: 200,
      text: '"read-only"',
      cookie: undefined,
    })
    t.like(await lenient.site.ask('/count', cookie), { status: 503, cookie: undefined })
    t.like(await lenient.site.ask('/begin'), { status: 503, cookie: undefined })
    engine.proxy.mend()
    await recovered(site, lenient.site)
    t.is((await site.ask('/look', cookie)).text, '1')
    t.is((await lenient.site.ask('/look', cookie)).text, '1')
    t.is((await lenient.site.ask('/count', cookie)).text, '2')
  })
}

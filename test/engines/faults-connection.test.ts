import test, { type ExecutionContext } from 'ava'
import type { Store } from '../../src/store.ts'
import { TappedStore } from '../support/tapped-store.ts'
import { proxiedEngines, type ProxiedEngine } from './proxied.ts'
import { reserveEngines } from './reserve.ts'
import { openSite, type Answer, type Route, type Site } from './site.ts'

const reserve = reserveEngines()

const acts: Readonly<Record<string, Route>> = {
  begin: ({ session }) => void session.set('n', 0),
  count: ({ session }) => session.update('n', (n = 0) => n + 1),
  look: ({ session }) => session.get('n'),
  login: ({ session }) => {
    session.regenerate()
    session.update('n', (n = 0) => n + 1)
  },
  logout: async ({ session }) => session.destroy(),
}

interface Stage {
  readonly proxy: ProxiedEngine['proxy']
  readonly tap: TappedStore
  readonly site: Site
  /** Repeats a request until the engine is back. */
  back(path: string, cookie?: string): Promise<Answer>
  /** How many of the records that were ever asked for exist. */
  records(): Promise<number>
  /** Advances the clock of the site. */
  turn(ms: number): void
}

/** A site on an engine behind its proxy. `/cut/count` and `/stall/count` cut or stall the connections when the session is open and changed. */
async function stage(t: ExecutionContext, provider: string, timeout: number): Promise<Stage> {
  const engine = await reserve(t, provider)
  const { proxy } = engine
  const tap = new TappedStore(engine.store(timeout))
  let turned = 0
  const cut: Route = async (ctx, rest) => {
    ctx.session.get('n')
    if (rest === 'logout') proxy.cut()
    await acts[rest]?.(ctx, '')
    proxy.cut()
  }
  const stall: Route = async (ctx, rest) => {
    await acts[rest]?.(ctx, '')
    proxy.stall()
  }
  const site = await openSite({ store: tap, now: () => Date.now() + turned }, { ...acts, cut, stall })
  const eye: Store = engine.store(10_000)
  t.teardown(async () => {
    await site.close()
    await eye.close()
  })
  return {
    proxy,
    tap,
    site,
    async back(path, cookie) {
      for (;;) {
        const answer = await site.ask(path, cookie)
        if (answer.status !== 503) return answer
      }
    },
    async records() {
      const entries = await Promise.all([...tap.keys].map(async (key) => eye.read(key)))
      return entries.filter((entry) => entry !== undefined).length
    },
    turn(ms) {
      turned += ms
    },
  }
}

for (const provider of Object.keys(proxiedEngines)) {
  test(`F2: ${provider}: a connection cut between opening and commit is a 503 without a cookie, and leaves nothing behind`, async (t) => {
    const { proxy, tap, site, back, records } = await stage(t, provider, 400)
    await back('/begin') // connects, which may take a while
    tap.keys.clear()
    const { cookie = '' } = await site.ask('/begin')
    for (const act of ['count', 'login', 'logout']) {
      t.is((await back('/look', cookie)).text, '0')
      const { status, text, cookie: given } = await site.ask(`/cut/${act}`, cookie)
      t.deepEqual([status, text, given], [503, 'Service Unavailable', undefined], act)
      proxy.mend()
    }
    await back('/look', cookie)
    const { status, cookie: given } = await site.ask('/cut/begin')
    t.deepEqual([status, given], [503, undefined])
    proxy.mend()
    await back('/count', cookie)
    t.not((await back('/look', cookie)).text, '0')
    t.is(await records(), 1)
  })

  test(`F5: ${provider}: a write that was delayed and reported as failed, and arrives late, is applied once or never`, async (t) => {
    const { proxy, site, back } = await stage(t, provider, 400)
    const { cookie: id = '' } = await back('/begin')
    const before = Number((await back('/count', id)).text)
    t.is((await site.ask('/stall/count', id)).status, 503)
    proxy.mend()
    const now = Number((await back('/look', id)).text)
    t.true(now === before || now === before + 1)
    const { status, text } = await site.ask('/count', id)
    const last = Number((await back('/look', id)).text)
    t.true(last > now && last <= before + 2)
    if (status === 200) t.is(last, Number(text))
  })

  test(`F6: ${provider}: connections that a firewall has dropped fail no request, however many there are`, async (t) => {
    const { proxy, site } = await stage(t, provider, 5_000)
    const { cookie: id = '' } = await site.ask('/begin')
    const crowd = async (path: string): Promise<unknown[]> =>
      Promise.all(Array.from({ length: 12 }, async () => (await site.ask(path, id)).status))
    const well = Array.from({ length: 12 }, () => 200)
    t.deepEqual(await crowd('/look'), well)
    for (const path of ['/look', '/count']) {
      proxy.forget()
      t.is((await site.ask(path, id)).status, 200)
      t.deepEqual(await crowd(path), well)
    }
    proxy.forget()
    t.is((await site.ask('/login', id)).status, 200)
  })

  test(`F5: ${provider}: a lost reply loses nothing, counts nothing twice and leaves one session`, async (t) => {
    const { proxy, tap, site, records, turn } = await stage(t, provider, 5_000)
    /** Makes every connection prepare its statements, so that the reply which is lost is that of the verb. */
    async function warm(): Promise<void> {
      let { cookie = '' } = await site.ask('/begin')
      for (const path of ['/count', '/look', '/login', '/logout']) {
        cookie = (await site.ask(path, cookie)).cookie ?? cookie
      }
      tap.keys.clear()
    }
    /** Sends a request, and loses the reply to its first such verb. */
    async function lose(verb: string, path: string, cookie?: string): Promise<Answer> {
      let lost = false
      tap.before = (sent) => {
        if (sent !== verb || lost) return
        lost = true
        proxy.dropReply()
      }
      const answer = await site.ask(path, cookie)
      tap.before = () => {}
      proxy.mend()
      return answer
    }
    await warm()
    const created = await lose('create', '/begin')
    t.is(created.status, 200)
    const id = created.cookie ?? ''
    t.is((await site.ask('/look', id)).text, '0')
    t.is(await records(), 1)

    await warm()
    t.deepEqual(await lose('read', '/count', id), { status: 200, text: '1', cookie: undefined })
    await warm()
    t.deepEqual(await lose('replace', '/count', id), { status: 200, text: '2', cookie: undefined })
    t.is((await site.ask('/look', id)).text, '2')

    turn(10 * 60_000)
    await warm()
    t.deepEqual(await lose('touch', '/look', id), { status: 200, text: '2', cookie: undefined })

    await warm()
    const renewed = await lose('create', '/login', id)
    t.is(renewed.status, 200)
    const next = renewed.cookie ?? ''
    t.is((await site.ask('/look', next)).text, '3')
    t.is((await site.ask('/look', id)).text, 'null')
    t.is(await records(), 2, 'the session, and the redirect under its old ID')

    await warm()
    t.is((await lose('destroy', '/logout', next)).status, 200)
    t.is((await site.ask('/look', next)).text, 'null')
    t.is(await records(), 0)

    await warm()
    const { cookie: last = '' } = await site.ask('/begin')
    t.is((await lose('replace', '/login', last)).status, 200)
    t.is(await records(), 2, 'the session, and the redirect under its old ID')
    t.is((await site.ask('/look', last)).text, 'null')
  })
}

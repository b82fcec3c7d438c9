import test from 'ava'
import { createRegistry, SessionError, SessionManager, type Registry } from '../../src/index.ts'
import { patient } from './stores.ts'
import { openSite, type Answer, type Route, type Site } from './site.ts'
import { providers, sharedEngine } from './shared.ts'

/** Version 1 of a program. */
function olderProgram(): { registry: Registry; newCart: () => object } {
  const registry = createRegistry()
  class Cart {
    items: string[] = []
  }
  registry.registerType(Cart)
  return { registry, newCart: () => new Cart() }
}

/** Version 2: it upgrades the older cart, and has a class that version 1 does not have. */
function newerProgram(): { registry: Registry; newCart: () => object; newWish: () => object } {
  const registry = createRegistry()
  class Cart {
    lines = new Map<string, bigint>()
  }
  class Wish {
    wishes = new Set(['boat'])
  }
  registry.registerType(Cart, {
    version: 2,
    upgrade: ({ items }) => ({
      lines: new Map((Array.isArray(items) ? items : []).map((item) => [item, 1n])),
    }),
  })
  registry.registerType(Wish)
  return { registry, newCart: () => new Cart(), newWish: () => new Wish() }
}

/** Where requests wait in their handlers, by name. */
type Gates = Map<string, { readonly arrive: () => void; readonly opened: Promise<void> }>

const VISITS = 12
const TIMES = 10

for (const provider of providers) {
  test(`F15: ${provider}: two versions of a program on one session lose nothing, and neither destroys what it cannot read`, async (t) => {
    const engine = await sharedEngine(provider)
    const [older, newer] = [olderProgram(), newerProgram()]
    const old = new SessionManager({ ...patient(provider, engine.config), registry: older.registry })
    const recent = new SessionManager({ ...patient(provider, engine.config), registry: newer.registry })
    t.teardown(async () => void (await Promise.all([old.close(), recent.close()])))
    const begun = old.begin().set('cart', Object.assign(older.newCart(), { items: ['apple'] }))
    await old.commit(begun.set('plain', older.newCart()))
    const { id } = begun

    // The newer version reads what the older one wrote, changes the cart and stores its own class.
    const upgraded = await recent.open(id)
    upgraded.get('cart').lines.set('pear', 2n)
    await recent.commit(upgraded.set('wish', newer.newWish()))

    /** One request of either version, at the same time as others. */
    async function visit(manager: SessionManager, own: string): Promise<void> {
      const session = await manager.open(id)
      session.update('n', (n = 0) => n + 1)
      session.update(own, (n = 0) => n + 1)
      if (manager === old) {
        for (const key of ['cart', 'wish']) {
          t.throws(() => session.get(key), { instanceOf: SessionError, code: 'ERR_SESSION_DECODE' })
        }
      }
      t.is(await manager.commit(session), 'ok')
    }
    const visits = Array.from({ length: VISITS }, async (_, n) =>
      n % 2 === 0 ? visit(old, 'old') : visit(recent, 'recent'),
    )
    await Promise.all(visits)

    const last = await recent.open(id)
    t.deepEqual(
      ['n', 'old', 'recent'].map((key) => last.get(key)),
      [VISITS, VISITS / 2, VISITS / 2],
    )
    t.deepEqual(
      last.get('cart').lines,
      new Map([
        ['apple', 1n],
        ['pear', 2n],
      ]),
    )
    t.deepEqual(last.get('wish').wishes, new Set(['boat']))
    // The older version still reads what the newer one has read and not changed.
    t.deepEqual(last.get('plain').lines, new Map())
    await recent.commit(last)
    t.deepEqual((await old.open(id)).get('plain'), older.newCart())
  })

  test(`F20: ${provider}: of logins, logouts and writes in one session, a request that comes too late gets nothing and damages nothing`, async (t) => {
    const engine = await sharedEngine(provider)
    const gates: Gates = new Map()
    const acts: Readonly<Record<string, Route>> = {
      begin: ({ session }) => void session.set('n', 0),
      login({ session }) {
        session.regenerate()
        session.update('n', (n = 0) => n + 1)
      },
      write: ({ session }) => session.update('n', (n = 0) => n + 1),
      logout: async ({ session }) => session.destroy(),
      look: ({ session }) => session.get('n'),
      /** `/held/login-7` opens the session, waits at the gate `login-7`, and logs in. */
      async held(ctx, gate) {
        ctx.session.get('n')
        gates.get(gate)?.arrive()
        await gates.get(gate)?.opened
        await acts[gate.replace(/-.*/, '')]?.(ctx, '')
      },
    }
    const site = await openSite(patient(provider, engine.config), acts)
    t.teardown(async () => site.close())

    await Promise.all(
      Array.from({ length: TIMES }, async (_, time) => {
        // A login that a login, a logout or a write overtakes.
        for (const [first, status] of [
          ['login', 'null'],
          ['logout', 'null'],
          ['write', '2'],
        ] as const) {
          const { id, early, late } = await overtake(site, gates, first, 'login', String(time))
          t.is((await site.ask('/look', id)).text, 'null', `the old ID is dead after ${first}, login`)
          t.is(late.status, first === 'write' ? 200 : 409)
          if (first === 'write') t.is((await site.ask('/look', late.cookie)).text, status)
          else t.is(late.cookie, undefined, `a login that came after a ${first} gets no cookie`)
          if (first === 'login') t.is((await site.ask('/look', early.cookie)).text, '1')
        }
        // A write that a login overtakes is refused, and is not in the session under its new ID.
        const { id, early, late } = await overtake(site, gates, 'login', 'write', String(time))
        t.is(late.status, 409)
        t.is(late.cookie, undefined)
        t.is((await site.ask('/look', id)).text, 'null')
        t.is((await site.ask('/look', early.cookie)).text, '1')

        // Logins at the same time make one session.
        const { cookie } = await site.ask('/begin')
        const held = ['one', 'two', 'three'].map((rival) =>
          hold(site, gates, `login-${rival}-${time}`, cookie),
        )
        await Promise.all(held.map(async ({ arrived }) => arrived))
        for (const { go } of held) go()
        const answers = await Promise.all(held.map(async ({ answer }) => answer))
        const winners = answers.filter((answer) => answer.cookie !== undefined)
        t.is(winners.length, 1)
        t.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 409, 409])
        t.is((await site.ask('/look', winners[0]?.cookie)).text, '1')
        t.is((await site.ask('/look', cookie)).text, 'null')
      }),
    )
  })
}

/** Sends two requests. When both have opened the session, the first one finishes before the second one goes on. */
async function overtake(
  site: Site,
  gates: Gates,
  first: string,
  second: string,
  time: string,
): Promise<{ id: string | undefined; early: Answer; late: Answer }> {
  const { cookie: id } = await site.ask('/begin')
  const held = hold(site, gates, `${second}-${first}-${time}`, id)
  await held.arrived
  const early = await site.ask(`/${first}`, id)
  held.go()
  return { id, early, late: await held.answer }
}

/** Sends a request that waits with the session open until it may go on. One that fails before counts as arrived. */
function hold(
  site: Site,
  gates: Gates,
  gate: string,
  id: string | undefined,
): { readonly arrived: Promise<unknown>; readonly go: () => void; readonly answer: Promise<Answer> } {
  let [go, arrive] = [(): void => {}, (): void => {}]
  const opened = new Promise<void>((resolve) => (go = resolve))
  const arrived = new Promise<void>((resolve) => (arrive = resolve))
  gates.set(gate, { arrive, opened })
  const answer = site.ask(`/held/${gate}`, id)
  return { arrived: Promise.race([arrived, answer]), go, answer }
}

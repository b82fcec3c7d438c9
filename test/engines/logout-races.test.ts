import { setImmediate as step } from 'node:timers/promises'
import test from 'ava'
import { engines } from './engine.ts'
import { proxiedEngines } from './proxied.ts'
import { patient } from './stores.ts'
import { openSite, type Route, type Site } from './site.ts'

/** `KTS_RACES=100000` for the long run. */
const RACES = Number(process.env['KTS_RACES'] ?? 1_000)
const AT_ONCE = 40

/** What a slow request does to the session, before and after another one overtakes it. */
const writers: readonly Route[] = [
  ({ session }) => session.set('cart', ['apple']),
  ({ session }) => session.update('n', (n = 0) => n + 1),
  ({ session }) => session.get('list').push('pear'),
  ({ session }) => session.clear(),
  async ({ session }) => session.claim('token'),
  async ({ session }) => session.set('cart', []).commit(),
]

/** The gate of a request in its handler: `come` is called when the request is there, `go` lets it continue. */
class Gate {
  come: () => void = () => {}
  go: () => void = () => {}
  readonly arrived = new Promise<void>((resolve) => (this.come = resolve))
  readonly opened = new Promise<void>((resolve) => (this.go = resolve))
}

/** The order in which the requests continue. */
type Order = 'the write is overtaken' | 'the logout is overtaken' | 'both at once'
const orders: readonly Order[] = ['the write is overtaken', 'the logout is overtaken', 'both at once']

const everywhere = {
  memory: async () => ({ config: '', stop: async () => undefined }),
  file: engines['file'],
  sqlite: engines['sqlite'],
  ...proxiedEngines,
}

for (const [provider, start] of Object.entries(everywhere)) {
  test.serial(
    `F20, security 24: ${provider}: of ${RACES} logouts against a writing request none is undone`,
    async (t) => {
      const engine = await start?.()
      if (engine === undefined) return t.fail()
      const gates = new Map<string, { write: Gate; logout: Gate }>()
      const site = await openSite(patient(provider, engine.config), {
        login: ({ session }) => {
          session.set('user', 'ann').set('list', []).set('token', 1)
        },
        write: async (ctx, race) => {
          const act = writers[Math.floor(Number(race) / orders.length) % writers.length]
          await act?.(ctx, race)
          await pass(gates.get(race)?.write)
          await act?.(ctx, race)
        },
        logout: async (ctx, race) => {
          ctx.session.get('user')
          await pass(gates.get(race)?.logout)
          await ctx.session.destroy()
        },
      })
      t.teardown(async () => {
        await site.close()
        await engine.stop()
      })
      let next = 0
      const alive: string[] = []
      async function lane(): Promise<void> {
        while (next < RACES) {
          next += 1
          const race = String(next)
          const gate = { write: new Gate(), logout: new Gate() }
          gates.set(race, gate)
          const order = orders[next % orders.length] ?? 'both at once'
          const outcome = await run(site, race, gate, order)
          if (outcome !== undefined) alive.push(`${race}, ${order}: ${outcome}`)
          gates.delete(race)
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, lane))
      return t.deepEqual(alive, [])
    },
  )
}

/** What went wrong, or `undefined`. */
async function run(
  site: Site,
  race: string,
  gate: { write: Gate; logout: Gate },
  order: Order,
): Promise<string | undefined> {
  const { cookie: id } = await site.ask('/login')
  if (id === undefined || id === '') return 'no session was created'
  const writing = site.ask(`/write/${race}`, id)
  const leaving = site.ask(`/logout/${race}`, id)
  // A request that fails before never gets there.
  await Promise.all([
    Promise.race([gate.write.arrived, writing]),
    Promise.race([gate.logout.arrived, leaving]),
  ])
  if (order === 'the write is overtaken') {
    gate.logout.go()
    await leaving
    gate.write.go()
  } else if (order === 'the logout is overtaken') {
    gate.write.go()
    await writing
    gate.logout.go()
  } else {
    gate.write.go()
    for (let steps = Math.floor(Math.random() * 8); steps > 0; steps -= 1) await step()
    gate.logout.go()
  }
  const [written, left] = await Promise.all([writing, leaving])
  if (written.status !== 200 || left.status !== 200) return `${written.status} and ${left.status}`
  // A request that empties a session ends it, and the cookie must be deleted.
  if ((written.cookie ?? '') !== '') return 'the loser got a cookie'
  if (left.cookie !== '') return 'the cookie was not taken back'
  if ((await site.sessions.manager.find(id)) !== undefined) return 'the session lives'
  return undefined
}

async function pass(gate: Gate | undefined): Promise<void> {
  gate?.come()
  await gate?.opened
}
